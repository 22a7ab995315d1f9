"""`apply` beside `fn.crop_mirror_normalize`: the same without mixing, and with mixing what one gets
by blending two of its outputs."""

import numpy as np
import pytest
from helpers import DALI_TYPES, DEVICES, UNMIXED, PerSample, node_of, random_images, run_on
from nvidia.dali import fn

import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.plan import Plan

IMAGENET = {
    "mean": [0.485 * 255, 0.456 * 255, 0.406 * 255],
    "std": [0.229 * 255, 0.224 * 255, 0.225 * 255],
}
SHAPES = [(37, 51, 3), (8, 64, 3), (20, 20, 3), (9, 11, 3), (40, 33, 3)]


def random_arguments(count, crop=None):
    rng = np.random.default_rng(7)
    given = {
        "mirror": PerSample([int(m) for m in rng.integers(0, 2, count)]),
        "crop_pos_x": PerSample(rng.random(count, np.float32)),
        "crop_pos_y": PerSample(rng.random(count, np.float32)),
    }
    return given | ({} if crop is None else {"crop": crop})


def both(images, layout="HWC", device="cpu", **arguments):
    """Outputs of `apply` without a plan, and of `crop_mirror_normalize`."""
    dtype = DALI_TYPES[arguments.pop("dtype", np.float32)]

    def graph(x):
        given = {name: node_of(value) for name, value in arguments.items()} | {"dtype": dtype}
        return dmix.apply(x, UNMIXED, **given), fn.crop_mirror_normalize(x, **given)

    return run_on(images, graph, layout=layout, device=device)


def assert_two_ulp(actual, expected, shift):
    """Of the largest term or sum; `shift` is the least of mean * k - shift over the channels."""
    slack = 2 * np.spacing(np.maximum(np.abs(expected), np.float32(shift)))
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    assert np.all(np.abs(actual - expected) <= slack)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("output_layout", ["CHW", "HWC"])
@pytest.mark.parametrize("pad_output", [False, True])
@pytest.mark.parametrize("crop", [None, (8, 11), (1, 1), (5.7, 3.2)])
@pytest.mark.parametrize("in_type", [np.uint8, np.float32, np.float16])
def test_unmixed_floats_are_those_of_crop_mirror_normalize(
    device, in_type, crop, pad_output, output_layout
):
    images = random_images(np.random.default_rng(0), SHAPES, in_type)
    given = {"output_layout": output_layout, "pad_output": pad_output, "scale": 0.75, "shift": -0.3}
    for out, cmn in zip(
        *both(images, device=device, **IMAGENET, **given, **random_arguments(5, crop)), strict=True
    ):
        assert_two_ulp(out, cmn, 0.406 / 0.225 * 0.75)


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
@pytest.mark.parametrize("output_layout", ["CHW", "HWC"])
def test_both_layouts_of_the_input(layout, output_layout):
    images = random_images(np.random.default_rng(0), SHAPES)
    if layout == "CHW":
        images = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images]
    given = {"layout": layout, "output_layout": output_layout} | random_arguments(5, (7, 9))
    for out, cmn in zip(*both(images, **given), strict=True):
        np.testing.assert_array_equal(out, cmn)


def test_every_default_is_the_same():
    images = random_images(np.random.default_rng(0), SHAPES)
    out, cmn = run_on(images, lambda x: (dmix.apply(x, UNMIXED), fn.crop_mirror_normalize(x)))
    for ours, theirs in zip(out, cmn, strict=True):
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


def test_every_crop_window_lies_where_crop_mirror_normalize_puts_it():
    """Positions in steps of 1/200, and next to every half, for every slack up to 12."""
    steps = np.linspace(0, 1, 201, dtype=np.float32)
    halves = np.float32([(n + 0.5) / slack for slack in range(1, 13) for n in range(slack)])
    near = np.concatenate([np.nextafter(halves, np.float32(side)) for side in (0, 1)])
    positions = np.concatenate([steps, halves, near])
    image = np.arange(13, dtype=np.float32)
    for slack in range(13):
        wide = [image.reshape(1, 13, 1)] * len(positions)
        tall = [image.reshape(13, 1, 1)] * len(positions)
        given = PerSample(positions)
        out, cmn = both(wide, crop=(1, 13 - slack), crop_pos_x=given)
        np.testing.assert_array_equal(out, cmn)
        out, cmn = both(tall, crop=(13 - slack, 1), crop_pos_y=given)
        np.testing.assert_array_equal(out, cmn)


@pytest.mark.parametrize("crop", [5.0, 5.2, 5.5, 5.9, 6.0])
def test_sizes_of_crops_that_are_no_whole_numbers(crop):
    images = random_images(np.random.default_rng(0), SHAPES)
    for given in ({"crop": (crop, crop + 0.3)}, {"crop_h": crop, "crop_w": crop + 0.3}):
        for out, cmn in zip(*both(images, **given), strict=True):
            np.testing.assert_array_equal(out, cmn)


def test_sizes_of_crops_may_be_tensors():
    images = random_images(np.random.default_rng(0), SHAPES)
    heights, widths = PerSample([3.0, 8.0, 1.5, 9.0, 40.0]), PerSample([51.0, 1.0, 20.0, 4.0, 33.9])
    pairs = PerSample(np.float32([heights, widths]).T)
    for given in ({"crop_h": heights, "crop_w": widths}, {"crop": pairs}):
        out = run_on(
            images,
            lambda x, given=given: dmix.apply(
                x, UNMIXED, **{name: node_of(value) for name, value in given.items()}
            ),
        )[0]
        cmn = both(
            images, crop_h=PerSample(np.float32(heights)), crop_w=PerSample(np.float32(widths))
        )
        for ours, theirs in zip(out, cmn[1], strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_unmixed_integers_are_those_of_crop_mirror_normalize(dtype):
    """Away from ties: it rounds halves away from zero, `apply` to even."""
    images = random_images(np.random.default_rng(0), SHAPES)
    given = {"mean": [120.3, 127.7, 9.1], "std": [1.7, 2.3, 1.1], "scale": 1.13, "shift": 40.77}
    arguments = random_arguments(5, (8, 11)) | given
    exact = both(images, **arguments)[1]
    for out, cmn, value in zip(*both(images, dtype=dtype, **arguments), exact, strict=True):
        near_tie = np.abs(value - np.floor(value) - 0.5) < 1e-4
        assert out.dtype == cmn.dtype == dtype
        assert near_tie.mean() < 0.01
        assert (out == cmn)[~near_tie].all()


def test_unmixed_float16_is_within_one_rounding_of_crop_mirror_normalize():
    images = random_images(np.random.default_rng(0), SHAPES)
    arguments = IMAGENET | random_arguments(5, (8, 11))
    exact = both(images, **arguments)[1]
    for out, cmn, value in zip(*both(images, dtype=np.float16, **arguments), exact, strict=True):
        assert np.all(np.abs(out.astype(float) - cmn) <= np.spacing(np.abs(cmn)))
        slack = 2 * np.spacing(np.float32(0.485 / 0.229))
        assert np.all((value - slack).astype(np.float16) <= out)
        assert np.all(out <= (value + slack).astype(np.float16))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8])
@pytest.mark.parametrize("output_layout", ["CHW", "HWC"])
def test_mixing_is_the_blend_of_two_outputs_of_crop_mirror_normalize(device, dtype, output_layout):
    images = random_images(np.random.default_rng(1), [(40, 70, 3), (41, 66, 3), (50, 80, 3)])
    partner, blend = np.int32([1, 2, 0]), np.float32([0.3, 1.0, 0.8])
    box = np.int32([(0, 0, 0, 0), (3, 5, 30, 37), (10, 0, 32, 40)])
    given = {"mean": [120.3, 127.7, 9.1], "std": [1.7, 2.3, 1.1], "scale": 1.13, "shift": 40.77}
    arguments = random_arguments(3, (32, 64)) | given | {"output_layout": output_layout}

    def graph(x):
        nodes = {name: node_of(value) for name, value in arguments.items()}
        plan = Plan(*(node_of(PerSample(c)) for c in (partner, blend, box)), None, None)
        mixed = dmix.apply(x, plan, dtype=DALI_TYPES[dtype], **nodes)
        return mixed, fn.crop_mirror_normalize(x, **nodes)

    mixed, plain = run_on(images, graph, device=device)
    plain = [x.transpose(1, 2, 0) if output_layout == "CHW" else x for x in plain]
    for i, out in enumerate(mixed):
        w = reference.own_weight(blend[i], tuple(box[i]), (32, 64))[..., None]
        value = w * plain[i].astype(float) + (1 - w) * plain[partner[i]].astype(float)
        out = out.transpose(1, 2, 0) if output_layout == "CHW" else out
        low, high = (reference.cast(value + s * 1e-4, np.dtype(dtype)) for s in (-1, 1))
        assert np.all((low <= out) & (out <= high))


def test_scale_and_shift_come_after_the_division_as_there():
    images = [np.full((2, 2, 1), 10, np.uint8)]
    out, cmn = both(images, mean=[4.0], std=[2.0], scale=5.0, shift=7.0)
    assert (out[0] == (10 - 4) / 2 * 5 + 7).all() and (cmn[0] == out[0]).all()


def test_one_mean_and_std_serve_all_channels():
    images = random_images(np.random.default_rng(0), SHAPES)
    for out, cmn in zip(*both(images, mean=[127.5], std=[64.0]), strict=True):
        assert_two_ulp(out, cmn, 127.5 / 64)

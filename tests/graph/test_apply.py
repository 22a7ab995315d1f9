"""`apply` against the definition: every type, layout, number of channels and instruction set, at
sizes around the width of a vector."""

import itertools

import numpy as np
import pytest
from helpers import (
    CPU_PATHS,
    DEVICES,
    PerSample,
    apply,
    assert_casts,
    build,
    definition,
    feed,
    fingerprints,
    random_images,
)

import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.plan import Plan

# Widths on both sides of one, two and three blocks of 32 pixels; degenerate and prime sizes. Two
# images of each size are partners. Crops of the same size from larger images follow.
SIZES = [(1, 1), (1, 9), (11, 1), (5, 31), (6, 32), (7, 33), (4, 63), (4, 64), (3, 65), (13, 97)]
CROPPED = [(9, 37), (12, 64), (2, 130)]
NORMALIZATION = {"scale": 1.25, "shift": 3.5}
MEANS = np.array([101.5, 120.25, 90.0, 64.0, 3.0], np.float32)
STDS = np.array([2.0, 1.7, -1.3, 2.25, 1.9], np.float32)


def mixtures(rng, sizes):
    """Blends and boxes of every kind, in turn over the samples."""
    kinds = itertools.cycle(
        [
            lambda h, w: (rng.random(), (0, 0, 0, 0)),  # mixup
            lambda h, w: (1.0, (h // 3, w // 3, h - h // 4, w - w // 5)),  # cutmix
            lambda h, w: (rng.random(), (0, w // 2, h // 2 + 1, w)),  # both, at the corner
            lambda h, w: (1.0, (0, 0, h, w)),  # everything
            lambda h, w: (0.0, (0, 0, 0, 0)),  # only the partner
            lambda h, w: (1.0, (h, 0, h, w)),  # empty, though not zero
            lambda h, w: (0.25, (0, 0, h, (w + 1) // 2)),  # at the left edge
            lambda h, w: (1.0, (h - 1, 0, h, w)),  # the last row
            lambda h, w: (0.0, (0, w - 1, h, w)),
            lambda h, w: (1.0, (0, 0, 0, 0)),  # nothing
            lambda h, w: (0.9, (0, min(w - 1, 32), h, min(w, 64))),  # edges on block borders
        ]
    )
    drawn = [kind(h, w) for kind, (h, w) in zip(kinds, sizes, strict=False)]
    return [blend for blend, _ in drawn], [box for _, box in drawn]


class Case:
    """One batch with all its per-sample arguments, and what the definition says about it."""

    def __init__(self, dtype, channels, crop=None):
        rng = np.random.default_rng(channels)
        if crop is None:
            sizes = [size for size in SIZES for _ in range(2)]
            shapes = sizes
            partner = [i ^ 1 for i in range(len(sizes))]
        else:
            sizes = [crop] * 11
            shapes = [tuple(grown) for grown in crop + rng.integers(0, 9, (11, 2))]
            partner = [(3 * i + 1) % 11 for i in range(11)]
        count = len(sizes)
        self.images = random_images(rng, [(*shape, channels) for shape in shapes], dtype)
        blend, box = mixtures(rng, sizes)
        self.plan = Plan(
            np.array(partner, np.int32),
            np.array(blend, np.float32),
            np.array(box, np.int32),
            None,
            np.array(sizes, np.int32),
        )
        mirror = [int(m) for m in rng.integers(0, 2, count)]
        positions = rng.random((count, 2), np.float32)
        self.normalization = NORMALIZATION | {
            "mean": MEANS[:channels].tolist(),
            "std": STDS[:channels].tolist(),
        }
        self.windows = [
            {"crop": crop, "crop_pos": tuple(p), "mirror": bool(m)}
            for p, m in zip(positions, mirror, strict=True)
        ]
        self.arguments = {
            **self.normalization,
            "mirror": PerSample(mirror),
            "crop_pos_y": PerSample(positions[:, 0]),
            "crop_pos_x": PerSample(positions[:, 1]),
        }
        if crop is not None:
            self.arguments["crop"] = crop
        self.expected = list(definition(self.images, self.plan, self.windows, **self.normalization))

    def run(self, layout="HWC", **arguments):
        images = self.images
        if layout == "CHW":
            images = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images]
        return apply(images, self.plan, layout=layout, **self.arguments, **arguments)


_cases = {}


def case(dtype, channels, crop=None):
    key = dtype, channels, crop
    if key not in _cases:
        _cases[key] = Case(*key)
    return _cases[key]


def to_hwc(image, layout):
    return image.transpose(1, 2, 0) if layout == "CHW" else image


LAYOUTS = [
    {"layout": layout, "output_layout": output_layout}
    for layout, output_layout in itertools.product(["HWC", "CHW"], repeat=2)
]


def types_and_channels(test):
    test = pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])(test)
    test = pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8])(test)
    return pytest.mark.parametrize("in_type", [np.uint8, np.float32, np.float16])(test)


@pytest.mark.parametrize("device", DEVICES)
@types_and_channels
def test_apply_is_the_definition(device, in_type, dtype, channels):
    this = case(in_type, channels)
    for layouts in LAYOUTS:
        out = this.run(dtype=dtype, device=device, **layouts)
        for actual, (value, largest) in zip(out, this.expected, strict=True):
            assert actual.dtype == dtype
            assert_casts(to_hwc(actual, layouts["output_layout"]), value, largest)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("crop", CROPPED)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("in_type", [np.uint8, np.float32])
def test_crops_at_a_position_of_each_sample(device, in_type, channels, crop):
    this = case(in_type, channels, crop)
    for layouts in LAYOUTS:
        out = this.run(device=device, **layouts)
        for actual, (value, largest) in zip(out, this.expected, strict=True):
            assert_casts(to_hwc(actual, layouts["output_layout"]), value, largest)


@pytest.mark.parametrize("device", DEVICES)
@types_and_channels
def test_padding_adds_planes_of_zeros_and_changes_nothing_else(device, in_type, dtype, channels):
    this = case(in_type, channels)
    for layouts in LAYOUTS:
        kinds = layouts | {"dtype": dtype, "device": device}
        plain = this.run(**kinds)
        for padded, without in zip(this.run(pad_output=True, **kinds), plain, strict=True):
            padded, without = (to_hwc(x, layouts["output_layout"]) for x in (padded, without))
            assert padded.shape[2] == {1: 1, 2: 2, 3: 4, 4: 4, 5: 8}[channels]
            assert padded[..., :channels].tobytes() == without.tobytes()
            assert not padded[..., channels:].any()


@types_and_channels
def test_instruction_sets_agree_to_the_bit(monkeypatch, in_type, dtype, channels):
    this = case(in_type, channels)
    outputs = []
    for path in CPU_PATHS:
        monkeypatch.setenv("DALI_MIX_CPU", path)
        outs = [this.run(dtype=dtype, pad_output=channels == 3, **layouts) for layouts in LAYOUTS]
        outputs.append([image.tobytes() for out in outs for image in out])
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.gpu
@types_and_channels
def test_cpu_and_gpu_agree_to_the_bit(in_type, dtype, channels):
    this = case(in_type, channels)
    for layouts in LAYOUTS:
        cpu, gpu = (this.run(dtype=dtype, device=device, **layouts) for device in ("cpu", "gpu"))
        assert [x.tobytes() for x in cpu] == [x.tobytes() for x in gpu]


@pytest.mark.parametrize("path", CPU_PATHS)
@pytest.mark.parametrize("pad_output", [False, True])
@pytest.mark.parametrize("output_layout", ["CHW", "HWC"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8])
def test_outputs_larger_than_the_cache(monkeypatch, dtype, output_layout, pad_output, path):
    """Beyond 2 MiB, rows that are whole cache lines are stored around the cache, others are not."""
    monkeypatch.setenv("DALI_MIX_CPU", path)
    rng = np.random.default_rng(5)
    images = random_images(rng, [(700, 512, 3)] * 2 + [(61, 499, 3)] * 2)
    boxes = np.int32([(100, 33, 650, 490), (0, 0, 0, 0), (7, 0, 60, 250), (0, 0, 0, 0)])
    plan = Plan(np.int32([1, 0, 3, 2]), np.float32([1, 0.3, 0.6, 1]), boxes, None, None)
    mirror = [0, 1, 1, 0]
    out = apply(
        images,
        plan,
        dtype=dtype,
        output_layout=output_layout,
        pad_output=pad_output,
        mirror=PerSample(mirror),
        mean=[100.0, 110.0, 120.0],
    )
    windows = [{"mirror": bool(m)} for m in mirror]
    expected = definition(images, plan, windows, mean=[100.0, 110.0, 120.0])
    for actual, (value, largest) in zip(out, expected, strict=True):
        assert_casts(to_hwc(actual, output_layout)[..., :3], value, largest)


@pytest.mark.parametrize("device", DEVICES)
def test_apply_is_reference_apply(device):
    """`definition`, which the tests above compare with, is `reference.apply` before the cast."""
    this = case(np.uint8, 3)
    given = {"windows": this.windows, "output_layout": "HWC"} | this.normalization
    expected = reference.apply(this.images, this.plan, **given)
    out = this.run(output_layout="HWC", device=device)
    for actual, other, (_, largest) in zip(out, expected, this.expected, strict=True):
        difference = np.abs(actual - other.astype(np.float64))
        assert np.all(difference <= 2.5 * np.spacing(largest.astype(np.float32)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_read_does_not_leak(device, dtype, bad):
    good, poison = (np.full((3, 5, 1), v, dtype) for v in (2.0, bad))
    images = [good, poison] * 3
    blend = np.float32([1, 0, 1, 1, 0, 1])
    box = np.int32([(0,) * 4, (0,) * 4, (0,) * 4, (0, 0, 3, 5), (1, 1, 1, 1), (0, 0, 2, 5)])
    plan = Plan(np.int32([1, 0, 2, 2, 4, 4]), blend, box, None, None)
    out = apply(images, plan, device=device)
    for i in range(5):
        assert (out[i] == 2).all()  # own, partner, itself, box over everything, itself
    assert (out[5][0, :2] == 2).all() and not np.isfinite(out[5][0, 2]).any()


@pytest.mark.parametrize("device", DEVICES)
def test_every_output_pixel_comes_from_its_own_place(device):
    """Pixel (y, x) of sample i holds (i, y, x): the mixed image tells what was read for it."""
    height, width, box = 37, 71, (5, 9, 30, 66)
    plan = Plan(np.int32([2, 0, 1]), np.ones(3, np.float32), np.int32([box] * 3), None, None)
    out = apply(
        fingerprints(3, height, width),
        plan,
        mirror=PerSample([0, 1, 0]),
        output_layout="HWC",
        device=device,
    )
    for i, y, x in np.ndindex(3, height, width):
        source = [2, 0, 1][i] if box[0] <= y < box[2] and box[1] <= x < box[3] else i
        column = width - 1 - x if source == 1 else x
        assert tuple(out[i][y, x]) == (source, y, column)


def test_the_images_are_not_written_to():
    this = case(np.uint8, 3)
    kept = [np.array(image) for image in this.images]

    def graph():
        x = feed([this.images], "HWC")
        plan = Plan(*(None if c is None else feed([list(c)]) for c in this.plan))
        return x, dmix.apply(x, plan, mirror=1)

    after, _ = build(graph, batch_size=len(kept)).run()
    for image, before in zip(after, kept, strict=True):
        np.testing.assert_array_equal(np.array(image), before)

"""The definition itself, against values worked out by hand and loops over single pixels."""

import math

import numpy as np
import pytest

from dali_mix import reference
from dali_mix.plan import Plan


def plan_of(partner, blend=None, box=None, size=None):
    count = len(partner)
    return Plan(
        partner=np.array(partner, np.int32),
        blend=np.ones(count, np.float32) if blend is None else np.array(blend, np.float32),
        box=np.zeros((count, 4), np.int32) if box is None else np.array(box, np.int32),
        lam=None,
        size=size,
    )


@pytest.mark.parametrize(
    ("lam", "center", "size", "box"),
    [
        (0.75, (4, 6), (8, 12), (2, 3, 6, 9)),  # sides 8 * 0.5 and 12 * 0.5: even
        (0.75, (5, 5), (10, 10), (3, 3, 8, 8)),  # 5: odd, not 4
        (0.75, (3, 3), (7, 7), (2, 2, 5, 5)),  # 3.5 is rounded down to 3
        (0.75, (0, 0), (10, 10), (0, 0, 3, 3)),  # clipped: of 5, 2 before the centre, 3 from it
        (0.75, (9, 9), (10, 10), (7, 7, 10, 10)),
        (0.75, (0, 9), (10, 10), (0, 7, 3, 10)),
        (0.0, (0, 0), (4, 6), (0, 0, 2, 3)),  # sides of the whole image, clipped
        (0.0, (2, 3), (4, 6), (0, 0, 4, 6)),
        (1.0, (2, 3), (4, 6), (0, 0, 0, 0)),
        (0.99, (4, 4), (8, 8), (0, 0, 0, 0)),  # sides of 0.8 pixels: empty
        (0.75, (0, 5), (1, 11), (0, 0, 0, 0)),  # height 0.5 of one pixel: empty
        (0.0, (0, 5), (1, 11), (0, 0, 1, 11)),
    ],
)
def test_cut_box_by_hand(lam, center, size, box):
    assert reference.cut_box(lam, center, size) == box


def test_every_box_inside_the_image_has_sides_rounded_down_from_the_square_root():
    height, width = 31, 47
    for lam in np.linspace(0, 1, 101):
        y0, x0, y1, x1 = reference.cut_box(lam, (15, 23), (height, width))
        if (y1 - y0) * (x1 - x0):
            ratio = math.sqrt(1 - float(np.float32(lam)))
            assert (y1 - y0, x1 - x0) == (math.floor(31 * ratio), math.floor(47 * ratio))


def test_count_lam_is_the_share_of_own_pixels_in_a_painted_mask():
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = tuple(int(n) for n in rng.integers(1, 40, 2))
        center = tuple(int(rng.integers(n)) for n in size)
        box = reference.cut_box(float(rng.random(dtype=np.float32)), center, size)
        own = np.ones(size, bool)
        own[box[0] : box[2], box[1] : box[3]] = False
        assert reference.count_lam(box, size) == np.float32(own.sum() / own.size)
        assert reference.count_lam(box, size).dtype == np.float32


def test_fold_keeps_the_larger_share():
    folded = reference.fold(np.array([0.0, 0.1, 0.5, 0.75, 1.0]))
    np.testing.assert_array_equal(folded, [1.0, 0.9, 0.5, 0.75, 1.0])


def test_own_weight_is_zero_inside_the_box_and_blend_outside():
    weight = reference.own_weight(0.25, (1, 2, 3, 4), (4, 5))
    for y in range(4):
        for x in range(5):
            assert weight[y, x] == (0.0 if 1 <= y < 3 and 2 <= x < 4 else 0.25)


@pytest.mark.parametrize(
    ("position", "slack", "begin"),
    [
        (0.0, 5, 0),
        (1.0, 5, 5),
        (0.5, 5, 3),  # 2.5: away from zero
        (0.5, 3, 2),  # 1.5
        (0.5, 4, 2),
        (0.1, 5, 1),  # 0.5 in float32
        (0.25, 5, 1),  # 1.25
        (0.49999997, 1, 0),  # the largest float32 below a half
        (5 / 6, 3, 2),  # in float32 below 2.5, as long as the product is not rounded to float32
    ],
)
def test_a_window_begins_at_the_rounded_position(position, slack, begin):
    image = np.arange(slack + 2).reshape(1, -1, 1)
    window = reference.window(image, crop=(1, 2), crop_pos=(0.0, position))
    assert window[0, 0, 0] == begin
    tall = image.reshape(-1, 1, 1)
    assert reference.window(tall, crop=(2, 1), crop_pos=(position, 0.0))[0, 0, 0] == begin


def test_a_window_is_cropped_first_and_mirrored_then():
    image = np.arange(6).reshape(1, 6, 1)
    seen = reference.window(image, crop=(1, 3), crop_pos=(0.0, 1.0), mirror=True)
    np.testing.assert_array_equal(seen[0, :, 0], [5, 4, 3])


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (np.uint8, 0.5, 0),
        (np.uint8, 1.5, 2),
        (np.uint8, 2.5, 2),
        (np.uint8, 254.5, 254),
        (np.uint8, 255.5, 255),
        (np.uint8, 1e30, 255),
        (np.uint8, -1e30, 0),
        (np.uint8, np.inf, 255),
        (np.uint8, np.nan, 0),
        (np.int8, -0.5, 0),
        (np.int8, -1.5, -2),
        (np.int8, -128.5, -128),
        (np.int8, 127.5, 127),
        (np.int8, -np.inf, -128),
        (np.int8, np.nan, -128),
        (np.float16, 65519.0, 65504.0),
        (np.float16, 65520.0, np.inf),
        (np.float16, 1.0 + 2.0**-11, 1.0),
        (np.float16, 1.0 + 3 * 2.0**-11, 1.0 + 2.0**-9),
        (np.float16, 2.0**-25, 0.0),
        (np.float16, 1.5 * 2.0**-25, 2.0**-24),
    ],
)
def test_cast_rounds_halves_to_even_and_saturates(dtype, value, expected):
    cast = reference.cast(np.array([value]), np.dtype(dtype))
    assert cast.dtype == dtype and cast[0] == expected


def one_pixel(images, plan, y, x, c, mean, std, scale, shift):
    """The formula of the README for one output value of sample 0, in Python's floats."""
    j = int(plan.partner[0])
    y0, x0, y1, x1 = plan.box[0]
    w = 0.0 if y0 <= y < y1 and x0 <= x < x1 else float(plan.blend[0])
    mixed = w * float(images[0][y, x, c]) + (1 - w) * float(images[j][y, x, c])
    return scale * (mixed - mean[c]) / std[c] + shift


def test_apply_is_the_formula_at_every_pixel():
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (5, 7, 3), np.uint8) for _ in range(3)]
    plan = plan_of([2, 1, 0], [0.375, 1, 1], [(1, 2, 4, 6), (0, 0, 0, 0), (0, 0, 0, 0)])
    mean, std, scale, shift = (10.0, 20.5, 30.25), (2.0, 4.0, 0.5), 1.5, -3.0
    out = reference.apply(images, plan, mean=mean, std=std, scale=scale, shift=shift)[0]
    for y, x, c in np.ndindex(5, 7, 3):
        exact = one_pixel(images, plan, y, x, c, mean, std, scale, shift)
        assert out[c, y, x] == pytest.approx(exact, rel=1e-6, abs=1e-4)


def test_scale_and_shift_are_the_float32_that_the_operator_takes():
    image = np.arange(1, 1000, dtype=np.float32).reshape(1, -1, 1)
    out = reference.apply([image], plan_of([0]), scale=0.3, shift=0.7)[0]
    k, s = float(np.float32(0.3)), float(np.float32(0.7))
    np.testing.assert_array_equal(out.ravel(), np.float32(image.ravel().astype(float) * k + s))


def test_own_and_partner_are_each_seen_through_their_own_window():
    images = [np.arange(12, dtype=np.float32).reshape(3, 4, 1) + 100 * i for i in range(2)]
    windows = [
        {"crop": (2, 2), "crop_pos": (0.0, 0.0)},
        {"crop": (2, 2), "crop_pos": (1.0, 1.0), "mirror": True},
    ]
    out = reference.apply(images, plan_of([1, 0], [0.75, 1.0]), windows=windows)[0][0]
    own = np.array([[0, 1], [4, 5]])
    partner = np.array([[107, 106], [111, 110]])
    np.testing.assert_array_equal(out, 0.75 * own + 0.25 * partner)


def test_what_is_not_read_does_not_leak():
    images = [np.full((2, 2, 1), np.nan, np.float32), np.ones((2, 2, 1), np.float32)]
    out = reference.apply(images, plan_of([1, 0], [0.0, 1.0]))
    assert (out[0] == 1).all() and (out[1] == 1).all()


@pytest.mark.parametrize(("channels", "padded"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8)])
def test_padding_adds_zeros_up_to_a_power_of_two(channels, padded):
    image = np.ones((2, 3, channels), np.uint8)
    out = reference.apply([image], plan_of([0]), shift=1.0, pad_output=True)[0]
    assert out.shape == (padded, 2, 3)
    assert (out[:channels] == 2).all() and (out[channels:] == 0).all()


@pytest.mark.parametrize("output_layout", ["CHW", "HWC"])
def test_layouts_hold_the_same_values(output_layout):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    plan = plan_of([0])
    interleaved = reference.apply([image], plan, output_layout=output_layout)[0]
    planar = reference.apply(
        [image.transpose(2, 0, 1)], plan, input_layout="CHW", output_layout=output_layout
    )[0]
    np.testing.assert_array_equal(interleaved, planar)
    in_order = interleaved if output_layout == "HWC" else interleaved.transpose(1, 2, 0)
    np.testing.assert_array_equal(in_order, image)


def test_pair_labels_gathers_by_partner():
    plan = plan_of([2, 0, 1])._replace(lam=np.array([0.5, 0.25, 1.0], np.float32))
    own, partners, lam = reference.pair_labels(np.array([10, 20, 30]), plan)
    np.testing.assert_array_equal(own, [10, 20, 30])
    np.testing.assert_array_equal(partners, [30, 10, 20])
    assert lam is plan.lam


def test_the_inputs_are_not_written_to():
    images = [np.arange(8, dtype=np.float32).reshape(2, 2, 2) for _ in range(2)]
    before = [image.copy() for image in images]
    reference.apply(images, plan_of([1, 0], [0.5, 0.0]), mean=3.0)
    np.testing.assert_array_equal(images, before)

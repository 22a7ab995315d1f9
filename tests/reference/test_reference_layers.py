"""The definition of samples of several images, boxes, masks and frames, against values worked out
by hand and loops over single pixels."""

import itertools

import numpy as np
import pytest
from helpers import PerSample, fingerprints
from layered import NO_BOX, plan_for

from dali_mix import reference
from dali_mix.plan import Plan


def weights(size, frame=0, **columns):
    """Of sample 0."""
    partners = np.size(columns["partner"])
    assert partners == 1 or len(columns["box"]) == partners
    return reference.image_weights(plan_for(1, **columns), 0, size, frame)


def test_later_boxes_cover_earlier_ones_by_hand():
    got = weights((2, 5), partner=[1, 2], blend=[0.5, 0.25, 0.25], box=[(0, 0, 2, 3), (1, 2, 2, 4)])
    np.testing.assert_array_equal(got[0], [[0, 0, 0, 0.5, 0.5], [0, 0, 0, 0, 0.5]])
    np.testing.assert_array_equal(got[1], [[1, 1, 1, 0.25, 0.25], [1, 1, 0, 0, 0.25]])
    np.testing.assert_array_equal(got[2], [[0, 0, 0, 0.25, 0.25], [0, 0, 1, 1, 0.25]])


def test_several_boxes_of_one_partner_by_hand():
    got = weights((2, 4), partner=1, blend=0.75, box=[(0, 0, 1, 2), (0, 1, 2, 3), NO_BOX])
    np.testing.assert_array_equal(got[0], [[0, 0, 0, 0.75], [0.75, 0, 0, 0.75]])
    np.testing.assert_array_equal(got[1], 1 - got[0])


def test_cells_by_hand():
    """5 columns over 2 cells: x * 2 // 5 is 0, 0, 0, 1, 1."""
    got = weights((2, 5), partner=1, blend=0.5, mask=PerSample([[[0, 255]]]))
    np.testing.assert_array_equal(got[0], [[0, 0, 0, 0.5, 0.5]] * 2)
    got = weights((3, 1), partner=1, mask=PerSample([[[51], [255]]]))
    np.testing.assert_allclose(got[0][:, 0], [0.2, 0.2, 1.0])


def test_one_weight_leaves_the_rest_to_the_first_partner():
    got = weights((1, 1), partner=[1, 2], blend=0.25, box=[NO_BOX] * 2)
    np.testing.assert_array_equal(got.ravel(), [0.25, 0.75, 0])


def test_an_image_that_is_its_own_partner_is_unmixed():
    mask = PerSample([np.zeros((1, 1))])
    got = weights((2, 2), partner=0, blend=0.3, box=(0, 0, 1, 1), mask=mask)
    np.testing.assert_array_equal(got, [np.ones((2, 2)), np.zeros((2, 2))])


@pytest.mark.parametrize(("frame", "boxed"), [(0, False), (1, True), (2, True), (3, False)])
def test_the_box_is_in_some_frames(frame, boxed):
    got = weights((1, 2), frame, partner=1, box=(0, 0, 1, 1), frames=(1, 3))
    np.testing.assert_array_equal(got[0], [[0 if boxed else 1, 1]])


def test_count_weights_is_the_mean_of_painted_pixels():
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width, frames = (int(n) for n in rng.integers(1, 12, 3))
        blend = rng.multinomial(10, [0.4, 0.3, 0.3]) / 10
        ends = np.sort(rng.integers(0, [height + 1, width + 1], (2, 2, 2)), axis=1)
        boxes = [(*low, *high) for low, high in ends]
        begin, end = np.sort(rng.integers(0, frames + 1, 2))
        counted = np.zeros(3)
        for f, y, x in itertools.product(range(frames), range(height), range(width)):
            shown = [
                number
                for number, (y0, x0, y1, x1) in enumerate(boxes, 1)
                if begin <= f < end and y0 <= y < y1 and x0 <= x < x1
            ]
            counted += np.eye(3)[shown[-1]] if shown else blend
        plan = plan_for(1, partner=[0, 0], blend=blend, box=boxes, frames=(begin, end))
        got = reference.count_weights(plan, 0, (frames, height, width))
        assert got.dtype == np.float32 and got.shape == (3,)
        np.testing.assert_allclose(got, counted / (frames * height * width), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (1, 2, 3, 4), (0, 0, 5, 7)])
def test_count_weights_of_a_pair_begins_with_count_lam(box):
    plan = plan_for(2, partner=PerSample([1, 0]), box=box)
    own, partner = reference.count_weights(plan, 0, (5, 7))
    assert own == reference.count_lam(box, (5, 7)) and abs(own + partner - 1) < 1e-7


def test_a_part_of_a_partner_by_hand():
    """The box (1, 1, 2, 3) with the offset (1, -1) shows pixels (2, 0) and (2, 1)."""
    images = fingerprints(2, 3, 4)
    plan = plan_for(2, partner=PerSample([1, 1]), box=(1, 1, 2, 3), offset=[(1, -1)])
    out = reference.apply(images, plan, output_layout="HWC")[0]
    expected = images[0].astype(float)
    expected[1, 1:3] = images[1][2, 0:2]
    np.testing.assert_array_equal(out, expected)


def test_a_fitted_image_by_hand():
    images, fitted = (
        fingerprints(2, 3, 4),
        [fingerprints(9, 1, 2)[8], np.zeros((1, 1, 3), np.uint8)],
    )
    plan = plan_for(2, partner=PerSample([1, 1]), box=(1, 1, 2, 3), fit=PerSample([1, 0]))
    for mirror in (False, True):
        windows = [{}, {"mirror": mirror}]
        out = reference.apply(images, plan, fitted=fitted, windows=windows, output_layout="HWC")[0]
        expected = images[0].astype(float)
        expected[1, 1:3] = fitted[0][0, ::-1] if mirror else fitted[0][0]
        np.testing.assert_array_equal(out, expected)


def test_others_lie_behind_the_images():
    images, others = fingerprints(2, 2, 3), fingerprints(4, 2, 3)[2:]
    plan = plan_for(2, partner=PerSample([3, 2]), blend=0.25)
    out = reference.apply(images, plan, others=others, output_layout="HWC")
    for i in range(2):
        np.testing.assert_array_equal(out[i], 0.25 * images[i] + 0.75 * others[1 - i])


def test_maps_are_copied_by_hand():
    maps = [np.full((1, 3), value, np.int64) for value in (1, 2**60 + 1)]
    plan = plan_for(2, partner=PerSample([1, 0]), blend=0.5, box=(0, 1, 1, 2))
    for copied, expected in enumerate([[1, 2**60 + 1, 1], [2**60 + 1] * 3]):
        out = reference.apply(maps, plan, copied=copied, input_layout="HW", output_layout="HW")[0]
        assert out.dtype == np.int64 and out.tolist() == [expected]


@pytest.mark.parametrize("layout", ["FHWC", "FCHW", "CFHW", "DHWC", "DCHW", "CDHW", "HWC", "HW"])
def test_frames_come_and_go(layout):
    shape = [{"F": 2, "D": 2, "H": 3, "W": 5, "C": 4}[axis] for axis in layout]
    array = np.arange(np.prod(shape)).reshape(shape)
    frames = reference.to_frames(array, layout)
    assert frames.shape == (2 if shape[0] == 2 or 2 in shape else 1, 3, 5, 4 if 4 in shape else 1)
    np.testing.assert_array_equal(reference.from_frames(frames, layout), array)
    at = {"F": 1, "D": 1, "H": 2, "W": 3, "C": 1}
    index = tuple(at[axis] for axis in layout)
    assert frames[frames.shape[0] - 1, 2, 3, min(1, frames.shape[3] - 1)] == array[index]


def test_the_further_columns_may_be_left_out():
    assert Plan(1, 2, 3, 4, 5)[5:] == (None,) * 7

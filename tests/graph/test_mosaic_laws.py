"""The laws of Mosaic: where the point and the window lie, and which images meet. Thresholds are
those of tests at about 1 in 1000."""

import numpy as np
import pytest
from helpers import chi2_accepts
from test_mosaic import CANVAS, drawn, one_batch, points_of, ragged

from dali_mix import Mosaic


@pytest.mark.parametrize("canvas", [(8, 13), (13, 8)])
def test_the_point_is_uniform_in_the_middle_half(canvas):
    images = [np.zeros((n, m, 1), np.uint8) for n, m in ((30, 40), (26, 35)) * 25]
    plan = drawn(images, Mosaic(canvas), runs=60)
    points = np.concatenate([points_of(one_batch(plan, r), images) for r in range(60)])
    for axis, side in enumerate(canvas):
        counts = np.bincount(points[:, axis] - side // 2, minlength=side)
        assert len(counts) == side and chi2_accepts(counts)
    assert abs(np.corrcoef(points.T)[0, 1]) < 3.5 / np.sqrt(len(points))


def test_the_window_is_uniform_on_the_mosaic():
    """The point as seen in the window: the difference of two independent uniform numbers."""
    images = [np.full((60, 60, 1), 1, np.uint8)] * 50
    plan = drawn(images, Mosaic(8, cropped=True), runs=80)
    points = np.concatenate([points_of(one_batch(plan, r), images) for r in range(80)])
    shown = np.concatenate([one_batch(plan, r).box[:, 0].any(1) for r in range(80)])
    law = np.convolve(np.ones(8), np.ones(9)) / 72  # of 4 + [0, 8) - [0, 9)
    for along in points[shown].T:  # the own image shows if the point lies inside on both axes
        seen = np.arange(-4, 12) >= 1
        counts = np.bincount(along + 4, minlength=16)[seen]
        assert chi2_accepts(counts, law[seen] / law[seen].sum() * counts.sum())


def test_the_four_images_differ_and_partners_are_permutations():
    plan = drawn(ragged(5), Mosaic(CANVAS), runs=40)
    for partner in plan.partner:
        assert (np.sort(partner, 0) == np.arange(5)[:, None]).all()
        assert all(len({i, *row}) == 4 for i, row in enumerate(partner.tolist()))


def test_one_draw_for_the_batch():
    images = ragged(5)
    plan = one_batch(drawn(images, Mosaic(CANVAS), per="batch"))
    assert (points_of(plan, images) == points_of(plan, images)[0]).all()


def test_a_seed_gives_a_plan():
    one, same, other = (drawn(ragged(5), Mosaic(CANVAS), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.box, same.box)
    assert (one.box != other.box).any()

"""The laws of RICAP: where the point lies that its four images meet in, which corner is the own
image's, and what the others are cropped to. Thresholds are those of tests at about 1 in 1000."""

import math
from itertools import combinations

import numpy as np
import pytest
from helpers import chi2_accepts, draw, ks_accepts
from scipy import stats

from dali_mix import RICAP

COUNT = 10000


def corners(alpha, size):
    """The plan, and the samples that show three partners: there the point can be told."""
    plan = draw(COUNT, RICAP(alpha), size=size, partner="roll")
    return plan, plan.box[0].any(-1).all(-1)


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_the_point_of_ricap_is_beta_along_each_side(alpha):
    size = (3000, 5000)
    plan, whole = corners(alpha, size)
    np.testing.assert_allclose(plan.lam[0].sum(1), 1, atol=1e-6)
    # A corner begins at the point or ends there.
    begin, end = plan.box[0][whole, 0, :2], plan.box[0][whole, 0, 2:]
    point = np.where(begin > 0, begin, end) / size
    law = stats.beta(alpha, alpha)
    inside = law.cdf(1 - 1e-3) - law.cdf(1e-3)
    expected = lambda x: (law.cdf(x) - law.cdf(1e-3)) / inside  # noqa: E731
    for along in point.T:
        mixed = along[(along > 1e-3) & (along < 1 - 1e-3)]
        assert len(mixed) > 5000 and ks_accepts(mixed, expected)
    seen = np.histogram2d(*point.T, bins=4, range=[(0, 1), (0, 1)])[0]
    assert stats.chi2_contingency(seen).pvalue > 1e-3


def corners_of(plan, size):
    """By sample: the box that the partners leave to the own image; None if they overlap."""
    for boxes in plan.box[0]:
        shown = np.zeros(size, int)
        for y0, x0, y1, x1 in boxes:
            shown[y0:y1, x0:x1] += 1
        assert shown.max() <= 1
        y, x = np.nonzero(shown == 0)
        yield (y.min(), x.min(), y.max() + 1, x.max() + 1) if len(y) else None, len(y)


def test_the_four_boxes_of_ricap_are_the_image():
    """They do not overlap, the rest is a box in a corner, and each corner is as likely."""
    size = (19, 23)
    plan = draw(4000, RICAP(1.0), size=size, partner="roll")
    seen = np.zeros((2, 2), int)
    for own, lam, (box, area) in zip(range(4000), plan.lam[0], corners_of(plan, size), strict=True):
        assert lam[0] == np.float32(area / (19 * 23)), own
        if box is None or not (area > 0 and box[2] - box[0] < 19 and box[3] - box[1] < 23):
            continue
        assert (box[2] - box[0]) * (box[3] - box[1]) == area
        seen[int(box[0] > 0), int(box[1] > 0)] += 1
        assert (box[0] == 0 or box[2] == 19) and (box[1] == 0 or box[3] == 23)
    assert seen.sum() > 3000 and chi2_accepts(seen.ravel())


def test_crops_of_ricap_are_inside():
    size = (19, 23)
    plan, _ = corners(2.0, size)
    begin = plan.box[0][..., :2] + plan.offset[0]
    end = plan.box[0][..., 2:] + plan.offset[0]
    assert begin.min() >= 0 and (end <= size).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_crops_of_one_length_begin_anywhere_alike(axis):
    size = (19, 23)
    plan, whole = corners(2.0, size)
    box, offset = plan.box[0][whole], plan.offset[0][whole]
    for length in (size[axis] // 2, size[axis] // 3):
        long = box[..., 2 + axis] - box[..., axis] == length
        begin = (box[..., axis] + offset[..., axis])[long]
        counts = np.bincount(begin, minlength=size[axis] - length + 1)
        assert len(counts) == size[axis] - length + 1
        assert counts.sum() > 500 and chi2_accepts(counts)


def test_crops_of_ricap_are_drawn_apart():
    """Of three partners along two axes no two go together."""
    size = (190, 230)
    plan, whole = corners(2.0, size)
    box, offset = plan.box[0][whole], plan.offset[0][whole]
    space = size - (box[..., 2:] - box[..., :2])
    place = ((box[..., :2] + offset) / space).reshape(-1, 6)
    apart = np.corrcoef(place.T)
    for i, j in combinations(range(6), 2):
        assert abs(apart[i, j]) < 4 / math.sqrt(len(place))

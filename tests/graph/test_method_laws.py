"""The laws by which methods draw weights, boxes and partners; seeds are fixed, thresholds are those
of tests at about 1 in 1000. Where the laws of masks and of corners stand: test_mask_laws.py,
test_corner_laws.py."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from helpers import chi2_accepts, draw, folded, ks_accepts
from scipy import stats

from dali_mix import CutMix, MixUp, MultiMix, PatchMix, ResizeMix

COUNT = 10000


def boxes_of(method, size=(32, 48), count=COUNT, **given):
    return draw(count, method, size=size, partner="roll", **given).box[0]


def sides(boxes):
    return (boxes[..., 2:] - boxes[..., :2]).T


def cover(boxes, size):
    """How many of the boxes cover each pixel."""
    edges = np.zeros((size[0] + 1, size[1] + 1), int)
    y0, x0, y1, x1 = boxes.reshape(-1, 4).T
    for y, x, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        np.add.at(edges, (y, x), sign)
    return edges.cumsum(0).cumsum(1)[:-1, :-1]


# weights


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("images", [3, 7])
def test_weights_are_dirichlet(alpha, images):
    """Each marginal is Beta(alpha, (K-1) alpha), and any sum of two is Beta(2 alpha, ...)."""
    plan = draw(COUNT, MultiMix(alpha, fold=False, images=images), partner="roll")
    weights = plan.blend[0].astype(np.float64)
    np.testing.assert_array_equal(plan.blend, plan.lam)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    for k in range(images):
        assert ks_accepts(weights[:, k], stats.beta(alpha, (images - 1) * alpha).cdf)
    two = stats.beta(2 * alpha, (images - 2) * alpha)
    assert ks_accepts(weights[:, 0] + weights[:, images - 1], two.cdf)


@pytest.mark.parametrize("images", [3, 5, 8])
def test_folded_weights_give_the_own_image_the_largest(images):
    """The order statistics of the others stay those of a Dirichlet draw."""
    weights = draw(COUNT, MultiMix(0.7, images=images), partner="roll").lam[0]
    assert (weights[:, :1] >= weights).all()
    expected = np.random.default_rng(0).dirichlet([0.7] * images, COUNT)
    for mine, theirs in zip(np.sort(weights, 1).T, np.sort(expected, 1).T, strict=True):
        assert stats.ks_2samp(mine, theirs).pvalue > 1e-3
    means = weights[:, 1:].mean(0)
    assert np.ptp(means) < 4 * weights[:, 1:].std() * math.sqrt(2 / COUNT)


@pytest.mark.parametrize("fold", [False, True])
def test_two_images_are_mixup(fold):
    lam = draw(COUNT, MultiMix(0.4, fold=fold, images=2), partner="roll").lam
    assert lam.ndim == 2 and ks_accepts(lam, folded(0.4) if fold else stats.beta(0.4, 0.4).cdf)
    np.testing.assert_array_equal(lam, draw(COUNT, MixUp(0.4, fold=fold), partner="roll").lam)


@pytest.mark.parametrize("bounds", [(0.45, 0.55), (0.0, 1.0), (0.3, 0.3)])
def test_uniform_mixup_is_uniform_in_its_range(bounds):
    lam = draw(COUNT, MixUp(uniform=bounds), partner="roll").lam
    low, high = np.float32(bounds)
    assert low <= lam.min() and lam.max() <= high
    assert low == high or ks_accepts(lam, stats.uniform(low, high - low).cdf, upto=high)


# boxes


@pytest.mark.parametrize("size", [(11, 13), (13, 11)])
@pytest.mark.parametrize("lam", [0.9, 0.5])
def test_boxes_inside_have_all_origins_alike(size, lam):
    boxes = boxes_of(CutMix(place="inside"), size, lam=lam)
    expected = [math.floor(n * math.sqrt(1 - np.float32(lam))) for n in size]
    assert (expected == sides(boxes).T).all()
    origins = np.zeros([n - side + 1 for n, side in zip(size, expected, strict=True)], int)
    np.add.at(origins, tuple(boxes[:, :2].T), 1)
    assert chi2_accepts(origins.ravel())


@pytest.mark.parametrize("size", [(12, 17), (17, 12)])
@pytest.mark.parametrize("given", [{"lam": 0.8}, {}])
def test_uniform_boxes_cover_every_pixel_equally_often(size, given):
    """And the paper's do not: there the middle is covered more often than the corners."""
    heat = cover(boxes_of(CutMix(place="uniform"), size, **given), size)
    flat = heat.mean()
    noise = 4 * math.sqrt(flat)
    assert np.abs(heat - flat).max() < noise
    paper = cover(boxes_of(CutMix(), size, **given), size)
    assert np.abs(paper - paper.mean()).max() > noise


def test_corners_and_centres_of_the_papers_boxes():
    """As docs/how-it-works.md says: 48 % against 14 % on 32 by 32 pixels, at alpha 1."""
    heat = cover(boxes_of(CutMix(), (32, 32)), (32, 32)) / COUNT
    assert abs(heat[16, 16] - 0.48) < 0.02 and abs(heat[0, 0] - 0.14) < 0.01


@pytest.mark.parametrize("size", [(50, 31), (31, 50)])
def test_minmax_sides_are_independent_and_include_both_ends(size):
    height, width = sides(boxes_of(CutMix(place="inside", minmax=(0.2, 0.6)), size))
    table = []
    for side, length in ((height, size[0]), (width, size[1])):
        lengths = np.arange(int(0.2 * length), int(0.6 * length) + 1)
        counts = (side[:, None] == lengths).sum(0)
        assert counts.sum() == COUNT and chi2_accepts(counts)
        table.append(side)
    assert abs(np.corrcoef(*table)[0, 1]) < 3.5 / math.sqrt(COUNT)


def test_minmax_ignores_alpha():
    one, other = (boxes_of(CutMix(alpha, minmax=(0.2, 0.6))) for alpha in (0.1, 8.0))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bounds", [(0.5, 2.0), (0.25, 0.5), (3.0, 3.0)])
def test_the_aspect_is_uniform_in_its_logarithm(bounds):
    size = (4000, 6000)
    height, width = sides(boxes_of(CutMix(place="inside", aspect=bounds), size, lam=0.9))
    ratio = np.log((height / size[0]) / (width / size[1]))
    low, high = np.log(bounds)
    if low == high:
        assert np.abs(ratio - low).max() < 5e-3
        return
    # Sides are whole pixels, so that ratios near the ends are off by the last pixel.
    assert ratio.min() > low - 5e-3 and ratio.max() < high + 5e-3
    assert ks_accepts(ratio, stats.uniform(low, high - low).cdf, upto=high)
    area = height * width / (size[0] * size[1])
    assert np.abs(area - 0.1).max() < 2e-3


def test_a_stretched_box_is_no_longer_than_the_image():
    box = boxes_of(CutMix(place="inside", aspect=(1e-6, 1e6)), (32, 48))
    height, width = sides(box)
    assert height.max() == 32 and width.max() == 48 and box.min() >= 0


@pytest.mark.parametrize("boxes", [2, 3, 8])
@pytest.mark.parametrize("place", ["center", "inside", "uniform"])
def test_lam_of_several_boxes_is_counted_from_their_union(boxes, place):
    size = (17, 23)
    plan = draw(1000, CutMix(place=place, boxes=boxes), size=size, partner="roll")
    own = np.ones((1000, *size), bool)
    for i, listed in enumerate(plan.box[0]):
        assert listed.shape == (boxes, 4)
        for y0, x0, y1, x1 in listed:
            own[i, y0:y1, x0:x1] = False
    np.testing.assert_array_equal(plan.lam[0], own.reshape(1000, -1).mean(1).astype(np.float32))


def test_several_boxes_share_the_area_and_lie_apart():
    boxes = boxes_of(CutMix(place="inside", boxes=4), (200, 300), lam=0.64)
    assert (boxes[..., 2:] - boxes[..., :2] == [60, 90]).all()
    first, second = boxes[:, 0, 0], boxes[:, 1, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 3.5 / math.sqrt(COUNT)


# resizemix


@pytest.mark.parametrize("scope", [(0.1, 0.8), (0.5, 0.5), (0.0, 1.0)])
def test_resizemix_draws_the_share_of_the_sides(scope):
    size = (3000, 5000)
    plan = draw(COUNT, ResizeMix(scope), size=size, partner="roll")
    height, width = sides(plan.box[0])
    assert (plan.fit[0] == np.stack([height, width], 1)).all()
    assert np.abs(height / size[0] - width / size[1]).max() < 1 / size[0]
    if scope[0] == scope[1]:
        assert (height == 1500).all()
    else:
        law = stats.uniform(scope[0], scope[1] - scope[0])
        assert ks_accepts((width + 0.5) / size[1], law.cdf, upto=scope[1])
    y0, x0, y1, x1 = plan.box[0].T
    assert y0.min() >= 0 and x0.min() >= 0 and y1.max() <= size[0] and x1.max() <= size[1]


def test_resized_partners_lie_anywhere_inside():
    boxes = draw(COUNT, ResizeMix((0.5, 0.5)), size=(10, 14), partner="roll").box[0]
    origins = np.zeros((6, 8), int)
    np.add.at(origins, tuple(boxes[:, :2].T), 1)
    assert chi2_accepts(origins.ravel())


# patches


@pytest.mark.parametrize("place", ["center", "inside", "uniform"])
@pytest.mark.parametrize("patch", [4, (8, 2), (2, 8)])
def test_boxes_of_patches_are_those_of_cutmix_on_the_grid(place, patch):
    h, w = patch if isinstance(patch, tuple) else (patch, patch)
    boxes = boxes_of(PatchMix(patch=patch, place=place), (32, 48))
    cells = boxes_of(CutMix(place=place), (32 // h, 48 // w))
    np.testing.assert_array_equal(boxes, cells * [h, w, h, w])


# partners


@pytest.mark.parametrize("count", [4, 5])
def test_partners_of_several_images_are_any_other_images_in_any_order(count):
    """Each sample's three are uniform among the ordered choices of three others; each column of a
    batch is a permutation."""
    partner = draw(count, MultiMix(8.0, images=4), runs=1800).partner
    assert (np.sort(partner, 1) == np.arange(count)[:, None]).all()
    for i in range(count):
        others = [j for j in range(count) if j != i]
        seen = Counter(map(tuple, partner[:, i].tolist()))
        choices = list(itertools.permutations(others, 3))
        assert set(seen) == set(choices)
        assert chi2_accepts([seen[choice] for choice in choices])

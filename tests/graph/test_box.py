"""The box of cutmix: where it lies, how large it is, and that lam is counted from it."""

import math

import numpy as np
import pytest
from helpers import PerSample, arrays, build, chi2_accepts, draw, feed, random_images
from scipy import stats

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixUp

FLAT = [(7, 9), (1, 40), (40, 1), (2, 2), (32, 48), (48, 32), (31, 37), (224, 224)]


def masks(boxes, size):
    """True where the own image shows, painted box by box."""
    own = np.ones((len(boxes), *size), bool)
    for mask, (y0, x0, y1, x1) in zip(own, boxes, strict=True):
        mask[y0:y1, x0:x1] = False
    return own


def inside(boxes, size):
    """Boxes that nothing was clipped from, for certain."""
    y0, x0, y1, x1 = boxes.T
    return (y0 > 0) & (x0 > 0) & (y1 < size[0]) & (x1 < size[1])


@pytest.mark.parametrize("size", FLAT)
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_lam_is_the_share_of_own_pixels(size, alpha):
    count = 10000 if size[0] * size[1] < 5000 else 500
    plan = draw(count, CutMix(alpha), size=size, partner="roll")
    box, lam = plan.box[0], plan.lam[0]
    share = masks(box, size).reshape(count, -1).mean(1)
    assert lam.dtype == np.float32
    np.testing.assert_array_equal(lam, share.astype(np.float32))
    assert (plan.blend == 1).all()


@pytest.mark.parametrize("size", FLAT)
def test_boxes_lie_inside_the_image_and_an_empty_one_is_all_zero(size):
    box = draw(10000, CutMix(1.0), size=size, partner="roll").box[0]
    y0, x0, y1, x1 = box.T
    empty = ~box.any(1)
    assert ((y0 >= 0) & (y0 < y1) & (y1 <= size[0]) | empty).all()
    assert ((x0 >= 0) & (x0 < x1) & (x1 <= size[1]) | empty).all()


@pytest.mark.parametrize("size", [(32, 48), (48, 32), (33, 47), (64, 64)])
@pytest.mark.parametrize("lam", [0.95, 0.9, 0.8, 0.7])
def test_sides_that_are_not_clipped_are_exact(size, lam):
    box = draw(3000, CutMix(1.0), size=size, lam=lam).box[0]
    box = box[inside(box, size)]
    ratio = math.sqrt(1 - float(np.float32(lam)))
    expected = [math.floor(size[0] * ratio), math.floor(size[1] * ratio)]
    assert len(box) > 100
    assert (box[:, 2:] - box[:, :2] == expected).all()


def test_odd_sides_are_as_frequent_as_even_ones():
    box = draw(20000, CutMix(1.0), size=(224, 224), partner="roll").box[0]
    box = box[inside(box, (224, 224))]
    odd = (box[:, 2] - box[:, 0]) % 2
    assert abs(odd.mean() - 0.5) < 3 * np.sqrt(0.25 / len(box)) + 0.01


@pytest.mark.parametrize("side", [3, 4])
def test_all_origins_of_whole_boxes_are_equally_likely(side):
    """The last one too, for an odd and an even side: no row or column is out of reach."""
    size = (11, 13)
    lam = 1 - (side / 11 + 1e-4) ** 2
    box = draw(30000, CutMix(1.0), size=size, lam=lam).box[0]
    width = math.floor(13 * math.sqrt(1 - lam))
    whole = (box[:, 2] - box[:, 0] == side) & (box[:, 3] - box[:, 1] == width)
    origins = np.zeros((11 - side + 1, 13 - width + 1), int)
    np.add.at(origins, tuple(box[whole][:, :2].T), 1)
    assert origins.min() > 0 and chi2_accepts(origins.ravel())


@pytest.mark.parametrize(
    ("size", "lam"), [((7, 9), 0.75), ((6, 8), 0.6), ((1, 12), 0.0), ((5, 5), 0)]
)
def test_the_centre_is_uniform_over_the_pixels(size, lam):
    """Clipped boxes too: their frequencies are those of all centres, each painted on a canvas that
    is larger than the image."""
    sides = [math.floor(n * math.sqrt(1 - float(np.float32(lam)))) for n in size]
    expected = {}
    for cy, cx in np.ndindex(size):
        canvas = np.zeros((3 * size[0], 3 * size[1]), bool)
        top, left = size[0] + cy - sides[0] // 2, size[1] + cx - sides[1] // 2
        canvas[top : top + sides[0], left : left + sides[1]] = True
        seen = canvas[size[0] : 2 * size[0], size[1] : 2 * size[1]].tobytes()
        expected[seen] = expected.get(seen, 0) + 1
    count = 20000
    plan = draw(count, CutMix(1.0), size=size, lam=lam)
    counted = dict.fromkeys(expected, 0)
    for mask in ~masks(plan.box[0], size):
        counted[mask.tobytes()] += 1  # KeyError: a box that no centre gives
    scale = count / (size[0] * size[1])
    assert chi2_accepts(list(counted.values()), [scale * expected[key] for key in counted])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("fold", [False, True])
def test_the_counted_lam_follows_the_law_of_the_paper(alpha, fold):
    """Against a draw without pixels: centre uniform in the unit square, sides sqrt(1 - t)."""
    rng = np.random.default_rng(0)
    t = rng.beta(alpha, alpha, 20000)
    t = np.maximum(t, 1 - t) if fold else t
    center, half = rng.random((2, 20000)), np.sqrt(1 - t) / 2
    sides = np.minimum(center + half, 1) - np.maximum(center - half, 0)
    lam = draw(20000, CutMix(alpha, fold=fold), size=(5000, 5000), partner="roll").lam[0]
    expected = 1 - sides[0] * sides[1]
    # Beyond this share pixels are too coarse.
    lam, expected = (np.minimum(np.float32(x), np.float32(0.9999)) for x in (lam, expected))
    assert stats.ks_2samp(lam, expected).pvalue > 1e-3


def test_the_mean_area_of_the_paper_is_reached():
    """0.318 of the image at alpha 1, as measured on the authors' code; not 0.5."""
    lam = draw(20000, CutMix(1.0), size=(224, 224), partner="roll").lam
    assert abs((1 - lam).mean() - 0.318) < 0.006


def test_how_often_each_pixel_is_replaced():
    """At alpha 1 a side s has a chance of (s+1)^2 - s^2 in 32^2; where it lies is counted."""
    expected = np.zeros((32, 32))
    for side in range(32):
        painted = np.zeros((32, 96), bool)
        for center in range(32):
            begin = 32 + center - side // 2
            painted[center, begin : begin + side] = True
        along = painted[:, 32:64].mean(0)
        expected += ((side + 1) ** 2 - side**2) / 32**2 * np.outer(along, along)
    hidden = ~masks(draw(20000, CutMix(1.0), size=(32, 32), partner="roll").box[0], (32, 32))
    assert np.abs(hidden.mean(0) - expected).max() < 4 * np.sqrt(0.25 / 20000)


def test_origins_of_different_samples_are_uncorrelated():
    box = draw(16, CutMix(1.0), lam=0.9, runs=1500).box.astype(float)
    for axis in (0, 1):
        correlation = np.corrcoef(box[:, :, axis].T) - np.eye(16)
        assert np.abs(correlation).max() < 4.5 / np.sqrt(1500)


def test_an_empty_box_leaves_the_sample_unmixed():
    """Sides below one pixel: 1 in 64 at 8 x 8 and alpha 1."""
    plan = draw(20000, CutMix(1.0), size=(8, 8), partner="roll")
    empty = ~plan.box[0].any(1)
    assert abs(empty.mean() - 1 / 64) < 3 * np.sqrt(1 / 64 / 20000)
    assert (plan.lam[0][empty] == 1).all()
    assert (plan.partner[0][empty] == np.flatnonzero(empty)).all()


def test_given_boxes_are_clipped_and_counted():
    boxes = [
        (1, 2, 5, 7),
        (-3, -4, 2, 3),
        (4, 6, 100, 200),
        (0, 0, 6, 8),
        (3, 3, 3, 8),
        (9, 9, 12, 12),
    ]
    plan = draw(6, CutMix(1.0), size=(6, 8), box=PerSample(np.int32(boxes)))
    expected = [(1, 2, 5, 7), (0, 0, 2, 3), (4, 6, 6, 8), (0, 0, 6, 8), (0, 0, 0, 0), (0, 0, 0, 0)]
    assert plan.box[0].tolist() == [list(box) for box in expected]
    share = masks(expected, (6, 8)).reshape(6, -1).mean(1)
    assert plan.lam[0].tolist() == share.astype(np.float32).tolist()


def test_given_boxes_concern_cutmix_alone():
    plan = draw(1000, [MixUp(8.0), CutMix(1.0)], box=(0, 0, 16, 48))
    cut = plan.box[0].any(1)
    assert 400 < cut.sum() < 600
    assert (plan.lam[0][cut] == 0.5).all() and (plan.blend[0][~cut] < 1).all()


def test_given_lam_is_the_share_that_the_box_is_to_leave():
    lam = PerSample(np.linspace(0, 1, 2000, dtype=np.float32))
    plan = draw(2000, CutMix(1.0), size=(200, 300), lam=lam)
    whole = inside(plan.box[0], (200, 300))
    assert whole.sum() > 300
    assert np.abs(plan.lam[0] - lam)[whole].max() < 1 / 100  # sides are rounded down
    assert (plan.lam[0] >= np.float32(lam)).all()  # clipping only shrinks


def test_boxes_of_images_of_different_sizes_lie_in_their_own_image():
    shapes = [(7, 300, 3), (300, 7, 3), (50, 60, 3), (1, 1, 3)] * 50
    images = random_images(np.random.default_rng(0), shapes)

    def graph():
        return dmix.plan(feed([images], "HWC"), None, CutMix(1.0))

    _, _, boxes, lams, sizes = (arrays(column) for column in build(graph, batch_size=200).run())
    for shape, box, lam, size in zip(shapes, boxes, lams, sizes, strict=True):
        assert size.tolist() == list(shape[:2])
        assert 0 <= box[0] <= box[2] <= shape[0] and 0 <= box[1] <= box[3] <= shape[1]
        assert lam == np.float32(masks([box], shape[:2]).mean())


def test_a_given_box_is_cutmixs_alone():
    """A method beside it with alpha 0 is off, as it is without the box."""
    boxes = [np.int32([1, 2, 3, 5])] * 64

    def graph():
        methods = [CutMix(1.0), RICAP(alpha=0.0)]
        plan = dmix.plan(None, methods=methods, size=(7, 9), box=feed([boxes]))
        return plan.lam, plan.box

    lam, box = map(arrays, build(graph, batch_size=64).run())
    cut = [b[0].any() for b in box]
    assert 0 < sum(cut) < 64
    for is_cut, share in zip(cut, lam, strict=True):
        own = 1 - 2 * 3 / (7 * 9) if is_cut else 1
        np.testing.assert_allclose(share, [own, 1 - own, 0, 0], atol=1e-7)


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_the_size_of_an_image_is_found_by_its_layout(layout):
    images = [np.zeros((5, 6, 7), np.uint8)] * 2
    size = build(lambda: dmix.plan(feed([images], layout)).size, batch_size=2).run()[0]
    assert arrays(size)[0].tolist() == ([5, 6] if layout == "HWC" else [6, 7])


@pytest.mark.parametrize("given", [{"size": (3, 4)}, {"crop": (3, 4)}, {"crop_h": 3, "crop_w": 4}])
def test_a_given_size_comes_before_that_of_the_images(given):
    images = [np.zeros((5, 6, 3), np.uint8)] * 2
    size = build(lambda: dmix.plan(feed([images], "HWC"), **given).size, batch_size=2).run()[0]
    assert arrays(size)[1].tolist() == [3, 4]

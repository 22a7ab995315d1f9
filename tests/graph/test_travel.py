"""Boxes and points that travel with their images: the operator against the definition, and both
against what is known beforehand."""

import numpy as np
import pytest
from helpers import PerSample, feed, node_of, run
from layered import plan_for
from nvidia.dali import fn
from random_batches import Seeded, random_batch

import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.plan import Plan


def travel(shapes, labels, plan, *, others=None, views=None):
    """The operator once: (shapes, labels, weights)."""

    def graph():
        inputs = [feed([list(shapes)]), feed([list(labels)])]
        names = []
        if others is not None:
            inputs += [feed([list(values)]) for values in others]
            names += ["other_shapes", "other_labels"]
        if plan.mask is not None:
            inputs.append(feed([plan.mask]))
            names.append("mask")
        columns = plan._asdict() | {"views": views}
        given = {
            name: node_of(PerSample(values))
            for name, values in columns.items()
            if values is not None and name not in ("lam", "mask", "frames")
        }
        return fn.dali_mix.travel(*inputs, inputs=names, **given)

    return run(graph, batch_size=len(shapes))


def boxes_of(*boxes):
    return np.float32(boxes).reshape(-1, 4)


def both(shapes, plan, size, **options):
    """Labels number the shapes of all images. The operator's answer, checked against the
    definition's."""
    count = len(shapes)
    plan = plan._replace(size=[np.int32(size)] * count)
    ends = np.cumsum([0, *(len(shape) for shape in shapes)])
    labels = [np.arange(*ends[i : i + 2], dtype=np.int32) for i in range(count)]
    got = travel(shapes, labels, plan, **options)
    expected = reference.travel(shapes, labels, plan)
    assert_alike(got, expected)
    return got


def assert_alike(got, expected):
    for ours, theirs in zip(got[:2], expected[:2], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_array_equal(a, b)
    for a, b in zip(got[2], expected[2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


PAIR = PerSample([1, 0])
OWN, PARTNER = boxes_of((0.1, 0.2, 0.3, 0.7)), boxes_of((0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0))


def test_mixup_keeps_all_boxes_with_both_weights():
    boxes, labels, weights = both([OWN, PARTNER], plan_for(2, partner=PAIR, blend=0.75), (40, 60))
    np.testing.assert_array_equal(boxes[0], np.concatenate([OWN, PARTNER]))
    np.testing.assert_array_equal(boxes[1], np.concatenate([PARTNER, OWN]))
    np.testing.assert_array_equal(labels[0], [0, 1, 2])
    np.testing.assert_array_equal(weights[0], np.float32([0.75, 0.25, 0.25]))
    np.testing.assert_array_equal(weights[1], np.float32([0.75, 0.75, 0.25]))


def test_a_box_cuts_the_own_ones_and_shows_the_partners():
    """The upper left quarter is the partner's. Own boxes: covered; half covered; cut at a corner,
    which leaves the box; away from it."""
    own = boxes_of(
        (0.1, 0.1, 0.4, 0.3), (0.25, 0.0, 0.75, 0.5), (0.25, 0.25, 0.75, 0.75), (0.6, 0.6, 0.9, 0.9)
    )
    partner = boxes_of((0.25, 0.25, 0.75, 0.5), (0.5, 0.5, 1.0, 1.0), (0.1, 0.1, 0.4, 0.3))
    plan = plan_for(2, partner=PerSample([1, 1]), box=(0, 0, 20, 30))
    boxes, labels, weights = both([own, partner], plan, (40, 60))
    np.testing.assert_array_equal(labels[0], [1, 2, 3, 4, 6])
    expected = [
        (0.5, 0.0, 0.75, 0.5),
        (0.25, 0.25, 0.75, 0.75),
        (0.6, 0.6, 0.9, 0.9),
        (0.25, 0.25, 0.5, 0.5),
        (0.1, 0.1, 0.4, 0.3),
    ]
    np.testing.assert_array_equal(boxes[0], boxes_of(*expected))
    np.testing.assert_allclose(weights[0], [0.5, 0.75, 1, 0.5, 1], rtol=1e-6)
    np.testing.assert_array_equal(boxes[1], partner)


@pytest.mark.parametrize("width", [3, 7, 30, 49, 1000])
def test_a_box_that_is_covered_to_the_pixel_leaves_no_sliver(width):
    """Its relative coordinates are rounded, outwards for some."""
    for x0 in range(width - 1):
        own = boxes_of((x0 / width, 0, (x0 + 1) / width, 1))
        plan = plan_for(2, partner=PAIR, box=(0, x0, 3, x0 + 1))
        boxes, labels, weights = both([own, own], plan, (3, width))
        np.testing.assert_array_equal(boxes[0], own)
        assert labels[0].tolist() == [1] and weights[0].tolist() == [1]
        if width > 100 and x0 > 20:
            break


def test_no_boxes_are_ordinary():
    none = np.zeros((0, 4), np.float32)
    plan = plan_for(3, partner=PerSample([1, 2, 0]), blend=0.5)
    boxes, labels, weights = both([none, OWN, none], plan, (5, 7))
    assert [len(x) for x in boxes] == [1, 1, 0]
    assert boxes[2].shape == (0, 4) and labels[2].shape == weights[2].shape == (0,)


def test_an_unmixed_image_keeps_its_boxes():
    plan = plan_for(1, partner=PerSample([0]), blend=0.3, box=(0, 0, 5, 7))
    boxes, _, weights = both([PARTNER], plan, (5, 7))
    np.testing.assert_array_equal(boxes[0], PARTNER)
    np.testing.assert_array_equal(weights[0], [1, 1])


def test_points_that_are_covered_are_left_out():
    own = np.float32([(0.1, 0.1), (0.9, 0.9), (1.0, 1.0), (0.5, 0.0)])
    partner = np.float32([(0.2, 0.3), (0.5, 0.5)])
    plan = plan_for(2, partner=PAIR, box=(0, 0, 20, 30))
    points, labels, weights = both([own, partner], plan, (40, 60))
    np.testing.assert_array_equal(labels[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(points[0], np.concatenate([own[1:], partner[:1]]))
    assert weights[0].tolist() == [1] * 4


def test_a_fitted_image_brings_its_boxes_into_the_box():
    plan = plan_for(2, partner=PAIR, box=(10, 30, 30, 60), fit=PerSample([1, 0]))
    boxes, labels, weights = both([OWN, PARTNER], plan, (40, 60))
    np.testing.assert_allclose(boxes[0], [OWN[0], (0.5, 0.25, 0.75, 0.5), (0.75, 0.5, 1, 0.75)])
    assert labels[0].tolist() == [0, 1, 2] and weights[0].tolist() == [1, 1, 1]


def test_a_part_of_a_larger_partner():
    """Seen 80 x 120, shown from (20, 30) in the right half of 40 x 60."""
    plan = plan_for(2, partner=PerSample([1, 1]), box=(0, 30, 40, 60), offset=[(20, 30)])
    plan = plan._replace(size=[np.int32((40, 60))] * 2)
    labels = [np.zeros(0, np.int32), np.int32([5, 6])]
    none = np.zeros((0, 4), np.float32)
    shapes = [none, boxes_of((0.5, 0.25, 0.75, 0.5), (0.0, 0.0, 0.5, 1.0))]
    views = [(40, 60), (80, 120)]
    got = travel(shapes, labels, plan, views=PerSample(np.int32(v) for v in views))
    assert_alike(got, reference.travel(shapes, labels, plan, views=views))
    np.testing.assert_allclose(got[0][0], [(0.5, 0.0, 1.0, 0.5)])
    assert got[1][0].tolist() == [5] and got[2][0].tolist() == [1]


def test_others_bring_their_own():
    plan = plan_for(2, partner=PerSample([3, 2]), blend=0.25)
    plan = plan._replace(size=[np.int32((6, 8))] * 2)
    shapes, others = [OWN, PARTNER], [PARTNER[:1], OWN]
    labels = [np.arange(len(x), dtype=np.int32) for x in shapes + others]
    got = travel(shapes, labels[:2], plan, others=(others, labels[2:]))
    assert_alike(got, reference.travel(shapes + others, labels, plan))
    np.testing.assert_array_equal(got[0][0], np.concatenate([OWN, OWN]))


@pytest.mark.parametrize("columns", [4, 2])
@pytest.mark.parametrize("kind", ["boxes", "layers", "mask", "fit", "offset", "blends_inside"])
def test_travel_is_the_definition(kind, columns):
    fixed = {"frames": None, "others": False, "crop": False, "in_type": np.uint8, "channels": 1}
    fixed |= {"images": 4 if kind == "layers" else 2, "boxes": 2}
    fixed |= {name: name == kind for name in ("mask", "fit", "offset", "blends_inside")}
    for seed in range(12):
        batch = random_batch(Seeded(seed), **fixed)
        rng = np.random.default_rng(seed)
        shapes = [rng.random((rng.integers(0, 6), columns), np.float32) for _ in batch.images]
        if columns == 4:
            shapes = [np.sort(x.reshape(-1, 2, 2), 1).reshape(-1, 4) for x in shapes]
        height, width, _ = (batch.but(output_layout="HWC").expected()[0]).shape
        both(shapes, batch.plan, (height, width))


def test_the_weight_is_the_mean_over_painted_pixels():
    """A box on pixel edges: its share of the mask, counted."""
    rng = np.random.default_rng(3)
    mask = rng.integers(0, 256, (16, 32), np.uint8)
    y0, x0, y1, x1 = 3, 5, 14, 30
    own = boxes_of((x0 / 32, y0 / 16, x1 / 32, y1 / 16))
    plan = plan_for(2, partner=PAIR, blend=0.5, mask=PerSample([mask, mask]))
    weights = both([own, own], plan, (16, 32))[2][0]
    share = 0.5 * mask[y0:y1, x0:x1].mean() / 255
    np.testing.assert_allclose(weights, [share, 1 - share], rtol=1e-6)


@pytest.mark.parametrize(("call", "columns"), [("apply_boxes", 4), ("apply_points", 2)])
def test_the_graph_functions_take_a_plan(call, columns):
    """Labels of any integer type, and all the columns there are."""
    rng = np.random.default_rng(4)
    shapes = [np.sort(rng.random((3, 2, 2), np.float32), 1).reshape(-1, columns) for _ in range(4)]
    labels = [np.arange(len(x), dtype=np.int64) for x in shapes]
    mask = rng.integers(0, 256, (4, 5), np.uint8)
    plan = plan_for(2, partner=PerSample([3, 2]), mask=PerSample([mask, mask]), offset=[(0, 0)])
    plan = plan._replace(size=[np.int32((16, 20))] * 2, fit=[np.int32(0)] * 2)

    def graph():
        nodes = [None if c is None else feed([list(c)]) for c in plan]
        inputs = [feed([values]) for values in (shapes[:2], labels[:2])]
        others = [feed([values]) for values in (shapes[2:], labels[2:])]
        views = feed([[np.int32((16, 20, 16, 20))] * 2])
        function = getattr(dmix, call)
        return function(*inputs, Plan(*nodes), others=others, views=views)

    expected = reference.travel(shapes, [x.astype(np.int32) for x in labels], plan)
    assert_alike(run(graph, batch_size=2), expected)

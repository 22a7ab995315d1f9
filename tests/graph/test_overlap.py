"""Pairs of images of different sizes: the part that both have, centre on centre, against a program
that mixes two arrays without a plan; pairs by aspect; and what is refused."""

import numpy as np
import pytest
from helpers import DEVICES, arrays, assert_refused, build, feed, random_images, run_on
from nvidia.dali import fn, types

import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp, Mosaic, ResizeMix, reference
from dali_mix.plan import Plan

SIZES = [(37, 29), (13, 53), (41, 17), (7, 11), (97, 89), (31, 43), (23, 5)]


def ragged(count, seed=0):
    return random_images(np.random.default_rng(seed), [(*SIZES[i % 7], 3) for i in range(count)])


def common(own, partner):
    """Slices of both images: the largest window that both have in their centre."""
    slices = []
    for image, other in ((own, partner), (partner, own)):
        sides = [min(a, b) for a, b in zip(image.shape[:2], other.shape[:2], strict=True)]
        starts = [(n - side) // 2 for n, side in zip(image.shape[:2], sides, strict=True)]
        slices.append(tuple(slice(a, a + side) for a, side in zip(starts, sides, strict=True)))
    return slices


def mixed(images, method, device="cpu", **draw):
    """Outputs in float32 HWC, labels, and the columns of the plan, of one batch."""
    plans = []

    def graph(x, labels):
        plan = dmix.plan(x, None, method, **draw)
        plans.append(plan)
        out = dmix.apply(x, plan, output_layout="HWC")
        return [out, *dmix.pair_labels(labels, plan), *plan.columns]

    labels = np.arange(len(images), dtype=np.int32)
    out, y1, y2, *columns = run_on(images, graph, labels, device=device)
    names = [name for name, column in plans[0]._asdict().items() if column is not None]
    plan = dict.fromkeys(Plan._fields) | dict(zip(names, columns, strict=True))
    return out, y1, y2, Plan(**plan)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [2, 3, 7])
def test_mixup_blends_what_both_images_have(device, count):
    images = ragged(count)
    out, y1, y2, plan = mixed(images, MixUp(2.0, fold=False, overlap=True), device)
    for i, own in enumerate(images):
        j = int(plan.partner[i])
        assert j != i and (y1[i], y2[i]) == (i, j)
        weight = float(plan.box_blend[i])
        here, there = common(own, images[j])
        expected = own.astype(np.float64)
        shared = images[j][there].astype(np.float64)
        expected[here] = weight * expected[here] + (1 - weight) * shared
        assert out[i].shape == own.shape
        np.testing.assert_allclose(out[i], expected, rtol=0, atol=1e-4)
        share = shared[..., 0].size / own[..., 0].size
        assert plan.lam[i] == pytest.approx(1 - share + weight * share, abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_cutmix_cuts_from_what_both_images_have(device):
    images = ragged(7)
    out, _, _, plan = mixed(images, CutMix(place="inside", boxes=2, overlap=True), device)
    for i, own in enumerate(images):
        partner = images[int(plan.partner[i])]
        here, there = common(own, partner)
        moved = np.zeros_like(own)
        moved[here] = partner[there]
        cut = np.zeros(own.shape[:2], bool)
        for y0, x0, y1, x1 in plan.box[i]:
            assert cut[y0:y1, x0:x1].size == 0 or (
                here[0].start <= y0 and y1 <= here[0].stop and here[1].start <= x0
            )
            cut[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(out[i], np.where(cut[..., None], moved, own))
        assert plan.lam[i] == pytest.approx(1 - cut.mean(), abs=1e-6)


def test_lam_may_be_given_and_images_of_one_size_are_mixed_whole():
    out, _, _, plan = mixed(ragged(5), MixUp(overlap=True), lam=0.25)
    assert {float(w) for w in plan.box_blend} == {0.25} and min(plan.lam) >= 0.25
    alike = random_images(np.random.default_rng(1), [(11, 17, 3)] * 5)
    out, _, _, plan = mixed(alike, MixUp(overlap=True), lam=0.25, partner="reverse")
    assert [float(lam) for lam in plan.lam] == [0.25, 0.25, 1, 0.25, 0.25]
    np.testing.assert_allclose(out[0], 0.25 * alike[0] + 0.75 * alike[4], atol=1e-4)
    np.testing.assert_array_equal(out[2], alike[2])


@pytest.mark.parametrize("prob", [0.0, 0.5])
def test_unmixed_images_stay_as_they_are(prob):
    images = ragged(7)
    out, _, _, plan = mixed(images, [MixUp(overlap=True), CutMix(overlap=True)], prob=prob, seed=3)
    alone = [i for i in range(7) if plan.partner[i] == i]
    assert len(alone) == 7 if prob == 0 else 0 < len(alone) < 7
    for i in alone:
        assert plan.lam[i] == 1
        np.testing.assert_array_equal(out[i], images[i])


def test_boxes_and_class_maps_travel_along():
    images = ragged(5)
    boxes = [np.array([(0.0, 0.0, 1.0, 1.0)], np.float32)] * 5
    maps = [np.ascontiguousarray(image[..., 0]) for image in images]
    names = []

    def graph(x, boxes, classes, maps):
        plan = dmix.plan(x, None, MixUp(1.0, overlap=True))
        names.extend(name for name, column in plan._asdict().items() if column is not None)
        travelled = dmix.apply_boxes(boxes, classes, plan, views=x.shape()[:2])
        maps = dmix.apply_mask(fn.reshape(maps, layout="HW"), plan)
        return [*travelled, *maps, *plan.columns]

    given = [boxes, [np.int32([i]) for i in range(5)], maps]
    kept, classes, weights, first, second, *columns = run_on(images, graph, *given)
    plan = Plan(**dict.fromkeys(Plan._fields) | dict(zip(names, columns, strict=True)))
    expected = reference.travel(boxes, given[1], plan, views=[image.shape[:2] for image in images])
    for got, wanted in zip((kept, classes, weights), expected, strict=True):
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    for i, own in enumerate(maps):
        here, there = common(images[i], images[int(plan.partner[i])])
        np.testing.assert_array_equal(first[i], own)
        shown = own.copy()
        shown[here] = maps[int(plan.partner[i])][there]
        np.testing.assert_array_equal(second[i], shown)
        assert weights[i][0] == pytest.approx(plan.lam[i], abs=1e-6)


def test_a_second_view_has_its_shares_counted():
    images = random_images(np.random.default_rng(4), [(29, 41, 3)] * 5)
    box, size, weight = (3, 5, 20, 32), (29, 41), 0.25
    partner = [np.int32(j) for j in (1, 2, 3, 4, 0)]

    def graph(x, partner):
        constants = {
            name: types.Constant(np.int32(v)) for name, v in (("box", box), ("size", size))
        }
        plan = Plan(partner, blend=None, lam=None, box_blend=weight, **constants)
        return [*plan.resized(13, 17)[2:5], dmix.apply(x, plan, dtype=types.UINT8)]

    boxes, lam, sizes, _ = run_on(images, graph, partner)
    y0, x0, y1, x1 = (int(edge) for edge in boxes[0])
    assert (y0, x0, y1, x1) == (1, 2, 9, 13) and tuple(sizes[0]) == (13, 17)
    share = (y1 - y0) * (x1 - x0) / (13 * 17)
    np.testing.assert_allclose(lam, 1 - (1 - weight) * share, atol=1e-6)


@pytest.mark.parametrize("per", ["sample", "pair"])
def test_pairs_by_aspect_are_neighbours(per):
    images = ragged(7)
    pipeline = build(
        lambda: dmix.plan(feed([images], "HWC"), None, MixUp(), partner="aspect", per=per, lam=0.5),
        batch_size=7,
    )
    aspects = [height / width for height, width in SIZES]
    left_out = set()
    for _ in range(60):
        partners = [int(j) for j in arrays(pipeline.run()[0])]
        alone = [i for i in range(7) if partners[i] == i]
        assert len(alone) == 1 and all(partners[partners[i]] == i for i in range(7))
        left_out.add(alone[0])
        order = sorted((i for i in range(7) if i not in alone), key=lambda i: aspects[i])
        assert all(partners[a] == b for a, b in zip(order[::2], order[1::2], strict=True))
    assert left_out == set(range(7))


def test_equal_aspects_are_paired_at_random():
    images = random_images(np.random.default_rng(2), [(11, 17, 3)] * 6)
    pipeline = build(
        lambda: dmix.plan(feed([images], "HWC"), None, MixUp(), partner="aspect", lam=0.5),
        batch_size=6,
    )
    found = {tuple(int(j) for j in arrays(pipeline.run()[0])) for _ in range(400)}
    assert len(found) == 15  # matchings of six


@pytest.mark.parametrize(
    ("methods", "draw", "sentence"),
    [
        ([MixUp(overlap=True), CutMix()], {}, "overlap must be given to all methods of a plan"),
        ([MixUp(overlap=True), ResizeMix()], {}, "overlap must be given to all methods of a plan"),
        (MixUp(overlap=True), {"partner": "others"}, 'overlap needs partners .*, got "others"'),
        (CutMix(overlap=True), {"box": (0, 0, 1, 1)}, "box cannot be combined with overlap"),
        (Mosaic(32), {"partner": "aspect"}, "pairs by aspect need methods of two images, got one"),
    ],
)
def test_what_overlap_cannot_be_combined_with(methods, draw, sentence):
    def graph(x):
        return dmix.plan(x, None, methods, **draw)

    assert_refused(f".*{sentence}.*", graph)


@pytest.mark.parametrize("kind", [MixUp, CutMix])
def test_overlap_is_a_switch(kind):
    with pytest.raises(TypeError, match=r"overlap of .* must be True or False, got 'yes'"):
        kind(overlap="yes")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"box_blend": 1.5}, r"box_blend must be in \[0, 1\], got 1.5 for sample 0"),
        ({"box_blend": 0.5, "blend": 0.5}, "box_blend needs a blend of 1 outside the boxes, got"),
        ({"box_blend": 0.5, "fit": (1, 1)}, "box_blend needs plans of two images, without fill"),
        ({"box_blend": 0.5, "partner": (1, 0)}, "box_blend needs plans of two images, without"),
    ],
)
def test_values_of_box_blend_that_are_refused(columns, sentence):
    given = {"partner": 1, "blend": 1.0, "box": (0, 0, 4, 5), "lam": None, "size": None} | columns

    def graph(x):
        plan = {
            name: types.Constant(np.array(value, np.int32)) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None
        }
        plan = dict.fromkeys(Plan._fields) | plan
        return dmix.apply(x, Plan(**plan))

    assert_refused(f".*{sentence}.*", graph)

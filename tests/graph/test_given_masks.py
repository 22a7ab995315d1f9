"""Masks and boxes that the user computes: lam is counted from them, the pixels follow them."""

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import DEVICES, PerSample, assert_refused, build, feed, node_of, run_on, stacked
from painted import labels_by_share, one_hot

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

COUNT, SIZE = 7, (12, 18)
rng = np.random.default_rng(7)
MASKS = {
    "pixels": [rng.integers(0, 256, SIZE, np.uint8) for _ in range(COUNT)],
    "hard": [rng.integers(0, 2, SIZE).astype(np.uint8) * 255 for _ in range(COUNT)],
    "cells": [rng.integers(0, 256, (4, 6), np.uint8) for _ in range(COUNT)],
    "cells that do not divide": [rng.integers(0, 256, (5, 7), np.uint8) for _ in range(COUNT)],
    "one cell": [np.uint8([[50 * (i % 6)]]) for i in range(COUNT)],
    "finer than pixels": [rng.integers(0, 256, (25, 30), np.uint8) for _ in range(COUNT)],
    "of many sizes": [rng.integers(0, 256, (1 + i, 2 + 3 * i), np.uint8) for i in range(COUNT)],
    "own or partner": [np.full(SIZE, 255 * (i % 2), np.uint8) for i in range(COUNT)],
    "none for some": [np.zeros((0, 0) if i % 2 else SIZE, np.uint8) for i in range(COUNT)],
}


def spread(mask, size=SIZE):
    """Own weight of every pixel: pixel y of H has row y * h // H."""
    if mask.size == 0:
        return np.ones(size)
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, mask.shape, strict=True))
    return mask[np.ix_(rows, columns)] / 255.0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(MASKS))
@pytest.mark.parametrize("partner", ["derange", "roll", "reverse"])
def test_pixels_and_lam_follow_the_mask(name, partner, device):
    def graph(x):
        plan = dmix.plan(x, mask=feed([MASKS[name]]), partner=partner)
        return dmix.apply(x, plan), plan.partner, plan.lam

    x, partners, lam = map(np.stack, run_on(one_hot(COUNT, SIZE), graph, device=device))
    np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(partners, lam), atol=1e-6)
    for i, j in enumerate(partners):
        if i == j:  # the middle of an odd batch that is reversed
            assert partner == "reverse" and i == 3 and lam[i] == 1
            continue
        own = spread(MASKS[name][i])
        assert lam[i] == pytest.approx(own.mean(), abs=1e-6)
        np.testing.assert_allclose(x[i, i], own, atol=1e-6)
        np.testing.assert_allclose(x[i, j], 1 - own, atol=1e-6)


def test_the_draw_is_that_of_other_plans():
    """prob, given partners, and partners by class."""
    masks = MASKS["pixels"]

    def graph(x):
        half = dmix.plan(x, mask=feed([masks]), prob=0.5, seed=3)
        given = dmix.plan(x, mask=feed([masks]), partner=node_of(PerSample([1, 0, 2, 3, 4, 6, 5])))
        classes = feed([[np.int32(i % 2) for i in range(COUNT)]])
        same = dmix.plan(x, classes, mask=feed([masks]), partner="same_class")
        other = dmix.plan(x, mask=feed([masks]), partner="others")
        return [c for plan in (half, given, same, other) for c in (plan.partner, plan.lam)]

    out = list(map(np.stack, run_on(one_hot(COUNT, SIZE), graph)))
    own, means = np.arange(COUNT), np.array([m.mean() / 255 for m in masks])
    for partner, lam in zip(out[::2], out[1::2], strict=True):
        np.testing.assert_allclose(lam, np.where(partner == own, 1, means), atol=1e-6)
    assert 0 < (out[0] == own).sum() < COUNT
    assert out[2].tolist() == [1, 0, 2, 3, 4, 6, 5]
    assert ((out[4] - own) % 2 == 0).all() and (out[4] != own).all()
    assert (out[6] == own + COUNT).all()


def test_a_mask_is_for_the_size_that_is_asked_for():
    def graph(x):
        plan = dmix.plan(x, mask=feed([MASKS["cells"]]), crop=(6, 9))
        return dmix.apply(x, plan, crop=(6, 9)), plan.partner, plan.lam, plan.size

    x, partner, lam, size = map(np.stack, run_on(one_hot(COUNT, SIZE), graph))
    assert size.tolist() == [[6, 9]] * COUNT
    np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(partner, lam), atol=1e-6)
    expected = [spread(mask, (6, 9)).mean() for mask in MASKS["cells"]]
    np.testing.assert_allclose(lam, expected, atol=1e-6)


def test_masks_of_videos_hold_for_every_frame():
    clips = [np.stack([image] * 3) for image in one_hot(COUNT, SIZE)]

    def graph(x):
        plan = dmix.plan(x, mask=feed([MASKS["pixels"]]))
        return dmix.apply(x, plan), plan.partner, plan.lam

    x, partner, lam = map(np.stack, run_on(clips, graph, layout="FHWC"))
    for frame in range(3):
        shares = x[:, frame].mean((2, 3))
        np.testing.assert_allclose(shares, labels_by_share(partner, lam), atol=1e-6)


def test_a_mask_computed_in_the_graph():
    """Saliency as in the README of other libraries: the own image shows where it is brightest."""
    from nvidia.dali import fn, types

    images = [rng.integers(0, 256, (*SIZE, 1), np.uint8) for _ in range(COUNT)]

    def graph(x):
        bright = fn.cast(x > 100, dtype=types.UINT8) * np.uint8(255)
        plan = dmix.plan(x, mask=fn.squeeze(bright, axes=[2]))
        return dmix.apply(x, plan, output_layout="HWC"), plan.partner, plan.lam

    x, partner, lam = run_on(images, graph)
    for i, j in enumerate(map(int, partner)):
        own = images[i] > 100
        np.testing.assert_array_equal(x[i], np.where(own, images[i], images[j]))
        assert lam[i] == np.float32(own.mean())


def test_boxes_that_the_user_computes():
    """Around the brightest pixel of the partner, clipped, for cutmix."""
    bright = [(2, 3), (11, 17), (0, 0), (6, 6), (5, 16), (9, 1), (11, 0)]
    boxes = PerSample([np.int32([y - 2, x - 3, y + 3, x + 4]) for y, x in bright])

    def graph(x):
        plan = dmix.plan(x, None, CutMix(), box=node_of(boxes), partner="roll")
        return dmix.apply(x, plan), plan.partner, plan.lam

    x, partner, lam = map(np.stack, run_on(one_hot(COUNT, SIZE), graph))
    np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(partner, lam), atol=3e-7)
    for i, (cy, cx) in enumerate(bright):
        y, x_ = np.mgrid[: SIZE[0], : SIZE[1]]
        hidden = (abs(y - cy) <= 2) & (abs(x_ - cx) <= 3)
        np.testing.assert_array_equal(x[i, i], ~hidden)


def test_dynamic_mode_takes_masks():
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in one_hot(COUNT, SIZE)])
    masks = ndd.batch([ndd.tensor(m) for m in MASKS["pixels"]])
    plan = dali_mix.dynamic.plan(images, mask=masks, rng=ndd.random.RNG(1))
    x = stacked(dali_mix.dynamic.apply(images, plan))
    shares = labels_by_share(stacked(plan.partner), stacked(plan.lam))
    np.testing.assert_allclose(x.mean((2, 3)), shares, atol=1e-6)


@pytest.mark.parametrize("given", [{"lam": 0.5}, {"box": (0, 0, 1, 1)}])
def test_a_mask_decides_lam(given):
    with pytest.raises(
        ValueError, match="mask cannot be combined with lam or box: the mask decides"
    ):
        dmix.plan(None, size=(3, 3), mask=object(), **given)


@pytest.mark.parametrize("given", [{"methods": MixUp(0.2)}, {"weights": [1]}])
def test_a_mask_is_no_method(given):
    with pytest.raises(ValueError, match="mask replaces methods and weights: give either mask or"):
        dmix.plan(None, size=(3, 3), mask=object(), **given)


@pytest.mark.parametrize(
    ("mask", "got"),
    [
        (np.zeros((6, 8), np.float32), "float of 2 dimensions"),
        (np.zeros((6, 8, 1), np.uint8), "uint8 of 3 dimensions"),
        (np.zeros(6, np.uint8), "uint8 of 1 dimensions"),
    ],
)
def test_masks_of_another_kind_are_refused(mask, got):
    assert_refused(
        rf"mask must be uint8 of shape \(h, w\), the own weight in 1/255, got {got}\.",
        lambda x: dmix.plan(x, mask=feed([[mask] * 4])).lam,
    )


def test_apply_takes_a_mask_of_one_s_own_plan():
    """A plan put together by hand, blend and mask at once: weights multiply."""
    mask = [np.uint8([[255, 51], [0, 102]])] * 2

    def graph():
        plan = dmix.Plan(
            partner=feed([[np.int32(1), np.int32(0)]]),
            blend=feed([[np.float32(0.5), np.float32(1)]]),
            box=None,
            lam=None,
            size=None,
            mask=feed([mask]),
        )
        return dmix.apply(feed([one_hot(2, (2, 2))], "HWC"), plan)

    x = stacked(build(graph, batch_size=2).run()[0])
    np.testing.assert_allclose(x[0, 0], [[0.5, 0.1], [0, 0.2]], atol=1e-6)
    np.testing.assert_allclose(x[1, 1], [[1, 0.2], [0, 0.4]], atol=1e-6)

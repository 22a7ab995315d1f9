"""Where partners come from: the own class, another class, a second stream, or given ones. The batch
before has test_previous.py."""

import math
from collections import Counter

import numpy as np
import pytest
from helpers import (
    DEVICES,
    PerSample,
    assert_refused,
    build,
    chi2_accepts,
    draw,
    feed,
    fingerprints,
    node_of,
    run_on,
    stacked,
)
from painted import every_method, labels_by_share, one_hot

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixUp, MultiMix, ResizeMix

CLASSES = [3, 3, 7, 3, 7, 300000, 9, 9]


def partners_by_class(classes, partner, method=None, runs=1, dtype=np.int32, **given):
    """(runs, N, K-1)"""
    labels = [[np.asarray(c, dtype) for c in classes]]
    images = [fingerprints(len(classes), 6, 8)]
    method = method or MixUp(8.0)

    def graph():
        return dmix.plan(feed(images, "HWC"), feed(labels), method, partner=partner, **given)

    pipeline = build(graph, batch_size=len(classes))
    outputs = [pipeline.run() for _ in range(runs)]
    partners = np.stack([stacked(out[0]) for out in outputs])
    lams = np.stack([stacked(out[3]) for out in outputs])
    return partners.reshape(*partners.shape[:2], -1), lams.reshape(*lams.shape[:2], -1)


def candidates(partner, i):
    same = partner == "same_class"
    return [j for j, c in enumerate(CLASSES) if j != i and (c == CLASSES[i]) == same]


@pytest.mark.parametrize("partner", ["same_class", "other_class"])
@pytest.mark.parametrize("method", [MixUp(8.0), MultiMix(images=4)], ids=lambda m: m.name)
def test_partners_by_class_are_uniform_among_the_right_ones(partner, method):
    partners, lams = partners_by_class(CLASSES, partner, method, runs=1500)
    for i in range(len(CLASSES)):
        right = candidates(partner, i)
        for k in range(partners.shape[2]):
            seen = Counter(partners[:, i, k].tolist())
            if not right:
                assert set(seen) == {i} and (lams[:, i, 0] == 1).all()
                continue
            assert set(seen) == set(right)
            assert len(right) == 1 or chi2_accepts([seen[j] for j in right])
            assert (lams[:, i, 0] < 1).all()


@pytest.mark.parametrize("partner", ["same_class", "other_class"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_labels_of_any_type_say_the_class(partner, dtype, shape):
    classes = [np.full(shape, c % 100) for c in CLASSES]
    partners, _ = partners_by_class(classes, partner, runs=20, dtype=dtype)
    for i in range(len(CLASSES)):
        right = [
            j
            for j in range(len(CLASSES))
            if j != i and (classes[j] == classes[i]).all() == (partner == "same_class")
        ]
        assert set(partners[:, i, 0].tolist()) <= set(right or [i])


def test_a_batch_of_one_class_and_a_batch_of_one():
    partners, lams = partners_by_class([5] * 4, "other_class")
    assert partners[0, :, 0].tolist() == [0, 1, 2, 3] and (lams == 1).all()
    partners, _ = partners_by_class([5] * 4, "same_class")
    assert (partners[0, :, 0] != np.arange(4)).all()
    assert partners_by_class([5], "same_class")[1].tolist() == [[[1.0]]]


def test_the_first_of_a_tuple_of_labels_is_the_class():
    def graph(x, y, z):
        return dmix.mixup(x, (y, z), partner="same_class", alpha=8.0)

    other = np.arange(8, dtype=np.float32)
    _, y1, z1, y2, z2, lam = run_on(fingerprints(8, 4, 5), graph, np.int32(CLASSES), other)
    np.testing.assert_array_equal(y1, y2)
    assert (np.array(z1) == np.array(z2)).tolist() == [c == 300000 for c in CLASSES]
    assert (np.array(lam) == 1).tolist() == [c == 300000 for c in CLASSES]


@pytest.mark.parametrize("partner", ["same_class", "other_class"])
def test_partners_by_class_need_class_ids(partner):
    with pytest.raises(ValueError, match=rf"partner='{partner}' needs labels, got none\."):
        dmix.plan(None, None, size=(3, 3), partner=partner)
    vectors = [[np.zeros(5, np.float32)] * 4]
    assert_refused(
        r"labels must be class ids, one for each sample, for partners by class, got 5 values\.",
        lambda x: dmix.plan(x, feed(vectors), partner=partner),
    )


@pytest.mark.parametrize("partner", ["same_class", "other_class", "shuffle", "roll", "others"])
def test_pairs_that_share_need_partners_that_pair_up(partner):
    labels = [[np.int32(0)] * 4]
    assert_refused(
        rf'per="pair" needs partners that pair up, got "{partner}"\. Use "derange" .*',
        lambda x: dmix.plan(x, feed(labels), per="pair", partner=partner),
    )


# a second stream


def two_streams(method, count=7, size=(6, 8), labels=True, device="cpu", **given):
    """Images 0 to N-1, and N to 2N-1 behind them; labels are 10 times as much."""
    images = one_hot(2 * count, size)
    ids = [np.int32(10 * k) for k in range(2 * count)]

    def graph():
        x1, x2 = (feed([part], "HWC", device) for part in (images[:count], images[count:]))
        y1, y2 = feed([ids[:count]]), feed([ids[count:]])
        arguments = {name: node_of(value) for name, value in given.items()}
        second = (x2, y2 if labels else None)
        return dmix.mix(x1, y1 if labels else None, method, second=second, **arguments)

    return [stacked(out) for out in build(graph, batch_size=count, device=device).run()]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "name", [n for n, m in every_method((7, 9)).items() if m.images == 2], ids=str
)
def test_the_second_stream_gives_pixels_and_labels(name, device):
    """Image i with the one across; weights are those of the pixels, and unmixed ones keep y1."""
    method = every_method((7, 9))[name]
    x, y1, y2, lam = two_streams(method, size=(7, 9), device=device, prob=0.8)
    shares = x.mean((2, 3))
    own = np.arange(7)
    assert y1.tolist() == (10 * own).tolist()
    np.testing.assert_allclose(shares[own, own], lam, atol=3e-7)
    np.testing.assert_allclose(shares[own, own + 7], 1 - lam, atol=3e-7)
    assert y2.tolist() == np.where(lam < 1, 10 * (own + 7), y1).tolist()
    assert (lam < 1).any()


@pytest.mark.parametrize("method", [MultiMix(images=3), RICAP(2.0)], ids=lambda m: m.name)
def test_more_images_come_from_the_second_stream_alone(method):
    x, ys, weights = two_streams(method, count=9, size=(17, 19))
    shares = x.mean((2, 3))
    assert (ys[:, 0] == 10 * np.arange(9)).all() and (ys[:, 1] == 10 * np.arange(9, 18)).all()
    assert (ys[:, 1:] >= 90).all()
    np.testing.assert_allclose(shares, labels_by_share(ys[:, 1:] // 10, weights, 18), atol=3e-7)


@pytest.mark.parametrize("method", [MixUp(8.0), ResizeMix((0.5, 0.5))], ids=lambda m: m.name)
def test_a_batch_of_one_mixes_with_a_second_stream(method):
    x, y1, y2, lam = two_streams(method, count=1)
    assert (y1[0], y2[0]) == (0, 10) and 0 < lam[0] < 1
    np.testing.assert_allclose(x.mean((2, 3))[0], [lam[0], 1 - lam[0]], atol=3e-7)


def test_without_labels_the_plan_points_behind_the_batch():
    x, partner, *_ = two_streams(MixUp(8.0), labels=False)
    assert partner.tolist() == list(range(7, 14)) and len(x) == 7


def test_crop_and_mirror_of_the_other_image_are_those_of_its_place():
    """Image i of the second stream is seen through window i, as the documentation says."""
    images = fingerprints(6, 12, 16)
    others = [image + np.uint8([100, 0, 0]) for image in images]
    mirror, pos = [0, 1, 0, 1, 1, 0], np.linspace(0, 1, 6, dtype=np.float32)

    def graph(x):
        given = {"crop": (5, 7), "crop_pos_x": node_of(PerSample(pos)), "output_layout": "HWC"}
        given |= {"mirror": node_of(PerSample(mirror)), "box": (0, 0, 5, 7)}
        return dmix.cutmix(x, second=(feed([others], "HWC"), None), **given)[0]

    for i, x in enumerate(run_on(images, graph)[0]):
        left = int(pos[i] * 9 + 0.5)
        columns = np.arange(left, left + 7)
        assert (x[..., 0] == 100 + i).all() and (x[:, 0, 1] == np.arange(4, 9)).all()
        assert x[0, :, 2].tolist() == (columns[::-1] if mirror[i] else columns).tolist()


def test_what_does_not_go_with_a_second_stream_is_named():
    x = [None, None]
    with pytest.raises(TypeError, match=r"second must be \(images2, labels2\), where labels2 may"):
        dmix.mixup(*x, second=7)
    with pytest.raises(ValueError, match=r"partner must be left out with second, got 'roll'"):
        dmix.mixup(*x, second=(None, None), partner="roll")
    assert_refused(
        r"second must have labels2 where there are labels, and none where there are none\.",
        lambda x: dmix.mixup(x, feed([[np.int32(1)] * 4]), second=(x, None)),
    )


# given partners


def test_given_partners_of_several_images():
    partner = [[1, 2, 3], [0, 0, 0], [2, 2, 2], [3, 0, 1], [4, 4, 0]]
    plan = draw(5, RICAP(2.0), partner=PerSample(np.int32(partner)))
    np.testing.assert_array_equal(plan.partner[0], partner)
    alone = [0, 0, 1, 0, 0]
    assert (plan.lam[0, :, 0] == 1).tolist() == [bool(a) for a in alone]


def test_pixels_of_given_partners_of_several_images():
    partner = PerSample(np.int32([[1, 2], [2, 2], [0, 0]]))

    def graph(x):
        plan = dmix.plan(x, None, MultiMix(images=3), partner=node_of(partner))
        return dmix.apply(x, plan), plan.partner, plan.lam

    x, seen, lam = run_on(one_hot(3, (4, 5)), graph)
    shares = np.stack(x).mean((2, 3))
    np.testing.assert_array_equal(np.stack(seen), np.stack(partner))
    np.testing.assert_allclose(shares, labels_by_share(np.stack(seen), lam), atol=3e-7)


@pytest.mark.parametrize(("method", "needed"), [(RICAP(), "3 values"), (MixUp(), "1 value")])
def test_given_partners_must_be_as_many_as_images_need(method, needed):
    wrong = PerSample(np.int32([[0, 1]] * 4))
    assert_refused(
        rf"partner must hold {needed} for each sample, got 2\.",
        lambda x: dmix.plan(x, None, method, partner=node_of(wrong)),
    )


def test_further_partners_are_drawn_whatever_the_first():
    """Of "reverse", "roll" and "others" the first partner is certain, the others are uniform."""
    for pairing, first in (("reverse", lambda n: n[::-1]), ("roll", lambda n: np.roll(n, 1))):
        partner = draw(5, MultiMix(8.0, images=3), partner=pairing, runs=880).partner
        assert (partner[..., 0] == first(np.arange(5))).all()
        seen = Counter(map(tuple, partner[..., 1].tolist()))
        assert len(seen) == 44 and chi2_accepts(list(seen.values()))


def test_a_shuffle_of_several_partners_has_fixed_points_that_weigh_as_the_own():
    def graph(x):
        plan = dmix.plan(x, None, [MultiMix(images=3), CutMix()], partner="shuffle")
        return dmix.apply(x, plan), plan.partner, plan.lam

    pipeline = build(lambda: graph(feed([one_hot(5, (6, 8))], "HWC")), batch_size=5)
    fixed = 0
    for _ in range(60):
        x, partner, lam = map(stacked, pipeline.run())
        np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(partner, lam), atol=3e-7)
        fixed += (partner == np.arange(5)[:, None]).any(1).sum()
    assert fixed > 300 * (1 - math.exp(-0.3))

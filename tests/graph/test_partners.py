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


# several partners


def distinct(partners, own=True):
    """Which samples have partners that differ from each other and, if `own`, from themselves.
    partners: (runs, N, K-1)"""
    if own:
        samples = np.arange(partners.shape[1])[None, :, None]
        partners = np.concatenate([np.broadcast_to(samples, (*partners.shape[:2], 1)), partners], 2)
    in_order = np.sort(partners, 2)
    return (in_order[..., 1:] != in_order[..., :-1]).all(2)


SEVERAL = {"3": MultiMix(8.0, images=3), "ricap": RICAP(8.0), "8": MultiMix(8.0, images=8)}


@pytest.mark.parametrize("pairing", ["derange", "reverse", "roll", "shuffle", "others"])
@pytest.mark.parametrize("name", list(SEVERAL))
@pytest.mark.parametrize("more", [0, 1, 2, 13])
def test_partners_of_a_sample_are_different_images(name, pairing, more):
    """Wherever the batch has as many images as one sample mixes. A shuffle may draw the own one."""
    method = SEVERAL[name]
    partner = draw(method.images + more, method, partner=pairing, runs=30).partner
    assert distinct(partner, own=pairing != "shuffle").all()


@pytest.mark.parametrize("partner", ["same_class", "other_class"])
def test_partners_by_class_are_different_images(partner):
    classes = [1, 2] * 5
    partners, _ = partners_by_class(classes, partner, MultiMix(8.0, images=5), runs=40)
    assert distinct(partners).all()


@pytest.mark.parametrize("per", ["sample", "batch"])
@pytest.mark.parametrize("methods", [[MixUp(8.0), RICAP(8.0)], [MultiMix(images=3), RICAP(8.0)]])
def test_partners_are_different_where_methods_of_several_numbers_take_turns(methods, per):
    plan = draw(6, methods, runs=60, per=per, choose_per=per)
    mixed = (plan.partner != np.arange(6)[:, None]).any(2)
    assert distinct(plan.partner)[mixed].all() and mixed.mean() > 0.9


@pytest.mark.parametrize("pairing", ["derange", "reverse", "roll", "others"])
def test_a_smaller_batch_shows_all_that_it_has(pairing):
    for count in (2, 3, 5):
        partner = draw(count, MultiMix(8.0, images=8), partner=pairing, runs=20).partner
        for sample in partner.reshape(-1, 7).tolist():
            assert len(set(sample)) == (count if pairing == "others" else count - 1)
        assert pairing == "others" or (partner != np.arange(count)[:, None]).all()


@pytest.mark.parametrize("pairing", ["same_class", "other_class"])
def test_few_of_a_class_come_again(pairing):
    classes = [1, 1, 1, 2, 2, 3]
    partners, lams = partners_by_class(classes, pairing, MultiMix(8.0, images=5), runs=30)
    for i, own in enumerate(classes):
        right = {j for j, c in enumerate(classes) if j != i and (c == own) == (pairing[0] == "s")}
        for sample in partners[:, i].tolist():
            assert set(sample) == (right or {i}) or len(set(sample)) == 4
        assert ((lams[:, i, 0] == 1) == (not right)).all()


@pytest.mark.parametrize("pairing", ["reverse", "roll", "others"])
@pytest.mark.parametrize("count", [5, 6])
def test_further_partners_are_drawn_whatever_the_first(pairing, count):
    """Of "reverse", "roll" and "others" the first partner is certain (but that of the middle image
    backwards, which would be itself); the further ones are uniform among the rest."""
    own = np.arange(count)
    first = {"reverse": own[::-1], "roll": np.roll(own, 1), "others": own + count}[pairing]
    partner = draw(count, MultiMix(8.0, images=4), partner=pairing, runs=900).partner
    for i in range(count):
        if first[i] != i:
            assert (partner[:, i, 0] == first[i]).all()
        rest = {*(own + count if pairing == "others" else own)} - {i, first[i]}
        for k in range(0 if first[i] == i else 1, 3):
            seen = Counter(partner[:, i, k].tolist())
            assert set(seen) == rest and chi2_accepts(list(seen.values()))


@pytest.mark.parametrize("method", [RICAP(8.0), MultiMix(8.0, images=4)], ids=lambda m: m.name)
def test_a_sample_shows_as_many_images_as_it_mixes(method):
    """By its pixels, in a batch of no more images than that."""
    x, weights = run_on(one_hot(4, (40, 48)), lambda x: mixed_and_weights(x, method))
    shares = np.stack(x).mean((2, 3))
    np.testing.assert_allclose(np.sort(shares, 1), np.sort(np.stack(weights), 1), atol=3e-7)
    assert (np.count_nonzero(shares, 1) == np.count_nonzero(weights, 1)).all()


def mixed_and_weights(x, method):
    x, plan = dmix.mix(x, None, method)
    return x, plan.lam


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

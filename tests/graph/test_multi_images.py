"""Samples of more than two images: what mix returns, the pixels of RICAP by positions, and the way
through MixLoader into the loss."""

import numpy as np
import pytest
import torch
from helpers import DEVICES, PerSample, feed, fingerprints, node_of, run_on
from painted import labels_by_share, one_hot

import dali_mix

# isort: split
from nvidia.dali import Pipeline, fn

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixLoader, MixLoss, MixUp, MultiMix, MultiMixTarget, SmoothMix

COUNT = 9


def windows(images, crop=None, pos=None, mirror=None):
    """What is seen of each image, by NumPy."""
    for i, image in enumerate(images):
        if crop is not None:
            y, x = (
                int(p[i] * (n - c) + 0.5) for p, n, c in zip(pos, image.shape, crop, strict=False)
            )
            image = image[y : y + crop[0], x : x + crop[1]]
        yield image[:, ::-1] if mirror is not None and mirror[i] else image


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("view", ["whole", "cropped and mirrored"])
def test_pixels_of_ricap_by_their_positions(view, device):
    """Each pixel of the output holds image, row and column of where it came from."""
    images = fingerprints(COUNT, 31, 40)
    given, seen = {}, list(images)
    if view != "whole":
        rng = np.random.default_rng(5)
        pos = rng.random((2, COUNT)).astype(np.float32)
        mirror = rng.integers(0, 2, COUNT)
        seen = list(windows(images, (17, 23), pos, mirror))
        given = {"crop_pos_y": pos[0], "crop_pos_x": pos[1], "mirror": mirror}

    def graph(x):
        size = {} if view == "whole" else {"crop": (17, 23)}
        plan = dmix.plan(x, None, RICAP(1.0), **size)
        arguments = {name: node_of(PerSample(value)) for name, value in given.items()} | size
        x = dmix.apply(x, plan, output_layout="HWC", **arguments)
        return x, plan.partner, plan.box, plan.offset, plan.lam

    x, partners, boxes, offsets, lams = run_on(images, graph, device=device)
    for i in range(COUNT):
        expected = seen[i].copy()
        area = np.full(expected.shape[:2], 0)
        for k, (j, (y0, x0, y1, x1), (oy, ox)) in enumerate(
            zip(partners[i], boxes[i], offsets[i], strict=True)
        ):
            expected[y0:y1, x0:x1] = seen[j][y0 + oy : y1 + oy, x0 + ox : x1 + ox]
            area[y0:y1, x0:x1] = k + 1
        np.testing.assert_array_equal(x[i], expected)
        shares = [np.float32((area == k).mean()) for k in range(4)]
        assert lams[i].tolist() == shares
    assert any(o.any() for o in offsets)


KINDS = {
    "ricap": (RICAP(), 4),
    "multimix": (MultiMix(images=8), 8),
    "both": ([MultiMix(images=3), RICAP()], 4),
    "with pairs": ([MixUp(), CutMix(), SmoothMix(), RICAP()], 4),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("shape", [(), (1,), (5,)], ids=str)
def test_labels_and_weights_have_the_documented_shapes(name, shape, device):
    method, images = KINDS[name]
    dtype = np.float32 if shape == (5,) else np.int64
    labels = np.arange(COUNT * max(1, int(np.prod(shape))), dtype=dtype).reshape(COUNT, *shape)
    kinds = []

    def graph(x, y):
        out = dmix.mix(x, y, method, seed=4)
        kinds.append([node.device for node in out])
        plan = dmix.plan(x, None, method, seed=4)
        return [*out, plan.partner, plan.lam]

    x, ys, weights, partner, lam = map(
        np.stack, run_on(one_hot(COUNT, (6, 8)), graph, labels, device=device)
    )
    assert kinds == [[device] * 3] and x.shape == (COUNT, COUNT, 6, 8)
    assert ys.shape == (COUNT, images, *shape) and ys.dtype == dtype
    assert weights.shape == (COUNT, images) and weights.dtype == np.float32
    np.testing.assert_array_equal(ys[:, 0], labels)
    np.testing.assert_array_equal(ys[:, 1:], labels[partner])
    np.testing.assert_array_equal(weights, lam)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(partner, lam), atol=3e-7)


def test_tuples_of_labels_stay_tuples():
    def graph(x, a, b):
        x, ys, weights = dmix.mix(x, (a, b), RICAP())
        assert isinstance(ys, tuple) and len(ys) == 2
        return x, *ys, weights

    ids = np.arange(COUNT)
    _, a, b, _ = map(np.stack, run_on(one_hot(COUNT, (6, 8)), graph, ids, np.float32(ids / 2)))
    assert a.shape == b.shape == (COUNT, 4) and (b == a / 2).all()


def test_without_labels_the_plan_is_returned():
    def graph(x):
        x, plan = dmix.mix(x, None, MultiMix())
        return x, plan.partner, plan.blend, plan.box, plan.lam

    _, *columns = map(np.stack, run_on(one_hot(COUNT, (6, 8)), graph))
    assert [c.shape[1:] for c in columns] == [(2,), (3,), (2, 4), (3,)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_batches(count):
    """Of one image nothing can be mixed; of two the same partner comes several times."""

    def graph(x, y):
        return dmix.mix(x, y, [RICAP(), MultiMix(images=6)], partner="derange")

    x, ys, weights = map(np.stack, run_on(one_hot(count, (6, 8)), graph, np.arange(count)))
    assert ys.shape == weights.shape == (count, 6)
    shares = np.zeros((count, count))
    for i in range(count):
        np.add.at(shares[i], ys[i], weights[i])
    np.testing.assert_allclose(x.mean((2, 3)), shares, atol=3e-7)
    assert count > 1 or weights.tolist() == [[1.0, 0, 0, 0, 0, 0]]


def loader_of(method, **arguments):
    pipeline = Pipeline(COUNT, num_threads=1, device_id=None, seed=2)
    ids = [np.int32([k]) for k in range(COUNT)]
    with pipeline:
        x, y = feed([one_hot(COUNT, (6, 8))], "HWC"), feed([ids])
        pipeline.set_outputs(*dmix.mix(x, y, method, **arguments))
    return MixLoader(pipeline, size=2 * COUNT)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_loader_gives_targets_that_the_loss_takes(name):
    """The loss is the cross-entropy of the shares that the pixels show."""
    loss = MixLoss(torch.nn.CrossEntropyLoss(reduction="none"))
    for x, target in loader_of(KINDS[name][0]):
        assert isinstance(target, MultiMixTarget)
        assert target.ys.shape == target.weights.shape == (COUNT, KINDS[name][1])
        shares = x.double().mean((2, 3))
        torch.testing.assert_close(target.dense(COUNT).double(), shares, rtol=0, atol=1e-6)
        logits = torch.randn(COUNT, COUNT, generator=torch.Generator().manual_seed(1))
        soft = torch.nn.functional.cross_entropy(logits.double(), shares, reduction="none")
        torch.testing.assert_close(loss(logits, target).double(), soft, rtol=1e-5, atol=1e-5)


def test_two_images_of_multimix_are_a_pair():
    for _, target in loader_of(MultiMix(images=2)):
        assert isinstance(target, dali_mix.MixTarget) and target.lam.shape == (COUNT,)


def test_images_of_different_sizes_are_cropped_first():
    shapes = [(12, 20), (20, 12), (15, 15), (13, 31), (9, 10)]
    images = [np.full((*s, 1), 10 * i, np.uint8) for i, s in enumerate(shapes)]

    def graph(x):
        x, plan = dmix.mix(x, None, RICAP(1.0), crop=(7, 9))
        return x, plan.partner, plan.lam

    x, partner, lam = map(np.stack, run_on(images, graph))
    shares = labels_by_share(partner, lam)
    np.testing.assert_allclose(x.mean((1, 2, 3)), shares @ (10 * np.arange(5)), rtol=1e-5)


def test_a_graph_may_take_the_plan_apart():
    """gather is what pairs labels of one's own."""

    def graph(x, y):
        plan = dmix.plan(x, None, RICAP())
        third = fn.dali_mix.gather(y, partner=plan.partner, which=2)
        return third, plan.partner

    third, partner = map(np.stack, run_on(one_hot(COUNT, (6, 8)), graph, np.arange(COUNT)))
    np.testing.assert_array_equal(third, partner[:, 2])

"""MixLoader over pipelines that mix K images in a sample, made here of DALI's own operators."""

import numbered
import numpy as np
import pytest
import torch

import dali_mix

# isort: split
from nvidia.dali import fn, types

from dali_mix import MixLoader, MultiMixTarget

K, N = 3, 5
ORDERS = np.int32([[1, 2, 3, 4, 0], [2, 4, 1, 0, 3]])
WEIGHTS = np.float32(
    [[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [1, 0, 0], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]]
)


def source(iteration):
    ids = (np.arange(N, dtype=np.int32) * 7 + iteration) % 11
    return np.full((N, 2, 3, 3), iteration, np.uint8), ids, WEIGHTS[:, ::-1].copy()


def graph(x, ids, weights, labels=lambda ids: ids):
    y = labels(ids)
    return x, multiplied(y), weights


def multiplied(y):
    """Own labels, and those of two partners."""
    return fn.stack(y, *(fn.permute_batch(y, indices=list(map(int, order))) for order in ORDERS))


def expected_ids(iteration):
    ids = source(iteration)[1]
    return np.stack([ids, *(ids[order] for order in ORDERS)], 1)


def loader_of(graph, **arguments):
    pipeline = numbered.feeding(source, 3, batch_size=N, graph=graph)
    return MixLoader(pipeline, size=2 * N, **arguments)


@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
def test_three_outputs_are_labels_and_their_weights(shape):
    def shaped(x, ids, weights):
        return graph(x, ids, weights, lambda y: fn.reshape(y, shape=shape) if shape else y)

    for iteration, (x, target) in enumerate(loader_of(shaped, mixed=True)):
        assert isinstance(target, MultiMixTarget)
        assert x.shape == (N, 2, 3, 3) and (x == iteration).all()
        assert target.ys.dtype == torch.int64
        assert target.ys.tolist() == expected_ids(iteration).tolist()
        assert target.weights.tolist() == WEIGHTS[:, ::-1].tolist()


def test_label_vectors_keep_their_shape():
    def vectors(x, ids, weights):
        return graph(x, ids, weights, lambda y: fn.one_hot(y, num_classes=11))

    _, target = next(iter(loader_of(vectors, mixed=True)))
    assert target.ys.dtype == torch.float32
    assert target.ys.tolist() == np.eye(11)[expected_ids(0)].tolist()


def test_it_trains_a_step():
    loss = dali_mix.MixLoss(torch.nn.CrossEntropyLoss())
    model = torch.nn.Linear(18, 11)
    _, target = batch = next(iter(loader_of(graph, mixed=True)))
    logits = model(batch[0].flatten(1).float())
    soft = torch.nn.functional.cross_entropy(logits, target.dense(11))
    torch.testing.assert_close(loss(logits, target), soft)


def two_labels(x, ids, weights):
    return x, multiplied(ids), multiplied(fn.cast(ids * 2, dtype=types.FLOAT)), weights


def three_labels(x, ids, weights):
    x, *labels, weights = two_labels(x, ids, weights)
    return x, *labels, multiplied(ids + 1), weights


@pytest.mark.parametrize(("several", "count"), [(two_labels, 2), (three_labels, 3)])
def test_tuples_of_labels_are_tuples_of_targets(several, count):
    _, targets = next(iter(loader_of(several, mixed=True)))
    assert len(targets) == count and all(isinstance(t, MultiMixTarget) for t in targets)
    assert targets[0].ys.tolist() == expected_ids(0).tolist()
    assert targets[1].ys.tolist() == (expected_ids(0) * 2.0).tolist()
    assert all(torch.equal(t.weights, targets[0].weights) for t in targets)


def test_an_epoch_may_end_in_a_smaller_batch():
    def short(iteration):
        return tuple(part[: 5 - 2 * (iteration % 2)] for part in source(iteration))

    def alone(x, ids, weights):
        return x, fn.stack(ids, ids, ids), weights

    pipeline = numbered.feeding(short, 3, batch_size=N, graph=alone)
    loader = MixLoader(pipeline, size=8, last_batch="partial", mixed=True)
    assert [target.batch_size for _, target in loader] == [5, 3]


def test_three_outputs_without_mixing_are_two_labels():
    _, labels = next(iter(loader_of(lambda *nodes: nodes, mixed=False)))
    assert [tuple(y.shape) for y in labels] == [(N,), (N, 3)]


@pytest.mark.parametrize(
    ("several", "sentence"),
    [
        (lambda x, ids, weights: (x, ids, weights), r"ys must have shape \(N, K, …\).*mixed=False"),
        (
            lambda x, ids, weights: (x, multiplied(ids), fn.cast(weights, dtype=types.INT32)),
            r"weights must be float, got torch.int32.*say mixed=False",
        ),
        (
            lambda x, ids, weights: (x, multiplied(ids), weights * 2),
            "must lie in|must sum to 1",
        ),
        (
            lambda x, ids, weights: (x, ids, ids, ids, weights[0]),
            r"as many y2 as y1, got 3 labels and lam \(5,\).*must be \(K,\) for each sample",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_named(several, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        next(iter(loader_of(several, mixed=True)))


@pytest.mark.parametrize("last_batch", ["drop", "partial", "fill"])
@pytest.mark.parametrize(
    "methods",
    [dali_mix.RICAP(1.0), [dali_mix.MultiMix(1.0), dali_mix.CutMix()]],
    ids=["four images", "three or two"],
)
def test_an_image_folder_mixes_several_images(tmp_path, methods, last_batch):
    options = {"methods": methods, "mirror": 0, "last_batch": last_batch, "dtype": torch.float32}
    loader = numbered.loader(numbered.write(tmp_path, 11), **options)
    for _ in range(2):
        batches = list(loader)
        sizes = {"drop": [4, 4], "partial": [4, 4, 3], "fill": [4, 4, 4]}[last_batch]
        assert [len(x) for x, _ in batches] == sizes
        for x, (ys, weights) in batches:
            shown = (weights * ys * numbered.STEP).sum(1)
            torch.testing.assert_close(x.mean((1, 2, 3)), shown, rtol=1e-4, atol=0.01)
            assert set(ys.flatten().tolist()) <= set(ys[:, 0].tolist())
            assert ((weights > 0).sum(1) > 1).any()
        if last_batch == "fill":
            (_, (ys, weights)) = batches[-1]
            assert ys[3].unique().numel() == 1 and weights[3, 0] == 1


@pytest.mark.parametrize("partner", ["reverse", "roll"])
def test_further_partners_are_drawn_where_the_first_follows_from_the_place(tmp_path, partner):
    """As the plan operator has it: else all partners of a sample would be one image."""
    options = {"methods": dali_mix.RICAP(1.0), "partner": partner, "last_batch": "partial"}
    _, (ys, _) = next(iter(numbered.loader(numbered.write(tmp_path, 23), batch_size=16, **options)))
    own = ys[:, 0].tolist()
    first = own[::-1] if partner == "reverse" else [own[-1], *own[:-1]]
    assert ys[:, 1].tolist() == first
    for k in (2, 3):
        assert sorted(ys[:, k].tolist()) == sorted(own) and (ys[:, k] != ys[:, 0]).all()
        assert ys[:, k].tolist() != first
    assert ys[:, 2].tolist() != ys[:, 3].tolist()


def test_an_image_folder_of_several_images_goes_on_where_it_was_saved(tmp_path):
    root = numbered.write(tmp_path, 11)
    options = {"methods": dali_mix.MultiMix(1.0), "last_batch": "partial"}
    loader = numbered.loader(root, **options)
    iterator = iter(loader)
    next(iterator)
    resumed = numbered.loader(root, **options)
    resumed.load_state_dict(numbered.through_json(loader.state_dict()))
    numbered.assert_same(resumed, iterator)

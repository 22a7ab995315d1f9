"""MixLoss and the metrics on samples of K labels, against soft targets and loops in float64."""

import functools

import numpy as np
import pytest
import torch
from mixed_batches import IGNORED, OPTIONS, WEIGHT, C, Focal, N, batch, value_and_gradient
from torch import nn
from torch.nn import functional

from dali_mix.training.metrics import DominantAccuracy, MixAccuracy
from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.multi_target import MultiMixTarget

K = 4
with_reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


def multi_batch(dims=(), n=N, k=K, ignored=False, seed=3):
    """Logits (n, C, *dims) in float64 and a MultiMixTarget; sample 1 has its own label alone.

    ignored: some labels in every place, and all of sample 2, are IGNORED
    """
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, C, *dims, generator=g, dtype=torch.float64) * 3
    ys = torch.randint(C, (n, k, *dims), generator=g)
    if ignored:
        ys[torch.rand(ys.shape, generator=g) < 0.3] = IGNORED
        ys[2:3] = IGNORED
    drawn = torch.rand(n, k, generator=g).double()
    drawn[1:2, 1:] = 0
    return logits, MultiMixTarget(ys, drawn / drawn.sum(1, keepdim=True))


def soft(target, classes=C):
    """(N, C, d1, ...) float64: the weight of each class; an ignored label weighs nothing."""
    ys, weights = (part.numpy() for part in target)
    rows = np.zeros((len(ys), classes, *ys.shape[2:]))
    for place in np.ndindex(*ys.shape):
        if ys[place] != IGNORED:
            rows[(place[0], ys[place], *place[2:])] += float(weights[place[:2]])
    return torch.as_tensor(rows)


def of_soft_target(x, target, reduction, weight=None, ignore_index=-100, label_smoothing=0.0):
    """The definition, from the soft target: its class weights are also those of the mean."""
    rows = soft(target)
    weight = torch.ones(C, dtype=torch.float64) if weight is None else weight
    along = weight.view(1, C, *(1,) * (x.dim() - 2))
    minus_log_p = -(x - torch.logsumexp(x, 1, keepdim=True)) * along
    hard = (rows * minus_log_p).sum(1)
    smooth = rows.sum(1) * minus_log_p.sum(1) / C
    losses = (1 - label_smoothing) * hard + label_smoothing * smooth
    return {
        "none": losses,
        "sum": losses.sum(),
        "mean": losses.sum() / (rows * along).sum(),
    }[reduction]


@with_options
@pytest.mark.parametrize("dims", [(), (3, 2)], ids=str)
@with_reductions
def test_cross_entropy_is_that_of_the_soft_target(options, dims, reduction):
    logits, target = multi_batch(dims, ignored="ignore_index" in options)
    loss = MixLoss(nn.CrossEntropyLoss(reduction=reduction, **options))
    expected = functools.partial(of_soft_target, reduction=reduction, **options)
    torch.testing.assert_close(
        value_and_gradient(loss, logits, target),
        value_and_gradient(expected, logits, target),
        rtol=1e-5,
        atol=1e-6,
    )


@with_reductions
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs_own_of_the_soft_target(smoothing, reduction):
    logits, target = multi_batch()
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction=reduction)
    expected = value_and_gradient(criterion, logits, soft(target))
    found = value_and_gradient(MixLoss(criterion), logits, target)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@with_options
@pytest.mark.parametrize("dims", [(), (2,)], ids=str)
def test_first_and_second_derivatives(options, dims):
    logits, target = multi_batch(dims, n=3, k=3, ignored="ignore_index" in options)
    loss = MixLoss(nn.CrossEntropyLoss(**options))
    inputs = (logits.requires_grad_(),)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), inputs)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), inputs)


CRITERIA = {
    "cross-entropy": nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1),
    "nll": nn.NLLLoss(),
    "another": Focal("none"),
}


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA.keys())
def test_two_labels_are_a_mix_target(criterion):
    logits, pair = batch()
    multi = MultiMixTarget(torch.stack(pair[:2], 1), torch.stack((pair.lam, 1 - pair.lam), 1))
    loss = MixLoss(criterion)
    torch.testing.assert_close(
        value_and_gradient(loss, logits, multi),
        value_and_gradient(loss, logits, pair),
        rtol=1e-6,
        atol=1e-6,
    )


@with_options
def test_with_the_own_label_alone_it_is_the_criterion(options):
    logits, target = multi_batch(ignored="ignore_index" in options)
    alone = MultiMixTarget(target.ys, torch.eye(K)[0])
    criterion = nn.CrossEntropyLoss(**options)
    torch.testing.assert_close(
        value_and_gradient(MixLoss(criterion), logits, alone),
        value_and_gradient(criterion, logits, target.ys[:, 0]),
    )


@with_reductions
def test_nll_of_log_probabilities_is_cross_entropy(reduction):
    logits, target = multi_batch((3,), ignored=True)
    shared = {"weight": WEIGHT, "ignore_index": IGNORED, "reduction": reduction}
    loss = MixLoss(nn.NLLLoss(**shared))(logits.log_softmax(1), target)
    torch.testing.assert_close(loss, MixLoss(nn.CrossEntropyLoss(**shared))(logits, target))


@pytest.mark.parametrize("labels", [torch.float32, torch.int64, torch.bool], ids=str)
@with_reductions
def test_bce_of_several_labels_is_that_of_the_blended_vector(reduction, labels):
    x, target = multi_batch()
    hot = (torch.rand(N, K, C, generator=torch.Generator().manual_seed(1)) < 0.3).to(labels)
    blended = torch.einsum("nk,nkc->nc", target.weights.double(), hot.double())
    criterion = nn.BCEWithLogitsLoss(pos_weight=WEIGHT, reduction=reduction)
    loss = MixLoss(criterion)(x, MultiMixTarget(hot, target.weights))
    torch.testing.assert_close(loss, criterion(x, blended), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", [nn.MSELoss, nn.L1Loss, nn.HuberLoss])
@with_reductions
def test_quantities_blend_losses_or_labels(family, reduction):
    g = torch.Generator().manual_seed(2)
    prediction = torch.randn(N, 2, generator=g, dtype=torch.float64)
    ys = torch.randn(N, K, 2, generator=g, dtype=torch.float64)
    target = MultiMixTarget(ys, multi_batch()[1].weights)
    losses, blended = np.zeros((N, 2)), torch.zeros(N, 2, dtype=torch.float64)
    for i, k, c in np.ndindex(N, K, 2):
        share = target.weights[i, k].item()
        losses[i, c] += share * family()(prediction[i, c], ys[i, k, c]).item()
        blended[i, c] += share * ys[i, k, c]
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]
    criterion = family(reduction=reduction)
    torch.testing.assert_close(
        MixLoss(criterion)(prediction, target), torch.as_tensor(expected), rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(
        MixLoss(criterion, mix="labels")(prediction, target), criterion(prediction, blended)
    )


def test_labels_of_one_column_are_not_taken_for_class_ids():
    prediction, ys = torch.randn(N, 1), torch.randn(N, K, 1)
    loss = MixLoss(nn.MSELoss())(prediction, MultiMixTarget(ys, torch.eye(K)[2]))
    torch.testing.assert_close(loss, functional.mse_loss(prediction, ys[:, 2]))


COMPILED = {
    "cross-entropy": (nn.CrossEntropyLoss(**OPTIONS["all"]), multi_batch(ignored=True)),
    "bce": (
        nn.BCEWithLogitsLoss(),
        (multi_batch()[0], MultiMixTarget(torch.rand(N, K, C), torch.full((K,), 1 / K))),
    ),
    "another": (Focal("none"), multi_batch()),
}


@pytest.mark.parametrize(("criterion", "mixed"), COMPILED.values(), ids=COMPILED.keys())
def test_it_compiles_into_one_graph(criterion, mixed):
    loss = MixLoss(criterion)
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        value_and_gradient(compiled, *mixed), value_and_gradient(loss, *mixed)
    )


def test_half_logits_keep_the_weights_in_float32():
    logits, target = multi_batch()
    half = logits.bfloat16()
    value, grad = value_and_gradient(MixLoss(nn.CrossEntropyLoss()), half, target)
    expected = value_and_gradient(MixLoss(nn.CrossEntropyLoss()), half.double(), target)
    assert value.dtype == torch.float32 and grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, expected[0].float(), rtol=1e-5, atol=1e-6)


@with_reductions
def test_an_empty_batch_gives_what_the_criterion_gives(reduction):
    logits, target = multi_batch(n=0)
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    torch.testing.assert_close(
        MixLoss(criterion)(logits, target), criterion(logits, target.ys[:, 0]), equal_nan=True
    )


def hits(logits, target, k, rows):
    """Weight of the classes among the top k over the weight of all, from soft targets `rows`."""
    best = np.argsort(-logits.numpy(), 1)[:, :k]
    return np.take_along_axis(rows, best, 1).sum() / rows.sum()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("ignored", [False, True])
def test_accuracy_is_the_share_of_the_soft_target_that_is_hit(k, ignored):
    logits, target = multi_batch(n=37, ignored=ignored)
    accuracy = MixAccuracy(k, ignore_index=IGNORED)(logits, target)
    assert accuracy.item() == pytest.approx(hits(logits, target, k, soft(target).numpy()))


@pytest.mark.parametrize("k", [1, 3])
def test_the_dominant_class_is_that_of_the_largest_share_of_the_soft_target(k):
    logits, target = multi_batch(n=37)
    heaviest = np.eye(C)[soft(target).numpy().argmax(1)]
    largest = target.ys[torch.arange(37), target.weights.argmax(1)].numpy()
    assert np.any(heaviest.argmax(1) != largest)  # some classes win by several of their labels
    accuracy = DominantAccuracy(k)(logits, target)
    assert accuracy.item() == pytest.approx(hits(logits, target, k, heaviest))


def test_of_equal_classes_the_first_label_dominates():
    target = MultiMixTarget(torch.tensor([[3, 1, 5]]), torch.tensor([0.25, 0.5, 0.25]))
    tied = MultiMixTarget(torch.tensor([[3, 1, 5, 3]]), torch.tensor([0.25, 0.5, 0.0, 0.25]))
    assert DominantAccuracy()(torch.eye(C)[[1]], target) == 1
    assert DominantAccuracy()(torch.eye(C)[[3]], tied) == 1


LOGITS, TARGET = multi_batch()


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(LOGITS[1:], TARGET),
            ValueError,
            r"same batch, got logits \(4, 7\) and ys \(5, 4\)",
        ),
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(LOGITS, TARGET._replace(ys=TARGET.ys + C)),
            IndexError,
            r"class ids must lie in \[0, 7\)",
        ),
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(LOGITS, MultiMixTarget([1], [0.5])),
            TypeError,
            r"ys must be a tensor, got list\. Use torch\.as_tensor\(ys\)",
        ),
        (
            lambda: MixLoss(nn.MultiMarginLoss(), mix="labels")(LOGITS, TARGET),
            ValueError,
            "mix='labels' needs float labels",
        ),
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(LOGITS, *TARGET),
            TypeError,
            "needs y2 and lam",
        ),
        (
            lambda: MixAccuracy()(LOGITS, MultiMixTarget(torch.rand(N, K, C), TARGET.weights)),
            ValueError,
            "labels must be class ids",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()

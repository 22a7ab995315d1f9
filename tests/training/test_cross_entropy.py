"""Cross-entropy of mixed batches against sums written out, and against torch at lam = 1."""

import numpy as np
import pytest
import torch
from mixed_batches import (
    IGNORED,
    OPTIONS,
    WEIGHT,
    C,
    N,
    batch,
    only_own_label,
    value_and_gradient,
)
from torch import nn

from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.mix_target import MixTarget
from dali_mix.training.multi_target import MultiMixTarget

with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
with_dims = pytest.mark.parametrize("dims", [(), (3,), (3, 2), (2, 1, 3)], ids=str)
with_reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


def label_loss(x, y, weight, ignore_index, smoothing):
    """Loss and weight of one label y for one vector of logits x: the definition, in float64."""
    if y == ignore_index:
        return 0.0, 0.0
    log_p = x - np.log(np.exp(x).sum())
    hard = -weight[y] * log_p[y]
    uniform = -sum(weight[c] * log_p[c] for c in range(C)) / C
    return (1 - smoothing) * hard + smoothing * uniform, weight[y]


def written_out(logits, target, reduction, weight=None, ignore_index=-100, label_smoothing=0.0):
    weight = np.ones(C) if weight is None else weight.numpy()
    x = logits.movedim(1, -1).numpy()
    y1, y2, lam = (part.numpy() for part in target)
    losses, total_weight = np.zeros(y1.shape), 0.0
    for i in np.ndindex(*y1.shape):
        own = float(lam[i[0]])
        for share, y in ((own, y1[i]), (1 - own, y2[i])):
            loss, label_weight = label_loss(x[i], y, weight, ignore_index, label_smoothing)
            losses[i] += share * loss
            total_weight += share * label_weight
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / total_weight}[reduction]


@with_options
@with_dims
@with_reductions
def test_cross_entropy_is_the_sum_written_out(options, dims, reduction):
    logits, target = batch(dims, ignored="ignore_index" in options)
    loss = MixLoss(nn.CrossEntropyLoss(reduction=reduction, **options))(logits, target)
    expected = written_out(logits, target, reduction, **options)
    torch.testing.assert_close(loss, torch.as_tensor(expected), rtol=1e-6, atol=1e-6)


@with_options
@with_dims
@with_reductions
def test_cross_entropy_at_lam_1_is_the_criterion(options, dims, reduction):
    logits, target = batch(dims, ignored="ignore_index" in options)
    criterion = nn.CrossEntropyLoss(reduction=reduction, **options)
    mixed = value_and_gradient(MixLoss(criterion), logits, only_own_label(target))
    torch.testing.assert_close(mixed, value_and_gradient(criterion, logits, target.y1))


@with_options
def test_cross_entropy_of_equal_labels_is_that_of_the_hard_label(options):
    logits, target = batch(ignored="ignore_index" in options)
    criterion = nn.CrossEntropyLoss(**options)
    mixed = value_and_gradient(MixLoss(criterion), logits, target._replace(y2=target.y1))
    expected = value_and_gradient(criterion, logits, target.y1)
    torch.testing.assert_close(mixed, expected, rtol=1e-6, atol=1e-6)


@with_options
@pytest.mark.parametrize("dims", [(), (2,)], ids=str)
def test_first_and_second_derivatives(options, dims):
    logits, target = batch(dims, n=3, ignored="ignore_index" in options)
    loss = MixLoss(nn.CrossEntropyLoss(**options))
    inputs = (logits.requires_grad_(),)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), inputs)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), inputs)


def test_the_gradient_of_each_label_is_its_share():
    logits, target = torch.zeros(3, C, dtype=torch.float64), batch(n=3)[1]
    y1, y2 = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    target = MixTarget(y1, y2, torch.tensor([0.25, 1.0, 0.0]))
    _, grad = value_and_gradient(MixLoss(nn.CrossEntropyLoss(reduction="sum")), logits, target)
    assert (1 / C - grad[torch.arange(3), y1]).tolist() == pytest.approx([0.25, 1.0, 0.0])
    assert (1 / C - grad[torch.arange(3), y2]).tolist() == pytest.approx([0.75, 0.0, 1.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_if_every_label_is_ignored_the_mean_is_nan_without_gradient_as_in_torch(weight, smoothing):
    logits, _ = batch()
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    y = torch.full((N,), -100)
    mixed = value_and_gradient(MixLoss(criterion), logits, MixTarget(y, y, torch.rand(N)))
    expected = value_and_gradient(criterion, logits, y)
    assert expected[0].isnan() and not expected[1].any()
    torch.testing.assert_close(mixed, expected, equal_nan=True)


@with_reductions
def test_an_empty_batch_gives_what_the_criterion_gives(reduction):
    logits, target = batch(n=0)
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    torch.testing.assert_close(
        MixLoss(criterion)(logits, target), criterion(logits, target.y1), equal_nan=True
    )


def test_a_single_sample():
    logits, _ = batch(n=1)
    target = MixTarget(torch.tensor([3]), torch.tensor([6]), 0.3)
    loss = MixLoss(nn.CrossEntropyLoss())(logits, target)
    torch.testing.assert_close(loss, torch.as_tensor(written_out(logits, target, "mean")))


def test_a_class_masked_by_an_infinite_logit_stays_out():
    logits, target = batch(ignored=True)
    masked = logits.index_fill(1, torch.tensor([0]), -torch.inf)
    target = MixTarget(target.y1.clamp(1), target.y2.clamp(1), target.lam)
    criterion = nn.CrossEntropyLoss(ignore_index=IGNORED)
    expected = value_and_gradient(
        MixLoss(criterion), logits[:, 1:], target._replace(**shifted(target))
    )
    value, grad = value_and_gradient(MixLoss(criterion), masked, target)
    torch.testing.assert_close((value, grad[:, 1:]), expected)
    assert not grad[:, 0].any()


def shifted(target: MixTarget) -> dict[str, torch.Tensor]:
    return {
        name: torch.where(y == IGNORED, IGNORED, y - 1)
        for name, y in (("y1", target.y1), ("y2", target.y2))
    }


def test_large_logits_lose_no_digits():
    logits = torch.full((1, C), 5000.0)
    target = MixTarget(torch.tensor([1]), torch.tensor([2]), 0.3)
    assert MixLoss(nn.CrossEntropyLoss())(logits, target).item() == pytest.approx(
        np.log(C), rel=1e-6
    )


def test_class_probabilities_give_the_blend_of_both_losses():
    logits, target = batch()
    p1, p2 = (torch.rand(N, C, dtype=torch.float64).softmax(1) for _ in range(2))
    criterion = nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2, reduction="none")
    loss = MixLoss(criterion)(logits, p1, p2, target.lam)
    expected = target.lam * criterion(logits, p1) + (1 - target.lam) * criterion(logits, p2)
    torch.testing.assert_close(loss, expected)


@with_reductions
def test_nll_of_log_probabilities_is_cross_entropy(reduction):
    logits, target = batch((3,), ignored=True)
    shared = {"weight": WEIGHT, "ignore_index": IGNORED, "reduction": reduction}
    loss = MixLoss(nn.NLLLoss(**shared))(logits.log_softmax(1), target)
    torch.testing.assert_close(loss, MixLoss(nn.CrossEntropyLoss(**shared))(logits, target))


@pytest.mark.parametrize("shape", [(N, 1), (N,)])
def test_labels_as_dali_shapes_them(shape):
    logits, target = batch()
    columns = (y.view(shape).int() for y in target[:2])
    loss = MixLoss(nn.CrossEntropyLoss())(logits, *columns, target.lam)
    torch.testing.assert_close(loss, MixLoss(nn.CrossEntropyLoss())(logits, target))


@with_options
def test_however_many_labels_it_saves_one_tensor_of_the_size_of_the_logits(options):
    logits = batch(n=64)[0].requires_grad_()
    ys = torch.randint(C, (64, 3), generator=torch.Generator().manual_seed(1))
    target = MultiMixTarget(ys, torch.tensor([0.5, 0.3, 0.2]))
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        MixLoss(nn.CrossEntropyLoss(**options))(logits, target)
    assert len({t.data_ptr() for t in saved if t.numel() >= logits.numel()}) == 1


def test_a_label_of_share_0_counts_nothing_even_where_its_loss_is_infinite():
    logits, target = batch()
    masked = logits.scatter(1, target.y2.unsqueeze(1), -torch.inf).scatter(
        1, target.y1.unsqueeze(1), 1.0
    )
    criterion = nn.CrossEntropyLoss()
    torch.testing.assert_close(
        value_and_gradient(MixLoss(criterion), masked, only_own_label(target)),
        value_and_gradient(criterion, masked, target.y1),
    )

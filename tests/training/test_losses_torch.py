"""MixLoss around every loss of torch, against formulas in NumPy float64 and torch at lam = 1."""

import functools
import math
import warnings

import numpy as np
import pytest
import torch
from mixed_batches import WEIGHT, C, N, batch, only_own_label, value_and_gradient
from torch import nn
from torch.nn import functional

from dali_mix import MixLoss, MixTarget, MultiMixTarget

with_reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def bce_with_logits(x, y, weight=1.0, pos_weight=1.0):
    return -weight * (pos_weight * y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))


def bce(x, y, weight=1.0):
    return -weight * (y * np.log(x) + (1 - y) * np.log(1 - x))


def smooth_l1(x, y, beta=1.0):
    d = abs(x - y)
    return np.where(d < beta, d**2 / (2 * beta), d - beta / 2) if beta else d


def huber(x, y, delta=1.0):
    d = abs(x - y)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def kl(x, y, log_target=False):
    return np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)


def poisson(x, y, log_input=True, full=False, eps=1e-8):
    loss = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    stirling = y * np.log(y) - y + np.log(2 * math.pi * y) / 2
    return loss + np.where(y > 1, stirling, 0) if full else loss


def multi_margin(x, y, p=1, margin=1.0, weight=None):
    losses = np.zeros(len(x))
    for i, j in np.ndindex(*x.shape):
        if j != y[i]:
            w = 1 if weight is None else weight[y[i]]
            losses[i] += w * max(0, margin - x[i, y[i]] + x[i, j]) ** p / x.shape[1]
    return losses


def multilabel_margin(x, y):
    losses = np.zeros(len(x))
    for i, row in enumerate(y):
        hot = row[: [*row, -1].index(-1)]
        cold = [c for c in range(C) if c not in hot]
        losses[i] = sum(max(0, 1 - (x[i, h] - x[i, c])) for h in hot for c in cold) / C
    return losses


LABELS = {
    "share": lambda g: torch.rand(N, C, generator=g, dtype=torch.float64) * 0.98 + 0.01,
    "quantity": lambda g: torch.rand(N, C, generator=g, dtype=torch.float64) * 9,
    "sign": lambda g: torch.randint(2, (N, C), generator=g) * 2 - 1,
    "id": lambda g: torch.randint(C, (N,), generator=g),
    "listed": lambda g: torch.stack([torch.randperm(C, generator=g) for _ in range(N)]).where(
        torch.arange(C) < torch.randint(1, 4, (N, 1), generator=g), -1
    ),
}

CASES = [
    (nn.BCELoss, functional.binary_cross_entropy, "share", {}, bce),
    (nn.BCELoss, functional.binary_cross_entropy, "share", {"weight": WEIGHT}, bce),
    (
        nn.BCEWithLogitsLoss,
        functional.binary_cross_entropy_with_logits,
        "share",
        {},
        bce_with_logits,
    ),
    (
        nn.BCEWithLogitsLoss,
        functional.binary_cross_entropy_with_logits,
        "share",
        {"weight": WEIGHT, "pos_weight": WEIGHT.flip(0)},
        bce_with_logits,
    ),
    (nn.MSELoss, functional.mse_loss, "quantity", {}, lambda x, y: (x - y) ** 2),
    (nn.L1Loss, functional.l1_loss, "quantity", {}, lambda x, y: abs(x - y)),
    (nn.SmoothL1Loss, functional.smooth_l1_loss, "quantity", {}, smooth_l1),
    (nn.SmoothL1Loss, functional.smooth_l1_loss, "quantity", {"beta": 2.5}, smooth_l1),
    (nn.SmoothL1Loss, functional.smooth_l1_loss, "quantity", {"beta": 0.0}, smooth_l1),
    (nn.HuberLoss, functional.huber_loss, "quantity", {}, huber),
    (nn.HuberLoss, functional.huber_loss, "quantity", {"delta": 2.5}, huber),
    (nn.KLDivLoss, functional.kl_div, "share", {}, kl),
    (nn.KLDivLoss, functional.kl_div, "share", {"log_target": True}, kl),
    (nn.PoissonNLLLoss, functional.poisson_nll_loss, "quantity", {}, poisson),
    (nn.PoissonNLLLoss, functional.poisson_nll_loss, "quantity", {"full": True}, poisson),
    (
        nn.PoissonNLLLoss,
        functional.poisson_nll_loss,
        "quantity",
        {"log_input": False, "eps": 0.5},
        poisson,
    ),
    (
        nn.SoftMarginLoss,
        functional.soft_margin_loss,
        "sign",
        {},
        lambda x, y: np.log1p(np.exp(-y * x)),
    ),
    (
        nn.HingeEmbeddingLoss,
        functional.hinge_embedding_loss,
        "sign",
        {"margin": 1.7},
        lambda x, y, margin: np.where(y == 1, x, np.maximum(0, margin - x)),
    ),
    (
        nn.MultiLabelSoftMarginLoss,
        functional.multilabel_soft_margin_loss,
        "share",
        {"weight": WEIGHT},
        lambda x, y, weight: bce_with_logits(x, y, weight).mean(1),
    ),
    (nn.MultiMarginLoss, functional.multi_margin_loss, "id", {}, multi_margin),
    (
        nn.MultiMarginLoss,
        functional.multi_margin_loss,
        "id",
        {"p": 2, "margin": 0.6, "weight": WEIGHT},
        multi_margin,
    ),
    (nn.MultiLabelMarginLoss, functional.multilabel_margin_loss, "listed", {}, multilabel_margin),
]
every_loss = pytest.mark.parametrize(
    ("family", "function", "labels", "options", "formula"),
    CASES,
    ids=[f"{family.__name__}-{'-'.join(options)}" for family, _, _, options, _ in CASES],
)


def mixed(family, labels):
    g = torch.Generator().manual_seed(11)
    x, target = batch()
    y1, y2 = LABELS[labels](g), LABELS[labels](g)
    if family is nn.BCELoss:
        x = x.sigmoid()
    return (x.abs() if family is nn.PoissonNLLLoss else x), MixTarget(y1, y2, target.lam)


def of_formula(x, target, formula, options):
    """Blended losses, unreduced."""
    numbers = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    x, y1, y2, lam = (part.numpy() for part in (x, *target))
    l1, l2 = (formula(x, y, **numbers) for y in (y1, y2))
    lam = lam.astype(float).reshape(-1, *(1,) * (l1.ndim - 1))
    return torch.as_tensor(lam * l1 + (1 - lam) * l2)


@every_loss
@with_reductions
def test_it_is_the_formula_blended(family, function, labels, options, formula, reduction):
    x, target = mixed(family, labels)
    losses = of_formula(x, target, formula, options)
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]
    loss = MixLoss(family(reduction=reduction, **options))(x, target)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


@every_loss
@with_reductions
def test_at_lam_1_it_is_the_criterion(family, function, labels, options, formula, reduction):
    x, target = mixed(family, labels)
    criterion = family(reduction=reduction, **options)
    own = target.y1 if labels in ("id", "listed") else target.y1.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # KLDivLoss warns of its own mean
        expected = value_and_gradient(criterion, x, own)
        for mix in ("losses", "labels") if target.y1.is_floating_point() else ("losses",):
            found = value_and_gradient(MixLoss(criterion, mix=mix), x, only_own_label(target))
            torch.testing.assert_close(found, expected)


@every_loss
@with_reductions
def test_the_function_is_as_good_as_the_module(
    family, function, labels, options, formula, reduction
):
    x, target = mixed(family, labels)
    module = MixLoss(family(reduction=reduction, **options))
    loss = MixLoss(functools.partial(function, reduction=reduction, **options))
    torch.testing.assert_close(loss(x, target), module(x, target))
    if reduction == "mean" and not options:
        torch.testing.assert_close(MixLoss(function)(x, target), module(x, target))


@every_loss
def test_several_labels_weigh_as_they_should(family, function, labels, options, formula):
    x, pair = mixed(family, labels)
    third = LABELS[labels](torch.Generator().manual_seed(5))
    shares = torch.tensor([0.5, 0.3, 0.2])
    multi = MultiMixTarget(torch.stack((*pair[:2], third), 1), shares)
    each = MixLoss(family(reduction="none", **options))
    losses = [each(x, MixTarget(y, y, 1.0)) for y in (*pair[:2], third)]
    expected = sum(s * loss for s, loss in zip(shares.double(), losses, strict=True))
    torch.testing.assert_close(each(x, multi), expected, rtol=1e-6, atol=1e-6)


def test_batchmean_is_the_sum_over_the_batch_size():
    x, target = mixed(nn.KLDivLoss, "share")
    loss = MixLoss(nn.KLDivLoss(reduction="batchmean"))(x, target)
    torch.testing.assert_close(loss, of_formula(x, target, kl, {}).sum() / N, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [0, 1])
@every_loss
def test_small_batches(family, function, labels, options, formula, size):
    x, target = mixed(family, labels)
    x, alone = x[:size], MixTarget(*(part[:size] for part in only_own_label(target)))
    criterion = family(reduction="sum", **options)
    own = alone.y1 if labels in ("id", "listed") else alone.y1.double()
    expected = criterion(x, own) if size else x.sum()  # some are not 0 without samples in torch
    torch.testing.assert_close(MixLoss(criterion)(x, alone), expected)


@pytest.mark.parametrize("options", [{"weight": torch.ones(N, C)}, {"size_average": False}])
def test_a_function_with_an_option_whose_mean_is_another_is_no_loss_of_torch(options):
    with pytest.raises(TypeError, match="got partial with reduction='mean'"):
        MixLoss(functools.partial(functional.mse_loss, **options))


def test_such_a_function_is_right_unreduced():
    g = torch.Generator().manual_seed(3)
    x, y1, y2, weight = (torch.rand(N, C, generator=g, dtype=torch.float64) for _ in range(4))
    lam = torch.tensor([0.1, 0.9, 0.3, 1.0, 0.0])
    function = functools.partial(functional.mse_loss, weight=weight, reduction="none")
    loss = MixLoss(function, reduction="sum")(x, y1, y2, lam)
    own = lam.double()[:, None]
    losses = weight * (own * (x - y1) ** 2 + (1 - own) * (x - y2) ** 2)
    torch.testing.assert_close(loss, losses.sum())

"""MixLoss around losses of torch: what is blended, and how the criterion is read."""

import functools

import numpy as np
import pytest
import torch
from mixed_batches import (
    OPTIONS,
    WEIGHT,
    C,
    N,
    batch,
    label_vectors,
    value_and_gradient,
)
from torch import nn
from torch.nn import functional

from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.mix_target import MixTarget

with_reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])


@pytest.mark.parametrize("labels", ["float", "integer", "bool"])
@with_reductions
def test_bce_with_logits_is_the_sum_written_out(reduction, labels):
    x, target = batch()
    y1, y2 = (torch.rand(N, C) < 0.3 for _ in range(2))
    pos_weight, weight = WEIGHT, torch.linspace(1, 2, C, dtype=torch.float64)

    def label_losses(y):
        p = 1 / (1 + np.exp(-x.numpy()))
        return -weight.numpy() * (pos_weight.numpy() * y * np.log(p) + (1 - y) * np.log(1 - p))

    lam = target.lam.double().numpy()[:, None]
    losses = lam * label_losses(y1.numpy()) + (1 - lam) * label_losses(y2.numpy())
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]
    criterion = nn.BCEWithLogitsLoss(weight=weight, pos_weight=pos_weight, reduction=reduction)
    kind = {"float": torch.float32, "integer": torch.int64, "bool": torch.bool}[labels]
    loss = MixLoss(criterion)(x, y1.to(kind), y2.to(kind), target.lam)
    torch.testing.assert_close(loss, torch.as_tensor(expected))


def test_bce_is_bce_with_logits_of_probabilities():
    logits, target = batch()
    y1, y2 = (torch.rand(N, C, dtype=torch.float64) for _ in range(2))
    loss = MixLoss(nn.BCELoss())(logits.sigmoid(), y1, y2, target.lam)
    torch.testing.assert_close(loss, MixLoss(nn.BCEWithLogitsLoss())(logits, y1, y2, target.lam))


REGRESSION = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss]


def quantities():
    prediction, y1, y2 = (torch.randn(N, 2, dtype=torch.float64) * 3 for _ in range(3))
    return prediction, MixTarget(y1, y2, torch.tensor([0.0, 1.0, 0.3, 0.8, 0.45]))


@pytest.mark.parametrize("family", REGRESSION)
@with_reductions
def test_regression_takes_the_blended_label_on_request(family, reduction):
    prediction, target = quantities()
    lam = target.lam.double()[:, None]
    blended = lam * target.y1 + (1 - lam) * target.y2
    criterion = family(reduction=reduction)
    torch.testing.assert_close(
        MixLoss(criterion, mix="labels")(prediction, target), criterion(prediction, blended)
    )


def test_the_two_meanings_of_mse_differ_by_a_constant():
    prediction, target = quantities()
    losses, labels = (
        value_and_gradient(MixLoss(nn.MSELoss(), mix=mix), prediction, target)
        for mix in ("losses", "labels")
    )
    lam = target.lam.double()[:, None]
    torch.testing.assert_close(
        losses[0] - labels[0], (lam * (1 - lam) * (target.y1 - target.y2) ** 2).mean()
    )
    torch.testing.assert_close(losses[1], labels[1])


def test_labels_of_one_column_are_not_taken_for_class_ids():
    prediction, target = torch.randn(N, 1), MixTarget(torch.randn(N, 1), torch.randn(N, 1), 0.3)
    l1, l2 = (functional.mse_loss(prediction, y) for y in target[:2])
    torch.testing.assert_close(MixLoss(nn.MSELoss())(prediction, target), 0.3 * l1 + 0.7 * l2)


def test_options_of_the_criterion_are_read_at_every_call():
    logits, target = batch()
    criterion = nn.CrossEntropyLoss()
    loss = MixLoss(criterion)
    criterion.label_smoothing = 0.3
    expected = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.3))(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)


def test_the_criterion_is_a_submodule():
    loss = MixLoss(nn.CrossEntropyLoss(weight=WEIGHT))
    assert list(loss.state_dict()) == ["criterion.weight"]
    assert loss.to(torch.float32).criterion.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (functional.cross_entropy, nn.CrossEntropyLoss()),
        (
            functools.partial(functional.cross_entropy, **OPTIONS["all"]),
            nn.CrossEntropyLoss(**OPTIONS["all"]),
        ),
        (
            functools.partial(functional.cross_entropy, reduction="sum"),
            nn.CrossEntropyLoss(reduction="sum"),
        ),
        (functools.partial(functional.multi_margin_loss, p=2), nn.MultiMarginLoss(p=2)),
    ],
)
def test_a_function_is_as_good_as_a_module(function, module):
    logits, target = batch()
    torch.testing.assert_close(MixLoss(function)(logits, target), MixLoss(module)(logits, target))


def test_a_function_of_label_vectors():
    logits, target = label_vectors()
    loss = MixLoss(functional.binary_cross_entropy_with_logits)(logits, target)
    torch.testing.assert_close(loss, MixLoss(nn.BCEWithLogitsLoss())(logits, target))

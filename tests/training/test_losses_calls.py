"""How MixLoss is called, and what it says where a call does not fit."""

import functools

import pytest
import torch
from mixed_batches import WEIGHT, C, N, batch, label_vectors
from torch import nn
from torch.nn import functional

from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.mix_target import MixTarget


def test_a_plain_target_passes_through():
    logits, target = batch()
    criterion = nn.CrossEntropyLoss(weight=WEIGHT)
    assert torch.equal(MixLoss(criterion)(logits, target.y1), criterion(logits, target.y1))


def test_both_ways_to_call_it_agree():
    logits, target = batch()
    loss = MixLoss(nn.CrossEntropyLoss())
    assert torch.equal(loss(logits, target), loss(logits, *target))


def test_lam_may_be_one_number():
    logits, target = batch()
    loss = MixLoss(nn.CrossEntropyLoss())
    expected = 0.3 * loss(logits, target.y1) + 0.7 * loss(logits, target.y2)
    value = loss(logits, target.y1, target.y2, 0.3)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)


def soft_target_cross_entropy(x, target):
    return -(target * x.log_softmax(-1)).sum(-1).mean()


LOGITS, TARGET = batch()


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: MixLoss(soft_target_cross_entropy),
            TypeError,
            "reduction='none', got soft_target_cross_entropy with reduction=None",
        ),
        (
            lambda: MixLoss(nn.Identity()),
            TypeError,
            r"got Identity.*torch\.nn\.CrossEntropyLoss\(label_smoothing=…\)",
        ),
        (
            lambda: MixLoss(nn.MSELoss(), mix="both"),
            ValueError,
            "mix must be 'losses' or 'labels', got 'both'",
        ),
        (
            lambda: MixLoss(nn.MSELoss())(LOGITS, TARGET.y1, TARGET.y2),
            TypeError,
            "needs y2 and lam",
        ),
        (
            lambda: MixLoss(nn.MSELoss())(LOGITS, tuple(TARGET)),
            TypeError,
            r"got tuple\. Use MixTarget\(y1, y2, lam\)",
        ),
        (
            lambda: MixLoss(nn.MSELoss())(LOGITS, MixTarget([1], [2], [0.5])),
            TypeError,
            "y1 must be a tensor, got list",
        ),
        (
            lambda: MixLoss(nn.MSELoss())(LOGITS[1:], TARGET),
            ValueError,
            r"same batch, got logits \(4, 7\) and y1 \(5,\)",
        ),
        (
            lambda: MixLoss(nn.MSELoss())(LOGITS.to("meta"), TARGET),
            ValueError,
            r"logits, meta, got cpu\. Use target\.to",
        ),
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(
                LOGITS, *(y.expand(2, N).t() for y in TARGET[:2]), 0.5
            ),
            ValueError,
            r"class ids must have .* without dimension 1, got logits \(5, 7\) and labels \(5, 2\)",
        ),
        (
            lambda: MixLoss(nn.CrossEntropyLoss())(LOGITS, TARGET._replace(y2=TARGET.y2 + C)),
            IndexError,
            r"class ids must lie in \[0, 7\), .* or equal ignore_index=-100",
        ),
        (
            lambda: MixLoss(nn.MultiMarginLoss(), mix="labels")(LOGITS, TARGET),
            ValueError,
            "mix='labels' needs float labels, got torch.int64: class ids cannot be blended",
        ),
        (
            lambda: MixLoss(nn.HuberLoss(reduction="median"))(*label_vectors()),
            ValueError,
            "reduction must be 'none', 'mean' or 'sum', got 'median'",
        ),
        (
            lambda: MixLoss(nn.Identity(), reduction="median"),
            ValueError,
            "reduction must be 'mean', 'sum' or 'none', got 'median'",
        ),
        (
            lambda: MixLoss(nn.MSELoss(), reduction="sum"),
            ValueError,
            "must not be given for a loss of torch, .* got 'sum'. Give it to MSELoss",
        ),
        (
            lambda: MixLoss(nn.MSELoss(reduction="batchmean"))(*label_vectors()),
            ValueError,
            "reduction must be .* got 'batchmean'",
        ),
        (
            lambda: MixLoss(functools.partial(functional.cross_entropy, reduction="median"))(
                LOGITS, TARGET
            ),
            ValueError,
            "reduction must be 'none', 'mean' or 'sum', got 'median'",
        ),
        (
            lambda: MixLoss(nn.CosineEmbeddingLoss)(LOGITS, TARGET),
            TypeError,
            r"must be an object, got the class CosineEmbeddingLoss\. Use CosineEmbeddingLoss\(\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()

"""Cross-entropy of a mixed batch in one pass over the logits. What wraps criteria is in losses.py.

With log p = log_softmax(logits), class weights w, smoothing e, C classes, and w = 0 for an ignored
label:

    L(y)   = (1 - e) * w[y] * -log p[y]  +  e/C * sum_c w[c] * -log p[c],  or 0 if y is ignored
    loss   = lam * L(y1) + (1 - lam) * L(y2)
    "mean" = sum(loss) / sum(lam * w[y1] + (1 - lam) * w[y2])

and with more labels, sum_k share[k] * L(y[k]) over sum_k share[k] * w[y[k]]. L is what
torch.nn.functional.cross_entropy computes with reduction="none".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from dali_mix._batch_target import BatchTarget, along_batch

__all__ = ["mixed_cross_entropy", "mixed_nll"]

# Note [small batches]
# At 10 classes and batch 256 every operation is call overhead of a few microseconds, and forward
# and backward take as long as two calls of cross_entropy and their blend. So few operations decide:
# an autograd function in Python only where it saves more than it costs; the mean of (N,) losses as
# one dot product; no count of ignored labels where a look at the labels shows that there are none.

ONE_PASS_FROM = 1 << 20
"""Elements of the logits from which _OnePass saves more traffic than its call costs (bench/loss.py:
the two cross at 2,000 to 4,000 classes for a batch of 256)."""


class _Labels(NamedTuple):
    target: BatchTarget
    """It weighs and blends what is computed of each of the ids."""
    ids: tuple[Tensor, ...]
    """K of (N, d1, ...) int64"""
    class_weight: Tensor | None
    """(C,), in the dtype of the arithmetic"""
    ignore_index: int
    dtype: torch.dtype
    """Of the arithmetic."""


def mixed_cross_entropy(
    logits: Tensor,
    target: BatchTarget,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The blend of cross_entropy(logits, y) over the labels y of the target, as defined above.

    logits:  (N, C, d1, ...), any float dtype; arithmetic and result are float32, or float64 for it
    target:  MixTarget or MultiMixTarget of class ids (N, d1, ...)
    others:  as in torch.nn.functional.cross_entropy, which this equals at lam = 1
    returns: (N, d1, ...) for "none", else a scalar; like torch, a "mean" of ignored labels alone is
             nan and its gradient zero

    Large logits are saved themselves, not their softmax; forward and backward each make one
    temporary of their size (forward one more for weight with label_smoothing). Twice
    differentiable. No gradient flows into lam or weight. An IndexError reports a label outside
    [0, C); on a GPU an assertion of the device does.
    """
    labels = _labels(logits, target, weight, ignore_index)
    uniform = None
    if label_smoothing:
        uniform = _blended_weight(labels._replace(class_weight=None))
        uniform = uniform * (label_smoothing / logits.shape[1])
    if logits.numel() < ONE_PASS_FROM or torch.compiler.is_compiling():
        loss = _losses(logits, 1 - label_smoothing, uniform, labels)
    else:
        loss = _one_pass(logits, 1 - label_smoothing, uniform, labels)
    return _reduced(loss, labels, reduction)


def mixed_nll(
    log_p: Tensor,
    target: BatchTarget,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The same without smoothing for log p itself, (N, C, d1, ...), as nll_loss takes it."""
    labels = _labels(log_p, target, weight, ignore_index)
    return _reduced(_picked(log_p.to(labels.dtype), labels), labels, reduction)


def _labels(x: Tensor, target: BatchTarget, weight: Tensor | None, ignore_index: int) -> _Labels:
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    weight = None if weight is None else weight.detach().to(dtype)
    ids = tuple(y.long() for y in target.labels)
    return _Labels(target, ids, weight, ignore_index, dtype)


def _losses(logits: Tensor, hard: float, uniform: Tensor | None, labels: _Labels) -> Tensor:
    """(N, d1, ...) losses.

    hard:    1 - e
    uniform: (N, d1, ...) e/C times the share of the labels that is not ignored; None for e = 0
    """
    log_p = torch.log_softmax(logits, 1, dtype=labels.dtype)
    loss = _picked(log_p, labels)
    if uniform is None:
        return loss
    weight = labels.class_weight
    of_classes = log_p if weight is None else log_p * _along_classes(weight, log_p)
    return loss * hard - torch.where(uniform > 0, of_classes.sum(1), 0.0) * uniform


def _picked(log_p: Tensor, labels: _Labels) -> Tensor:
    """The blend of w[y] * -log p[y]."""
    weight, ignore_index = labels.class_weight, labels.ignore_index
    try:
        losses = [
            functional.nll_loss(log_p, y, weight, ignore_index=ignore_index, reduction="none")
            for y in labels.ids
        ]
    except IndexError as error:
        raise IndexError(
            f"class ids must lie in [0, {log_p.shape[1]}), the classes of the logits, or equal "
            f"ignore_index={ignore_index}: {error}"
        ) from error
    return labels.target.blend(losses)


class _OnePass(Function):
    """_losses with a backward that recomputes the softmax and makes the gradient of it in place."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, hard: float, uniform: Tensor | None, labels: _Labels
    ) -> Tensor:
        ctx.save_for_backward(logits, uniform, labels.class_weight, *labels.target)
        ctx.hard, ctx.ignore_index, ctx.kind = hard, labels.ignore_index, type(labels.target)
        return _losses(logits, hard, uniform, labels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logits, uniform, weight, *parts = ctx.saved_tensors
        labels = _labels(logits, ctx.kind._make(parts), weight, ctx.ignore_index)
        gradient = _gradient(grads[0].unsqueeze(1), logits, ctx.hard, uniform, labels)
        return gradient, None, None, None


def _one_pass(logits: Tensor, hard: float, uniform: Tensor | None, labels: _Labels) -> Tensor:
    loss: Tensor = _OnePass.apply(logits, hard, uniform, labels)
    return loss


def _gradient(
    grad: Tensor, logits: Tensor, hard: float, uniform: Tensor | None, labels: _Labels
) -> Tensor:
    """grad (N, 1, d1, ...) times the derivative of _losses, in the shape and dtype of logits.

    The derivative of sum_c a[c] * -log p[c] is p * sum(a) - a.
    """
    weight, shares = labels.class_weight, labels.target.shares
    weights = [
        along_batch(share.to(labels.dtype), of_label) * of_label
        for share, of_label in zip(shares, _weights(labels), strict=True)
    ]
    picked = _times(grad, torch.stack(weights, 1) * hard)
    total = picked.sum(1, keepdim=True)
    if uniform is not None:
        spread = _times(grad, uniform.unsqueeze(1))
        of_classes = uniform.new_ones(1) if weight is None else _along_classes(weight, logits)
        total = total + spread * (logits.shape[1] if weight is None else weight.sum())
    p = torch.softmax(logits, 1, dtype=labels.dtype)
    # With gradients enabled this gradient is to be differentiated in turn, and p is still needed.
    gradient = p * total if torch.is_grad_enabled() else p.mul_(total)
    if uniform is not None:
        gradient = gradient.addcmul_(spread, of_classes, value=-1)
    ids = torch.stack(labels.ids, 1).clamp(0, logits.shape[1] - 1)  # an ignored one weighs 0
    return gradient.scatter_add_(1, ids, -picked).to(logits.dtype)


def _times(grad: Tensor, share: Tensor) -> Tensor:
    """grad * share, 0 where share is 0: grad is infinite in a "mean" of ignored labels alone."""
    return (grad * share).masked_fill_(share == 0, 0.0)


def _along_classes(weight: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...), with as many dimensions as `like`."""
    return weight.view(1, -1, *(1,) * (like.dim() - 2))


def _weights(labels: _Labels) -> list[Tensor]:
    """w[y] of each label, 0 for an ignored one."""
    valid = [y != labels.ignore_index for y in labels.ids]
    weight = labels.class_weight
    if weight is None:
        return [v.to(labels.dtype) for v in valid]
    return [weight[y.where(v, 0)] * v for y, v in zip(labels.ids, valid, strict=True)]


def _blended_weight(labels: _Labels) -> Tensor:
    return labels.target.blend(_weights(labels))


def _reduced(loss: Tensor, labels: _Labels, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")
    if loss.dim() == 1 and labels.class_weight is None and _surely_none_ignored(labels):
        n = len(loss)  # see Note [small batches]
        return torch.dot(loss, loss.new_full((n,), 1 / n))
    return loss.sum() / _blended_weight(labels).sum()


def _surely_none_ignored(labels: _Labels) -> bool:
    """Whether a look at the labels is cheap and settles it: a GPU would have to be waited for."""
    first = labels.ids[0]
    if first.device.type != "cpu" or not first.numel() or torch.compiler.is_compiling():
        return False
    return labels.ignore_index < 0 and min(y.min().item() for y in labels.ids) >= 0

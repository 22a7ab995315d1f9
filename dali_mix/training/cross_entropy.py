"""Cross-entropy of a mixed batch, from one log_softmax. What wraps criteria is in losses.py.

With log p = log_softmax(logits), class weights w, smoothing e, C classes, and w = 0 for an ignored
label:

    L(y)   = (1 - e) * w[y] * -log p[y]  +  e/C * sum_c w[c] * -log p[c],  or 0 if y is ignored
    loss   = lam * L(y1) + (1 - lam) * L(y2)
    "mean" = sum(loss) / sum(lam * w[y1] + (1 - lam) * w[y2])

and with more labels, sum_k share[k] * L(y[k]) over sum_k share[k] * w[y[k]]. L is what
torch.nn.functional.cross_entropy computes with reduction="none".

No value of a tensor is looked at and no size is treated apart, so that all transforms of torch
apply. One gather picks the log p of all labels of a sample: its gradient is one tensor of the size
of the logits, however many labels there are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dali_mix.training.batch_target import BatchTarget

__all__ = ["mixed_cross_entropy", "reduced", "wide"]


def mixed_cross_entropy(
    logits: Tensor,
    target: BatchTarget,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    normalized: bool = False,
) -> Tensor:
    """The blend of cross_entropy(logits, y) over the labels y of the target, as defined above.

    logits:     (N, C, d1, ...), any float dtype; arithmetic and result are float32, or float64
    target:     MixTarget or MultiMixTarget of class ids (N, d1, ...)
    normalized: the logits are log p itself, as nll_loss takes it
    others:     as in torch.nn.functional.cross_entropy, which this equals at lam = 1
    returns:    (N, d1, ...) for "none", else a scalar; like torch, a "mean" of ignored labels alone
                is nan and its gradient zero

    A label of share 0 counts nothing, even where its loss is infinite. No gradient flows into lam
    or weight. An IndexError reports a label outside [0, C); on a GPU an assertion of the device
    does.
    """
    ids = torch.stack(target.labels, 1).long()  # (N, K, d1, ...), as all that is of labels below
    _check_shape(logits, ids)
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    log_p = logits.to(dtype) if normalized else torch.log_softmax(logits, 1, dtype=dtype)
    ignored = ids == ignore_index
    ids = ids.masked_fill(ignored, 0)
    shares = torch.stack(target.shares, 1).to(log_p.dtype)
    shares = weights = _padded(shares, ids.dim() - 2).masked_fill(ignored, 0.0)
    try:
        if weight is not None:
            weight = weight.detach().to(log_p.dtype)
            weights = shares * weight[ids]
        picked = log_p.gather(1, ids)
    except (IndexError, RuntimeError) as error:
        if "out of bounds" not in str(error):
            raise
        raise IndexError(
            f"class ids must lie in [0, {log_p.shape[1]}), the classes of the logits, or equal "
            f"ignore_index={ignore_index}: {error}"
        ) from error
    # What weighs nothing is taken out, as its log p may be infinite, and so may the gradient be.
    loss = picked.masked_fill(weights.logical_not(), 0.0) * weights.neg()
    if label_smoothing:
        share = shares.sum(1) * (-label_smoothing / log_p.shape[1])
        spread = log_p if weight is None else log_p * _padded(weight, log_p.dim() - 2)
        spread = spread.sum(1).masked_fill(share == 0, 0.0) * share
        loss = loss.sum(1) * (1 - label_smoothing) + spread
    elif reduction == "none":
        loss = loss.sum(1)
    return reduced(loss, reduction, weights)


def _check_shape(logits: Tensor, ids: Tensor) -> None:
    if ids.dim() != logits.dim() or ids.shape[2:] != logits.shape[2:]:
        y = (ids.shape[0], *ids.shape[2:])
        raise ValueError(
            "class ids must have the shape of the logits without dimension 1, got logits "
            f"{tuple(logits.shape)} and labels {y}. Class probabilities must be float."
        )


def _padded(values: Tensor, dims: int) -> Tensor:
    """With so many more dimensions of size 1 at the end."""
    return values.view(*values.shape, *(1,) * dims) if dims else values


def wide(x: Tensor) -> Tensor:
    """float32, or float64 for that."""
    return x if x.dtype == torch.float64 else x.float()


def reduced(loss: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """The losses as they are, their sum, or their mean: the sum over that of the weights."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")
    return loss.mean() if weights is None else loss.sum() / weights.sum()

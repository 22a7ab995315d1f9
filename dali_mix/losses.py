"""MixLoss: a criterion, made right for a mixed batch. Imports torch, never DALI.

The arithmetic of cross-entropy is in cross_entropy.py, what is asked of a criterion in criteria.py.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from dali_mix import criteria
from dali_mix._batch_target import BatchTarget, as_labels
from dali_mix.criteria import Loss, fitted, name_of
from dali_mix.cross_entropy import mixed_cross_entropy, reduced, wide
from dali_mix.manifold_target import ManifoldTarget
from dali_mix.multi_target import MultiMixTarget
from dali_mix.targets import MixTarget

__all__ = ["MixLoss"]


class MixLoss(nn.Module):
    """lam * L(y1) + (1 - lam) * L(y2) for each sample of a mixed batch, L being the criterion; with
    more labels, the sum of share * L(y).

    criterion: a loss of torch, as module or function, nn.CrossEntropyLoss(…) or
               functools.partial(torch.nn.functional.cross_entropy, label_smoothing=0.1); or any
               other callable that returns one loss per sample or element: reduction="none"
    mix:       "losses" or "labels": what is blended, where the criterion is not linear in the label
    reduction: "mean", "sum" or "none" of the losses that a criterion other than torch's returns;
               None leaves them unreduced. torch's losses have a reduction of their own

    Call it as loss(logits, target) with a MixTarget or MultiMixTarget (or the ManifoldTarget of
    manifold_mixup), or as loss(logits, y1, y2, lam); lam is (N,), other shapes are the criterion's.
    A plain target goes to the criterion, so that validation uses the same object.

    criterion                         what is computed
    cross-entropy, NLL on class ids   in one pass; "mean" divides by sum(lam*w[y1] + (1-lam)*w[y2]),
                                      w being class weights, 0 for ignored labels, so that at
                                      lam = 1 it equals the criterion
    cross-entropy on probabilities,   the criterion of the label lam*y1 + (1-lam)*y2, which comes to
    BCE with and without logits       the same, as they are linear in the label
    torch's others: MSE, L1, Huber,   mix="losses": both losses unreduced, blended, then reduced
    SmoothL1, KLDiv, MultiMargin, …   mix="labels": the criterion of the label lam*y1 + (1-lam)*y2
    any other: your own, a subclass,  mix="losses": one call for each label, the losses blended,
    wrapped, hooked or compiled       then reduced as `reduction` says
                                      mix="labels": one call with the blended label; it may reduce

    The criterion is never written to. torch's are computed by their functions, with the options
    that they have at the call. Any other is called as it is, each time with copies of logits and
    labels: what it counts goes on, and one call sees nothing of the other.

    For MSE the two meanings differ by lam*(1-lam)*(y1-y2)**2, which no prediction changes: the
    gradients agree. For L1, and SmoothL1 and Huber far from the label, blended losses pull towards
    the label of larger weight, mix="labels" towards the blended label.

    With torch's losses arithmetic and result are float32 for half-precision logits and float64 for
    float64 ones; any other criterion gets what it was given. No gradient flows into lam. Labels of
    every integer type are taken, (N, 1) as (N,); a column of quantities (N, 1) meets (N,). A
    ValueError or TypeError says what does not fit, an IndexError which class ids do not.
    """

    def __init__(
        self, criterion: Loss, *, mix: str = "losses", reduction: str | None = None
    ) -> None:
        super().__init__()
        if mix not in ("losses", "labels"):
            raise ValueError(f"mix must be 'losses' or 'labels', got {mix!r}.")
        if reduction not in (None, "mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
        criteria.check_criterion(criterion, mix, reduction)
        self.criterion = criterion
        self.mix = mix
        self.reduction = reduction

    def extra_repr(self) -> str:
        own = "" if self.reduction is None else f", reduction={self.reduction!r}"
        return f"mix={self.mix!r}{own}"

    def forward(
        self,
        logits: Tensor,
        target: Any,
        y2: Tensor | None = None,
        lam: Tensor | float | None = None,
    ) -> Tensor:
        if y2 is not None and lam is not None:
            target = MixTarget(target, y2, lam)
        elif y2 is not None or lam is not None:
            raise TypeError("loss(logits, y1, y2, lam) needs y2 and lam. Or pass one MixTarget.")
        elif isinstance(target, ManifoldTarget):
            target = target.mix
        elif isinstance(target, (tuple, list)) and not isinstance(target, BatchTarget):
            raise TypeError(
                "target must be a tensor, a MixTarget or a MultiMixTarget, got "
                f"{name_of(target)}. Use MixTarget(y1, y2, lam)."
            )
        known = criteria.torch_loss(self.criterion) if self.reduction is None else None
        if not isinstance(target, BatchTarget):
            return self._plain(logits, target, known)
        _check_batch(logits, target)
        if known:
            return self._of_torch(logits, target, *known)
        return self._of_any_other(logits, target)

    def _plain(self, logits: Tensor, y: Any, known: Any) -> Tensor:
        if isinstance(y, Tensor):
            y = as_labels(y)
            if known:
                logits, y = fitted(known[0], logits, y)
        losses = self.criterion(logits, y)
        if self.reduction is None:
            return losses
        criteria.check_losses(losses, self.criterion, logits, y)
        return reduced(losses, self.reduction)

    def _of_torch(
        self, logits: Tensor, target: BatchTarget, function: Loss, options: dict[str, Any]
    ) -> Tensor:
        vectors = target[0].is_floating_point()
        if function in (functional.cross_entropy, functional.nll_loss) and not vectors:
            log_p = function is functional.nll_loss
            return mixed_cross_entropy(logits, target, **options, normalized=log_p)
        x, linear = wide(logits), function in criteria.LINEAR_IN_THE_LABEL
        labels = [y.to(x.dtype) if vectors else y for y in target.labels]
        ys = [fitted(function, x, y)[1] for y in labels]
        options = {k: wide(v) if isinstance(v, Tensor) else v for k, v in options.items()}
        if linear or self.mix == "labels":
            if not linear:
                _check_blendable(target[0])
            return function(x, target.blend(ys), **options)
        reduction = options.pop("reduction")
        losses = target.blend([function(x, y, reduction="none", **options) for y in ys])
        if function is functional.kl_div and reduction == "batchmean":
            return losses.sum() / target.batch_size
        return reduced(losses, reduction)

    def _of_any_other(self, logits: Tensor, target: BatchTarget) -> Tensor:
        if self.mix == "labels":
            _check_blendable(target[0])
            blended = target.blend([wide(y) for y in target.labels])
            return self._plain(logits, blended.to(target[0].dtype), None)
        each = []
        for y in target.labels:
            losses = self.criterion(logits.clone(), y.clone())
            criteria.check_losses(losses, self.criterion, logits, y)
            each.append(wide(losses).clone())  # a criterion may return one buffer twice
        loss = reduced(target.blend(each), self.reduction or "none")
        return loss.to(losses.dtype)


def _check_batch(logits: Tensor, target: BatchTarget) -> None:
    name, y = ("ys" if isinstance(target, MultiMixTarget) else "y1"), target[0]
    if not isinstance(y, Tensor):
        raise TypeError(f"{name} must be a tensor, got {name_of(y)}. Use torch.as_tensor({name}).")
    if logits.dim() == 0 or logits.shape[0] != y.shape[0]:
        raise ValueError(
            "logits and target must hold the same batch, got logits "
            f"{tuple(logits.shape)} and {name} {tuple(y.shape)}."
        )
    if logits.device != y.device:
        raise ValueError(
            f"target must be on the device of the logits, {logits.device}, got {y.device}. "
            "Use target.to(logits.device)."
        )


def _check_blendable(y1: Tensor) -> None:
    if not y1.is_floating_point():
        raise ValueError(
            f"mix='labels' needs float labels, got {y1.dtype}: class ids cannot be blended. "
            "Use mix='losses', or .float() labels if they are quantities."
        )

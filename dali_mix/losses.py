"""MixLoss: any criterion, made right for a mixed batch. Imports torch, never DALI.

The arithmetic of cross-entropy is in cross_entropy.py.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dali_mix._batch_target import BatchTarget
from dali_mix.cross_entropy import mixed_cross_entropy, mixed_nll
from dali_mix.manifold_target import ManifoldTarget
from dali_mix.multi_target import MultiMixTarget
from dali_mix.targets import MixTarget, checked_parts

__all__ = ["MixLoss"]

# A criterion is known by what computes it: a subclass that overrides forward is another criterion.
_CROSS_ENTROPY = (nn.CrossEntropyLoss.forward, functional.cross_entropy)
_NLL = (nn.NLLLoss.forward, functional.nll_loss)
_LINEAR_IN_LABEL_VECTORS = (
    *_CROSS_ENTROPY,
    nn.BCELoss.forward,
    nn.BCEWithLogitsLoss.forward,
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)


class MixLoss(nn.Module):
    """lam * L(y1) + (1 - lam) * L(y2) for each sample of a mixed batch, L being the criterion; with
    more labels, the sum of share * L(y).

    criterion: module or function with a `reduction`: nn.CrossEntropyLoss(…),
               functools.partial(torch.nn.functional.cross_entropy, label_smoothing=0.1), … It is
               never written to; its options, reduction included, are read at every call (compiled,
               those of "any other" below at construction).
    mix:       "losses" or "labels": of any other criterion, what is blended

    Call it as loss(logits, target) with a MixTarget or MultiMixTarget (or the ManifoldTarget of
    manifold_mixup), or as loss(logits, y1, y2, lam); lam is (N,), other shapes are the criterion's.
    A plain target goes to the criterion as it is, so that validation uses the same object.

    criterion                         what is computed
    cross-entropy, NLL on class ids   in one pass; "mean" divides by sum(lam*w[y1] + (1-lam)*w[y2]),
                                      w being class weights, 0 for ignored labels, so that at
                                      lam = 1 it equals the criterion
    cross-entropy on probabilities,   the criterion of the label lam*y1 + (1-lam)*y2, which comes to
    BCE with and without logits       the same, as they are linear in the label
    any other: MSE, L1, SmoothL1,     mix="losses": both losses unreduced, blended, then summed or
    Huber, your own, …                averaged over all elements
                                      mix="labels": the criterion of the label lam*y1 + (1-lam)*y2

    For MSE the two meanings differ by lam*(1-lam)*(y1-y2)**2, which no prediction changes: the
    gradients agree. For L1, and SmoothL1 and Huber far from the label, blended losses pull towards
    the label of larger weight, mix="labels" towards the blended label.

    Arithmetic and result are float32 for half-precision logits and float64 for float64 ones. No
    gradient flows into lam.
    """

    def __init__(self, criterion: Callable[..., Tensor], *, mix: str = "losses") -> None:
        super().__init__()
        if mix not in ("losses", "labels"):
            raise ValueError(f"mix must be 'losses' or 'labels', got {mix!r}.")
        if inspect.isclass(criterion):
            name = criterion.__name__
            raise TypeError(f"criterion must be an object, got the class {name}. Use {name}().")
        self._keywords = _keywords(criterion)
        if not hasattr(self._keywords or criterion, "reduction"):
            raise TypeError(
                f"criterion must have a reduction, attribute or keyword, got {_name(criterion)}. "
                "In place of a cross-entropy for soft targets or with label smoothing use "
                "torch.nn.CrossEntropyLoss(label_smoothing=…)."
            )
        self.criterion = criterion
        self.mix = mix
        # For torch.compile, which cannot trace a copy. In a tuple, so that it is no submodule.
        self._unreduced_at_first = (_unreduced(criterion),)

    def extra_repr(self) -> str:
        return f"mix={self.mix!r}"

    def forward(
        self,
        logits: Tensor,
        target: Any,
        y2: Tensor | None = None,
        lam: Tensor | float | None = None,
    ) -> Tensor:
        if y2 is not None and lam is not None:
            target = MixTarget._make(checked_parts(target, y2, lam))
        elif y2 is not None or lam is not None:
            raise TypeError("loss(logits, y1, y2, lam) needs y2 and lam. Or pass one MixTarget.")
        elif isinstance(target, ManifoldTarget):
            target = target.mix
        elif isinstance(target, (tuple, list)) and not isinstance(target, BatchTarget):
            raise TypeError(
                f"target must be a tensor, a MixTarget or a MultiMixTarget, got {_name(target)}. "
                "Use MixTarget(y1, y2, lam)."
            )
        if not isinstance(target, BatchTarget):
            return self.criterion(logits, target)
        _check_batch(logits, target)
        return self._mixed(logits, target)

    def _mixed(self, logits: Tensor, target: BatchTarget) -> Tensor:
        criterion = self.criterion
        formula = _formula(criterion)
        y1 = target.labels[0]
        if not y1.is_floating_point() and (formula in _CROSS_ENTROPY or formula in _NLL):
            return self._of_class_ids(formula, logits, target)
        x = logits if logits.dtype == torch.float64 else logits.float()
        if formula not in _LINEAR_IN_LABEL_VECTORS:
            if self.mix == "losses":
                return self._blend_losses(x, target)
            _check_blendable(y1)
        return criterion(x, target.blend([y.to(x.dtype) for y in target.labels]))

    def _of_class_ids(
        self, formula: Callable[..., Tensor], logits: Tensor, target: BatchTarget
    ) -> Tensor:
        _check_ids(logits, target.labels[0])
        given: Any = self._keywords or self.criterion
        options = {
            "weight": given.weight,
            "ignore_index": given.ignore_index,
            "reduction": given.reduction,
        }
        if formula in _NLL:
            return mixed_nll(logits, target, **options)
        options["label_smoothing"] = given.label_smoothing
        return mixed_cross_entropy(logits, target, **options)

    def _blend_losses(self, x: Tensor, target: BatchTarget) -> Tensor:
        compiling = torch.compiler.is_compiling()
        each = self._unreduced_at_first[0] if compiling else _unreduced(self.criterion)
        losses = [each(x, y.to(x.dtype) if y.is_floating_point() else y) for y in target.labels]
        n = target.batch_size
        if losses[0].shape[:1] != (n,):
            raise ValueError(
                f"criterion {_name(self.criterion)} with reduction='none' must return one loss per "
                f"sample, shape ({n}, …), got {tuple(losses[0].shape)}."
            )
        loss = target.blend(losses)
        given: Any = self._keywords or self.criterion
        if given.reduction == "none":
            return loss
        if given.reduction == "mean":
            return loss.mean()
        if given.reduction not in ("sum", "batchmean"):
            raise ValueError(
                "reduction must be 'none', 'mean', 'sum' or 'batchmean' (sum over N), "
                f"got {given.reduction!r}."
            )
        return loss.sum() if given.reduction == "sum" else loss.sum() / n


def _formula(criterion: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function that computes the criterion."""
    if isinstance(criterion, nn.Module):
        return type(criterion).forward
    return criterion.func if isinstance(criterion, functools.partial) else criterion


def _keywords(criterion: Callable[..., Tensor]) -> SimpleNamespace | None:
    """The keywords of a function with their values; None for an object, which has attributes."""
    if not inspect.isroutine(criterion) and not isinstance(criterion, functools.partial):
        return None
    parameters: Iterable[inspect.Parameter] = ()
    with contextlib.suppress(ValueError):  # of a builtin without a signature nothing is known
        parameters = inspect.signature(criterion).parameters.values()
    return SimpleNamespace(**{p.name: p.default for p in parameters if p.default is not p.empty})


def _unreduced(criterion: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The criterion with reduction="none": a shallow copy where the reduction is an attribute."""
    if not hasattr(criterion, "reduction"):
        return functools.partial(criterion, reduction="none")
    twin: Any = copy.copy(criterion)
    twin.reduction = "none"
    return twin


def _check_batch(logits: Tensor, target: BatchTarget) -> None:
    name, y = ("ys" if isinstance(target, MultiMixTarget) else "y1"), target[0]
    if not isinstance(y, Tensor):
        raise TypeError(f"{name} must be a tensor, got {_name(y)}. Use torch.as_tensor({name}).")
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


def _check_ids(logits: Tensor, y1: Tensor) -> None:
    if logits.dim() != y1.dim() + 1 or logits.shape[2:] != y1.shape[1:]:
        raise ValueError(
            "class ids must have the shape of the logits without dimension 1, got logits "
            f"{tuple(logits.shape)} and y1 {tuple(y1.shape)}. Class probabilities must be float."
        )


def _name(thing: object) -> str:
    return getattr(thing, "__name__", type(thing).__name__)

"""What a criterion is to MixLoss: a loss of torch, of which all is known, or any other.

Imports torch, never DALI.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["check_criterion", "check_losses", "fitted", "name_of", "torch_loss"]

Loss = Callable[..., Tensor]

_TORCH: tuple[tuple[Any, Loss, tuple[str, ...]], ...] = (
    (
        nn.CrossEntropyLoss,
        functional.cross_entropy,
        ("weight", "ignore_index", "label_smoothing"),
    ),
    (nn.NLLLoss, functional.nll_loss, ("weight", "ignore_index")),
    (nn.MultiMarginLoss, functional.multi_margin_loss, ("p", "margin", "weight")),
    (nn.MultiLabelMarginLoss, functional.multilabel_margin_loss, ()),
    (nn.MultiLabelSoftMarginLoss, functional.multilabel_soft_margin_loss, ("weight",)),
    (nn.BCELoss, functional.binary_cross_entropy, ("weight",)),
    (
        nn.BCEWithLogitsLoss,
        functional.binary_cross_entropy_with_logits,
        ("weight", "pos_weight"),
    ),
    (nn.MSELoss, functional.mse_loss, ()),
    (nn.L1Loss, functional.l1_loss, ()),
    (nn.SmoothL1Loss, functional.smooth_l1_loss, ("beta",)),
    (nn.HuberLoss, functional.huber_loss, ("delta",)),
    (nn.KLDivLoss, functional.kl_div, ("log_target",)),
    (nn.PoissonNLLLoss, functional.poisson_nll_loss, ("log_input", "full", "eps")),
    (nn.SoftMarginLoss, functional.soft_margin_loss, ()),
    (nn.HingeEmbeddingLoss, functional.hinge_embedding_loss, ("margin",)),
)
"""torch's losses of a prediction and a label, each with the options that it may have here: with
them "mean" is the mean of what "none" gives, or is computed in cross_entropy.py."""

_OF_FORWARD = {module.forward: function for module, function, _ in _TORCH}
_OPTIONS = {function: options for _, function, options in _TORCH}

OF_CLASS_IDS = (functional.cross_entropy, functional.nll_loss)
LINEAR_IN_THE_LABEL = (
    functional.cross_entropy,  # of class probabilities
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)
_OF_INDICES = (
    functional.nll_loss,
    functional.multi_margin_loss,
    functional.multilabel_margin_loss,
)


def torch_loss(criterion: Loss) -> tuple[Loss, dict[str, Any]] | None:
    """The function of torch that computes the criterion, and its options; None for any other.

    A module counts where nothing but torch's own `forward` computes it: no override, no hook.
    """
    if isinstance(criterion, nn.Module):
        kind = type(criterion)
        function = _OF_FORWARD.get(getattr(kind, "forward", None))
        if function is None or kind.__call__ is not nn.Module.__call__ or _is_patched(criterion):
            return None
        names = (*_OPTIONS[function], "reduction")
        return function, {name: getattr(criterion, name) for name in names}
    given: dict[str, Any] = {}
    if isinstance(criterion, functools.partial):
        if criterion.args:
            return None
        criterion, given = criterion.func, criterion.keywords
    if not inspect.isfunction(criterion) or criterion not in _OPTIONS:
        return None
    if not {*given} <= {*_OPTIONS[criterion], "reduction"}:
        return None
    return criterion, {"reduction": "mean", **given}


def _is_patched(module: nn.Module) -> bool:
    hooks = module._forward_hooks or module._forward_pre_hooks
    hooks = hooks or module._backward_hooks or module._backward_pre_hooks
    return bool(hooks) or "forward" in module.__dict__


def check_criterion(criterion: Loss, mix: str, reduction: str | None) -> None:
    """That the losses of a mixed batch can be blended before they are reduced."""
    name = name_of(criterion)
    if inspect.isclass(criterion):
        raise TypeError(f"criterion must be an object, got the class {name}. Use {name}().")
    if torch_loss(criterion):
        if reduction is not None:
            raise ValueError(
                f"reduction must not be given for a loss of torch, which has its own, got "
                f"{reduction!r}. Give it to {name}."
            )
        return
    if mix == "labels" and reduction is None:
        return
    own = _reduction_of(criterion)
    if own not in (None, "none"):
        raise ValueError(
            f"criterion {name} must not reduce its losses, got reduction={own!r}: only itself "
            "knows how each loss weighs in it. Make it with reduction='none', and MixLoss(…, "
            "reduction='mean') averages the blended losses. Or pass a loss of torch itself, such "
            "as torch.nn.CrossEntropyLoss, not derived, wrapped, hooked or compiled (compile the "
            "MixLoss): weights, ignored labels and smoothing are exact, and half precision is "
            "computed in float32. Or, for float labels, use mix='labels'."
        )
    if own is None and reduction is None:
        raise TypeError(
            f"criterion must have a reduction, attribute or keyword, got {name}. If it gives one "
            "loss for each sample, use MixLoss(…, reduction='mean'). In place of a cross-entropy "
            "for soft targets or with label smoothing use "
            "torch.nn.CrossEntropyLoss(label_smoothing=…)."
        )


def _reduction_of(criterion: Any) -> Any:
    """The attribute or the default of the keyword; None where there is neither."""
    own = getattr(criterion, "reduction", None)
    if own is not None:
        return own
    call = criterion.forward if isinstance(criterion, nn.Module) else criterion
    with contextlib.suppress(TypeError, ValueError):  # of some builtins nothing is known
        keyword = inspect.signature(call).parameters.get("reduction")
        return None if keyword is None or keyword.default is keyword.empty else keyword.default
    return None


def check_losses(losses: object, criterion: Loss, logits: Tensor, y: Tensor) -> None:
    """That a criterion gave one loss for each sample or element; labels may have broadcast."""
    shapes = (y.shape, logits.shape, logits.shape[:1] + logits.shape[2:])
    if isinstance(losses, Tensor) and losses.dim() > 0:
        if any(losses.shape == shape[: losses.dim()] for shape in shapes):
            return
        got = f"shape {tuple(losses.shape)}"
    else:
        got = "one number" if isinstance(losses, Tensor) else name_of(losses)
    raise ValueError(
        f"criterion {name_of(criterion)} must return one loss per sample or element, shape "
        f"({y.shape[0]}, …) as logits {tuple(logits.shape)} or labels {tuple(y.shape)}, got {got}. "
        "Make it with reduction='none', and bring predictions and labels to one shape in it."
    )


def fitted(function: Loss, x: Tensor, y: Tensor) -> Tensor:
    """Labels as a loss of torch takes them: indices as int64, others in the shape of x, float.

    A column (N, 1, …) meets (N, …); nothing broadcasts.
    """
    integer = not y.is_floating_point()
    if function in _OF_INDICES or (integer and function in OF_CLASS_IDS):
        return y.long() if integer else y
    if y.shape != x.shape:
        y = _in_shape_of(function, x, y)
    return y.to(x.dtype) if integer else y


def _in_shape_of(function: Loss, x: Tensor, y: Tensor) -> Tensor:
    if function not in OF_CLASS_IDS:
        if x.shape[1:2] == (1,) and y.shape == x.shape[:1] + x.shape[2:]:
            return y.unsqueeze(1)
        if y.shape[1:2] == (1,) and x.shape == y.shape[:1] + y.shape[2:]:
            return y.squeeze(1)
    hint = "Class ids must be integers."
    if not y.is_floating_point():
        hint = (
            "Class ids become label vectors by target.dense(num_classes), where they are not mixed "
            "by torch.nn.functional.one_hot."
        )
    raise ValueError(
        f"labels must have the shape of the predictions, got logits {tuple(x.shape)} and labels "
        f"{tuple(y.shape)}. {hint}"
    )


def name_of(thing: object) -> str:
    return getattr(thing, "__name__", type(thing).__name__)

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

from dali_mix.training.cross_entropy import wide

Loss = Callable[..., Tensor]

_FUNCTIONS: dict[type[nn.Module], Loss] = {
    nn.CrossEntropyLoss: functional.cross_entropy,
    nn.NLLLoss: functional.nll_loss,
    nn.MultiMarginLoss: functional.multi_margin_loss,
    nn.MultiLabelMarginLoss: functional.multilabel_margin_loss,
    nn.MultiLabelSoftMarginLoss: functional.multilabel_soft_margin_loss,
    nn.BCELoss: functional.binary_cross_entropy,
    nn.BCEWithLogitsLoss: functional.binary_cross_entropy_with_logits,
    nn.MSELoss: functional.mse_loss,
    nn.L1Loss: functional.l1_loss,
    nn.SmoothL1Loss: functional.smooth_l1_loss,
    nn.HuberLoss: functional.huber_loss,
    nn.KLDivLoss: functional.kl_div,
    nn.PoissonNLLLoss: functional.poisson_nll_loss,
    nn.SoftMarginLoss: functional.soft_margin_loss,
    nn.HingeEmbeddingLoss: functional.hinge_embedding_loss,
}
"""torch's losses of a prediction and a label. Here "mean" is the mean of what "none" gives.

Cross-entropy and NLL on class ids are an exception, and cross_entropy.py computes them. Options
that only the function has are another one: mse_loss divides by the sum of its weight."""


def _options(module: type[nn.Module], function: Loss) -> tuple[str, ...]:
    of_function = inspect.signature(function).parameters
    names = (name for name in inspect.signature(module).parameters if name in of_function)
    return tuple(name for name in names if name not in ("size_average", "reduce"))


_OPTIONS = {function: _options(module, function) for module, function in _FUNCTIONS.items()}
_OF_FORWARD: dict[Any, Loss] = {module.forward: function for module, function in _FUNCTIONS.items()}
_OF_IDS = (functional.cross_entropy, functional.nll_loss, functional.multi_margin_loss)
_OF_INDICES = (*_OF_IDS, functional.multilabel_margin_loss)
LINEAR_IN_THE_LABEL = (
    functional.cross_entropy,  # of class probabilities
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)


def torch_loss(criterion: Any) -> tuple[Loss, dict[str, Any]] | None:
    """The function of torch that computes the criterion, and its options; None for any other.

    A module counts where nothing but torch's own `forward` computes it: no override, no hook.
    """
    given: dict[str, Any] = {}
    if isinstance(criterion, nn.Module):
        kind, c = type(criterion), criterion
        function = _OF_FORWARD.get(getattr(kind, "forward", None))
        hooks = c._forward_hooks or c._forward_pre_hooks or c._backward_hooks
        patched = hooks or c._backward_pre_hooks or "forward" in c.__dict__
        if function is None or kind.__call__ is not nn.Module.__call__ or patched:
            return None
        return function, {name: getattr(c, name) for name in _OPTIONS[function]}
    if isinstance(criterion, functools.partial) and not criterion.args:
        criterion, given = criterion.func, criterion.keywords
    if not inspect.isfunction(criterion) or criterion not in _OPTIONS:
        return None
    if any(name not in _OPTIONS[criterion] for name in given):
        return None
    return criterion, {"reduction": "mean", **given}


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
    own = _reduction_of(criterion)
    given = mix == "labels" if reduction is None else own is None  # it may reduce; it should not
    if own != "none" and not given:
        raise TypeError(
            f"criterion must have reduction='none', got {name} with reduction={own!r}: how much "
            "each loss weighs in it, only the criterion knows. If it can give one loss for each "
            "sample, MixLoss(…, reduction='mean') averages the blended losses. Or pass a loss of "
            "torch itself, such as torch.nn.CrossEntropyLoss(label_smoothing=…), not derived, "
            "wrapped, hooked or compiled (compile the MixLoss): weights, ignored labels and "
            "smoothing are exact, and half precision is computed in float32. Or, for float labels, "
            "use mix='labels'."
        )


def _reduction_of(criterion: Any) -> Any:
    """The attribute or the default of the keyword; None where there is neither."""
    own = getattr(criterion, "reduction", None)
    if own is None:
        call = getattr(criterion, "forward", criterion)
        with contextlib.suppress(KeyError, TypeError, ValueError):  # some builtins tell nothing
            own = inspect.signature(call).parameters["reduction"].default
    return None if own is inspect.Parameter.empty else own


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


def fitted(function: Loss, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions and labels as a loss of torch takes them: indices as int64, others in the shape
    of x, with integers and bool as numbers that half precision does not round.

    A column (N, 1, …) meets (N, …); nothing broadcasts.
    """
    vectors = y.is_floating_point()
    if function in _OF_INDICES and not vectors:
        return x, y.long()
    if y.shape != x.shape and function not in _OF_INDICES:
        if x.shape[1:2] == (1,) and y.shape == x.shape[:1] + x.shape[2:]:
            y = y.unsqueeze(1)
        elif y.shape[1:2] == (1,) and x.shape == y.shape[:1] + y.shape[2:]:
            y = y.squeeze(1)
    if y.shape != x.shape:
        hint = "Class ids must be integers."
        if not vectors:
            hint = "Class ids become vectors by target.dense(num_classes), plain ones by one_hot."
        raise ValueError(
            "labels must have the shape of the predictions, got logits "
            f"{tuple(x.shape)} and labels {tuple(y.shape)}. {hint}"
        )
    if vectors:
        return x, y
    x = wide(x)
    return x, y.to(x.dtype)


def name_of(thing: object) -> str:
    return getattr(thing, "__name__", type(thing).__name__)

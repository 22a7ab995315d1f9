"""The checks of arguments. Each returns the value that the function gets, or raises an error of one
sentence."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from dali_mix.graph.mode import Mode
from dali_mix.methods import METHODS, Method
from dali_mix.methods.calls import shown
from dali_mix.methods.method import holds_many, is_whole
from dali_mix.plan import Plan

PAIRINGS = (
    "derange",
    "shuffle",
    "reverse",
    "roll",
    "aspect",
    "same_class",
    "other_class",
    "others",
)


class Call(NamedTuple):
    """What a check may look at besides the value."""

    name: str
    """Name of the function that was called."""
    mode: Mode
    given: Mapping[str, Any]
    """All arguments that were passed, by name."""


Check: TypeAlias = Callable[[Call, str, Any], Any]


def as_it_is(call: Call, name: str, value: Any) -> Any:
    return value


def no_words(call: Call, name: str, value: Any) -> Any:
    """Refuses strings. DALI does too, but its error does not name the argument."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, str) for part in parts):
        raise TypeError(f"{name} must be numbers or a DALI tensor, got {value!r}.")
    return value


def constant(call: Call, name: str, value: Any) -> Any:
    no_words(call, name, value)
    if isinstance(value, call.mode.batches):
        raise TypeError(f"{name} must be numbers, alike for all samples, got a DALI tensor.")
    return value.tolist() if hasattr(value, "tolist") else value


def deviation(call: Call, name: str, value: Any) -> Any:
    """std, of images that are known to be bytes: not for pixels from 0 to 1, and not so large that
    bytes come out with few values."""
    value = constant(call, name, value)
    stds, scale = _listed(value), call.given.get("scale", 1.0)
    if not all(isinstance(x, numbers.Real) and float(x) > 0 for x in (*stds, scale)) or not stds:
        return value
    values = int(255 * scale / min(stds)) + 1
    kind = getattr(call.given.get("dtype"), "name", "").upper()
    of_unit = scale == 1 and max(stds) < 1
    too_few = kind in ("UINT8", "INT8") and values <= 16
    if not (of_unit or too_few) or not call.mode.holds_bytes(call.given.get("images")):
        return value
    if too_few:
        raise ValueError(
            f"{name} must leave steps in bytes, got {value} with dtype {kind}, which makes "
            f"{values} of 256 values. Use mean={0 if kind == 'UINT8' else 128} and std=1."
        )
    mean = constant(call, "mean", call.given.get("mean", 0.0))
    means = _listed(mean)
    right = f"std={_of_bytes(value)}"
    if all(isinstance(x, numbers.Real) and abs(float(x)) <= 1 for x in means) and any(means):
        right = f"mean={_of_bytes(mean)} and {right}"
    raise ValueError(
        f"{name} must be in the units of the pixels, which are 0 to 255 in uint8 images, got "
        f"{value}. Use {right}."
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _of_bytes(value: Any) -> Any:
    """Numbers for pixels from 0 to 1, as those for 0 to 255."""
    several = isinstance(value, (list, tuple))
    return [_of_bytes(x) for x in value] if several else round(255 * value, 3)


def for_each_sample(call: Call, name: str, value: Any) -> Any:
    """A number, or a DALI tensor with one number for each sample."""
    if isinstance(value, (list, tuple)) or holds_many(value):
        raise TypeError(
            f"{name} must be a DALI tensor with one value for each sample, got {shown(value)}: "
            "the batch size may vary, a list cannot."
        )
    value = value.tolist() if hasattr(value, "tolist") else value
    return no_words(call, name, value)


def pairing(call: Call, name: str, value: Any) -> Any:
    return value if isinstance(value, str) else for_each_sample(call, name, value)


def one_box(call: Call, name: str, value: Any) -> Any:
    parts = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(parts, (list, tuple)) and any(isinstance(part, (list, tuple)) for part in parts):
        return for_each_sample(call, name, value)
    return no_words(call, name, value)


def flag(call: Call, name: str, value: Any) -> Any:
    if type(value).__name__ not in ("bool", "bool_") and not (is_whole(value) and value in (0, 1)):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def seed(call: Call, name: str, value: Any) -> Any:
    return whole_number(call, name, no_words(call, name, value))


def dtype(call: Call, name: str, value: Any) -> Any:
    if not isinstance(value, call.mode.dtype_kinds):
        raise TypeError(f"{name} must be one of DALI's, such as types.FLOAT16, got {value!r}.")
    return value


def batch(call: Call, name: str, value: Any) -> Any:
    if not isinstance(value, call.mode.batches):
        hint = "methods come behind the labels" if isinstance(value, Method) else call.mode.feed
        if call.name in ("mixup", "cutmix") and isinstance(value, numbers.Real):
            hint = f"alpha is given by name, alpha={value}" if name == "labels" else hint
        raise TypeError(f"{name} must be a batch of DALI's, got {_kind(value)}: {hint}.")
    if name in ("images", "maps") and (reader := call.mode.reader_of(value)):
        raise TypeError(
            f"{name} must be decoded, got an output of {reader}. Use fn.decoders.image, and give "
            f"{name} before labels."
        )
    return value


def batches(call: Call, name: str, value: Any) -> Any:
    """One batch, or a tuple of several."""
    if not isinstance(value, (list, tuple)):
        return batch(call, name, value)
    if not value:
        raise ValueError(f"{name} must hold at least one batch, got none: pass None for no labels.")
    return tuple(batch(call, name, part) for part in value)


def batch_and_labels(call: Call, name: str, value: Any) -> Any:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        got = f"{len(value)} parts" if isinstance(value, (list, tuple)) else _kind(value)
        raise TypeError(f"{name} must be a pair, what is mixed and its labels, got {got}.")
    return tuple(batch(call, name, part) for part in value)


def second(call: Call, name: str, value: Any) -> Any:
    """(images2, labels2). labels2 must have the structure of the labels."""
    labels, partner = call.given.get("labels"), call.given.get("partner")
    form = f"{name} must be (images2, labels2)"
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        got = f"{len(value)} parts" if isinstance(value, (tuple, list)) else _kind(value)
        raise TypeError(f"{form}, where labels2 may be None, got {got}.")
    if partner is not None:
        raise ValueError(
            f"partner must be left out with {name}, got {partner!r}: each image is mixed with the "
            "one across."
        )
    images2, labels2 = value
    batch(call, f"images2 of {name}", images2)
    if (labels2 is None) != (labels is None):
        raise ValueError(
            f"{name} must have labels2 where there are labels, and none where there are none."
        )
    wanted, got = _structure(labels), _structure(labels2)
    if wanted != got:
        raise ValueError(f"{form}, with {wanted} for labels2 as for labels, got {got}.")
    return images2, labels2 if labels2 is None else batches(call, f"labels2 of {name}", labels2)


def _structure(labels: Any) -> str:
    return f"a tuple of {len(labels)}" if isinstance(labels, (tuple, list)) else "one batch"


def drawn(call: Call, name: str, value: Any) -> Any:
    if not isinstance(value, Plan):
        raise TypeError(f"{name} must be a Plan, which plan() draws, got {_kind(value)}.")
    return value


def drawn_for_images(call: Call, name: str, value: Any) -> Any:
    if drawn(call, name, value).frames is not None:
        raise ValueError(
            f"{call.name} mixes the boxes or points of single images, got a plan for some frames "
            "of sequences. Leave frames out of the plan."
        )
    return value


def whole_number(call: Call, name: str, value: Any) -> Any:
    if not is_whole(value):
        raise TypeError(f"{name} must be a whole number, got {shown(value)}.")
    return int(value)


def share(call: Call, name: str, value: Any) -> Any:
    if not (isinstance(value, numbers.Real) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must be a number in [0, 1], got {shown(value)}.")
    return float(value)


def whole(low: int) -> Check:
    def check(call: Call, name: str, value: Any) -> Any:
        if not (is_whole(value) and low <= value <= 8):
            raise ValueError(f"{name} must be a whole number from {low} to 8, got {value!r}.")
        return int(value)

    return check


# Checks that the graph functions call themselves.


def is_tensor(value: Any) -> bool:
    return not isinstance(value, (numbers.Real, str, list, tuple))


def as_methods(methods: Method | Sequence[Method]) -> list[Method]:
    listed: list[Any] = list(methods) if isinstance(methods, (list, tuple)) else [methods]
    if not listed:
        raise ValueError("methods must name at least one method, got none.")
    for method in listed:
        if not isinstance(method, METHODS):
            known = ", ".join(f"dali_mix.{kind.__name__}" for kind in METHODS)
            hint = " Write it with brackets." if method in METHODS else ""
            raise TypeError(f"methods must be objects of {known}, got {method!r}.{hint}")
    return listed


def as_pairing(partner: str) -> str:
    if partner not in PAIRINGS:
        raise ValueError(
            f"partner must be one of {', '.join(map(repr, PAIRINGS))} or a DALI tensor of batch "
            f"indices, got {partner!r}."
        )
    return partner


def as_weights(weights: Sequence[Any] | None, count: int) -> Sequence[Any]:
    if weights is None:
        return [1.0] * count
    if not hasattr(weights, "__len__") or isinstance(weights, str):
        raise TypeError(f"weights must be one value for each method, got {weights!r}.")
    if any(isinstance(weight, str) for weight in weights):
        raise TypeError(f"weights must be numbers or DALI tensors, got {weights!r}.")
    if len(weights) != count:
        raise ValueError(
            f"weights must have one value for each of the {count} methods, got {len(weights)}."
        )
    return weights


def images_of(methods: Sequence[Method]) -> int:
    """The largest number of images that one sample mixes."""
    return max(method.images for method in methods)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{home}{kind.__qualname__}"

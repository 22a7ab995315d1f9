"""Arguments of the graph functions: what there are, and what Python checks about them."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, TypedDict

from dali_mix.methods import METHODS, Method


class View(TypedDict, total=False):
    """What is seen of an image, as `crop_mirror_normalize` says it."""

    mirror: Any
    crop: Any
    crop_h: Any
    crop_w: Any
    crop_pos_x: Any
    crop_pos_y: Any


class Output(View, total=False):
    """Arguments of the output, with the names, meanings and defaults of `crop_mirror_normalize`."""

    mean: Any
    std: Any
    scale: float
    shift: float
    dtype: Any
    output_layout: str
    pad_output: bool


class Draw(TypedDict, total=False):
    """Arguments of the draw."""

    per: str
    prob: Any
    prob_per: str
    choose_per: str
    partner: Any
    lam: Any
    box: Any
    seed: int
    """In pipeline mode."""
    rng: Any
    """In dynamic mode."""


class DrawAndOutput(Draw, Output, total=False):
    """What the mixing functions take."""

    second: Any


PAIRINGS = ("derange", "shuffle", "reverse", "roll", "same_class", "other_class", "others")
BY_CLASS = ("same_class", "other_class")
GIVEN_TENSORS = {"partner": "INT32", "box": "INT32", "lam": "FLOAT", "prob": "FLOAT"}
SIZE = ("crop", "crop_h", "crop_w")
WINDOW = (*SIZE, "crop_pos_x", "crop_pos_y")
NUMBERS = ("mean", "std", "scale", "shift", "mirror", *WINDOW, "prob", "lam", "box", "seed")


def only(arguments: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in names}


def given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def named(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Not with zip(strict=True): a graph with conditionals has a zip of its own, without it."""
    return {name: values[k] for k, name in enumerate(names)}


def is_tensor(value: Any) -> bool:
    return not isinstance(value, (numbers.Real, str, list, tuple))


def as_methods(methods: Method | Sequence[Method]) -> list[Method]:
    listed: list[Any] = list(methods) if isinstance(methods, (list, tuple)) else [methods]
    if not listed:
        raise ValueError("methods must name at least one method, got none.")
    for method in listed:
        if not isinstance(method, METHODS):
            known = ", ".join(f"dali_mix.{kind.__name__}" for kind in METHODS)
            raise TypeError(f"methods must be objects of {known}, got {method!r}.")
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
    if isinstance(weights, str) or any(isinstance(weight, str) for weight in weights):
        raise TypeError(f"weights must be numbers or DALI tensors, got {weights!r}.")
    if len(weights) != count:
        raise ValueError(
            f"weights must have one value for each of the {count} methods, got {len(weights)}."
        )
    return weights


def check_no_lists(arguments: dict[str, Any]) -> None:
    for name in ("partner", "lam", "prob"):
        if isinstance(arguments.get(name), (list, tuple)):
            raise TypeError(
                f"{name} must be a DALI tensor with one value for each sample, got "
                f"{arguments[name]!r}: the batch size may vary, a list cannot."
            )


def check_no_words(arguments: Any) -> None:
    """DALI says of words that they are no numbers, but not which argument they are."""
    for name in NUMBERS:
        value = arguments.get(name)
        parts = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(part, str) for part in parts):
            raise TypeError(f"{name} must be numbers or a DALI tensor, got {value!r}.")


def columns_of(methods: Sequence[Method]) -> tuple[str, ...]:
    """Names of the outputs of the plan operator, in their order."""
    needed = {name for method in methods for name in method.columns()}
    extra = [name for name in ("offset", "fit", "frames", "mask") if name in needed]
    return ("partner", "blend", "box", "lam", "size", *extra)


def images_of(methods: Sequence[Method]) -> int:
    """How many images one sample mixes, at most."""
    return max(method.images for method in methods)


def reject_unknown(random: str, caller: str, arguments: Any, *known: Any) -> None:
    """`random`: the mode's own name for the argument of the random state."""
    names = {name for group in known for name in group.__annotations__}
    names -= {"seed", "rng"} - {random}
    for name in arguments:
        if name not in names:
            raise TypeError(
                f"{caller}() has no argument {name!r}; it takes {', '.join(sorted(names))}."
            )

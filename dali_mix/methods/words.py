"""Makes methods from the words of a command line: `cutmix` and `place=inside`. Loads no DALI."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, get_type_hints

from dali_mix.methods import METHODS, Method, Mosaic, PatchMix

_PATCH = 16
KINDS: dict[str, type[Method]] = {kind.name: kind for kind in METHODS}


def method_of(name: str, options: Sequence[str], size: int) -> Method:
    """The method of that name.

    options: texts `field=value`; a ValueError says what is wrong with one
    size:    side of the images in pixels. The default patch of PatchMix divides it, and the default
             mosaic is as large
    """
    kind = KINDS[name]
    values: dict[str, Any] = {}
    if kind is PatchMix:
        values["patch"] = math.gcd(_PATCH, size)
    if kind is Mosaic:
        values["canvas"] = max(size // 2, 1)
    types = field_types(kind)
    for option in options:
        field, equals, text = option.partition("=")
        if not equals:
            raise ValueError(f"--option must be name=value, got {option!r}.")
        if field not in types:
            raise ValueError(
                f"{kind.__name__} has no option {field!r}; it takes {', '.join(types)}."
            )
        values[field] = _value(f"{field} of {kind.__name__}", types[field], text)
    return kind(**values)


def field_types(kind: type[Method]) -> dict[str, Any]:
    """The type of each field, in order."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def words_of(method: Method) -> str:
    """The method as a title: its name, alpha, and every field that has not its default."""
    defaults = type(method)()
    parts = [
        f"{name} {_shown(getattr(method, name))}"
        for name in field_types(type(method))
        if name == "alpha" or getattr(method, name) != getattr(defaults, name)
    ]
    return ", ".join([method.name, *parts])


def _value(what: str, kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{what} must be true or false, got {text!r}.")
        return text.lower() == "true"
    try:
        numbers = tuple(_number(part) for part in text.split(","))
    except ValueError:
        form = "a number" if kind in (int, float, Any) else "numbers with commas between them"
        raise ValueError(f"{what} must be {form}, got {text!r}.") from None
    if len(numbers) > 1 and kind in (int, float, Any):
        raise ValueError(f"{what} must be a number, got {text!r}.")
    return numbers[0] if len(numbers) == 1 else numbers


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower()

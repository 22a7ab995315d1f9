"""What all methods share: the base class, and the checks of their parameters."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Method:
    """What all methods share."""

    name: ClassVar[str]
    # Not annotated, so that they are no fields here but may be in a method.
    alpha = 1.0
    fold = False
    images = 2
    draws: ClassVar[tuple[str, ...]] = ()
    """Columns of the plan that only some methods need: offset, fit, frames, mask."""

    def options(self) -> dict[str, Any]:
        """What the plan operator is told besides alpha and fold."""
        return {}

    @property
    def text(self) -> str:
        """The method as the plan operator reads it."""
        words = [f"{name}={_text(value)}" for name, value in self.options().items()]
        return " ".join([self.name, *words])

    def columns(self) -> tuple[str, ...]:
        """Columns of the plan that this very object needs."""
        return self.draws


def _text(value: Any) -> str:
    """Numbers as Python writes its own, whatever their type."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_text, value))
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, numbers.Integral) else repr(float(value))


def check_alpha(method: Method) -> None:
    alpha = method.alpha
    if alpha is None or isinstance(alpha, (str, list, tuple)):
        raise TypeError(
            f"alpha of {type(method).__name__} must be a number, or a DALI tensor with one value "
            f"for each sample, got {alpha!r}."
        )
    if isinstance(alpha, numbers.Real) and not 0 <= float(alpha) < math.inf:
        raise ValueError(
            f"alpha of {type(method).__name__} must be finite and not negative (0 switches it "
            f"off), got {alpha}."
        )


def check_word(method: Method, name: str, words: tuple[str, ...]) -> None:
    if getattr(method, name) not in words:
        raise ValueError(
            f"{name} of {type(method).__name__} must be one of {', '.join(map(repr, words))}, got "
            f"{getattr(method, name)!r}."
        )


def is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole(method: Method, name: str, low: int, high: int) -> None:
    value = getattr(method, name)
    if not (is_whole(value) and low <= value <= high):
        raise ValueError(
            f"{name} of {type(method).__name__} must be a whole number from {low} to {high}, got "
            f"{value!r}."
        )


def check_interval(
    method: Method, name: str, low: float, high: float, *, above: bool = False, whole: bool = False
) -> None:
    """`above`: `low` itself is not allowed."""
    value = getattr(method, name)
    kind = numbers.Integral if whole else numbers.Real
    right = (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(v, kind) and math.isfinite(v) for v in value)
        and (low < value[0] if above else low <= value[0])
        and value[0] <= value[1] <= high
    )
    if not right:
        rule = f"{'above' if above else 'at least'} {low}"
        rule += "" if high == math.inf else f" and at most {high}"
        raise ValueError(
            f"{name} of {type(method).__name__} must be (low, high), {rule}, got {value!r}."
        )

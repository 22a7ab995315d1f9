"""What all methods share: the base class, and the checks of their parameters."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from dali_mix.methods.calls import check_call, shown

_OF_THE_CALL = "box choose_per lam partner per prob prob_per rng seed weights".split()
_CALLED = "It is an argument of mix, mixup, cutmix and plan, not of a method."
MOST_PIXELS = 2**20
Kind = TypeVar("Kind", bound="type[Method]")


@dataclass(frozen=True)
class Method:
    """What all methods share."""

    name: ClassVar[str]
    # Not annotated: these are not fields here, but a method may make them fields.
    alpha = 1.0
    fold = False
    images = 2
    draws: ClassVar[tuple[str, ...]] = ()
    """Optional columns of the plan that the method draws, in the order of the plan."""
    rival: ClassVar[str] = ""
    """The field that a user may mean by a whole number at the position of alpha: PatchMix(16)."""

    def __post_init__(self) -> None:
        check_alpha(self)
        check_flag(self, "fold")
        self.check()

    def check(self) -> None:
        """Check the fields that only this method has."""

    def options(self) -> dict[str, Any]:
        """What the plan operator gets besides alpha and fold."""
        return {}

    @property
    def text(self) -> str:
        """The method as the plan operator reads it."""
        words = [f"{name}={_text(value)}" for name, value in self.options().items()]
        return " ".join([self.name, *words])

    def columns(self) -> tuple[str, ...]:
        """Optional columns of the plan that this object draws with its parameters."""
        return self.draws


def named_fields(kind: Kind) -> Kind:
    """Make a method refuse unknown and ambiguous arguments in one sentence."""
    made: Any = kind.__init__
    name = kind.__name__
    fields = inspect.signature(kind)

    @functools.wraps(made)
    def init(self: Method, *values: Any, **named: Any) -> None:
        whole = bool(values) and is_whole(values[0]) and values[0] > 1
        if whole and kind.rival and len(values) == 1:
            raise TypeError(
                f"{name}({values[0]}) does not say what it means: write "
                f"{name}({kind.rival}=…) or {name}(alpha={values[0]})."
            )
        check_call(name, fields, values, named, dict.fromkeys(_OF_THE_CALL, _CALLED))
        made(self, *values, **named)

    setattr(kind, "__init__", init)  # noqa: B010
    return kind


def _text(value: Any) -> str:
    """A value as text. Numbers of any type look like Python's."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_text, value))
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, numbers.Integral) else repr(float(value))


def check_alpha(method: Method) -> None:
    alpha = method.alpha
    if alpha is None or isinstance(alpha, (bool, str, list, tuple)) or holds_many(alpha):
        raise TypeError(
            f"alpha of {type(method).__name__} must be a number, or a DALI tensor with one value "
            f"for each sample, got {shown(alpha)}."
        )
    if isinstance(alpha, numbers.Real) and not 0 <= float(alpha) < math.inf:
        raise ValueError(
            f"alpha of {type(method).__name__} must be finite and not negative (0 switches it "
            f"off), got {alpha}."
        )


def check_flag(method: Method, name: str) -> None:
    value = getattr(method, name)
    kind = type(value).__name__
    if not (kind in ("bool", "bool_") or (is_whole(value) and value in (0, 1))):
        raise TypeError(f"{name} of {type(method).__name__} must be True or False, got {value!r}.")


def check_word(method: Method, name: str, words: tuple[str, ...]) -> None:
    if getattr(method, name) not in words:
        raise ValueError(
            f"{name} of {type(method).__name__} must be one of {', '.join(map(repr, words))}, got "
            f"{getattr(method, name)!r}."
        )


def holds_many(value: Any) -> bool:
    """Whether it is a NumPy array or a PyTorch tensor, and not a single number."""
    return hasattr(value, "tolist") and isinstance(value.tolist(), list)


def is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole(method: Method, name: str, low: int, high: int) -> None:
    value = getattr(method, name)
    if not (is_whole(value) and low <= value <= high):
        raise ValueError(
            f"{name} of {type(method).__name__} must be a whole number from {low} to {high}, got "
            f"{value!r}."
        )


def check_sides(method: Method, name: str) -> None:
    value = getattr(method, name)
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2 or not all(is_whole(side) and 1 <= side <= MOST_PIXELS for side in sides):
        raise ValueError(
            f"{name} of {type(method).__name__} must be whole pixels, one number or (height, "
            f"width), got {value!r}."
        )


def check_values(method: Method, name: str) -> None:
    value = getattr(method, name)
    values = value if isinstance(value, tuple) else (value,)
    real = [isinstance(v, numbers.Real) and math.isfinite(v) for v in values]
    if not real or not all(real):
        raise ValueError(
            f"{name} of {type(method).__name__} must be one number, or one for each channel, got "
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

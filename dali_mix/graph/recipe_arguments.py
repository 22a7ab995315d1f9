"""Checks of the recipes' arguments. A wrong one raises an error of one sentence."""

from __future__ import annotations

import math
import numbers
from typing import Any

from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline

from dali_mix.graph.schedule import Scheduled
from dali_mix.methods.method import is_whole


class _Side(Scheduled):
    """A height or a width that is scheduled."""

    def checked(self, value: Any) -> float:
        checked = super().checked(value)
        if checked < 1 or not checked.is_integer():
            raise ValueError(f"{self.name} must be whole pixels, at least 1, got {value:g}.")
        return checked


def size_of_resize(size: Any) -> Any:
    """Height and width as fn.resize takes them; each may be a `Scheduled`."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if not any(isinstance(side, Scheduled) for side in sides):
        return checked_size(size)
    checked_size([1 if isinstance(side, Scheduled) else side for side in sides])
    nodes = [
        _Side(side.name, side.value, side.most).node()
        if isinstance(side, Scheduled)
        else types.Constant(side, dtype=types.FLOAT)
        for side in sides
    ]
    return fn.stack(*nodes)


def checked_size(size: Any) -> tuple[int, int]:
    try:
        height, width = (size, size) if is_whole(size) else size
        right = is_whole(height) and is_whole(width)
    except (TypeError, ValueError):  # not two
        right = False
    if not right:
        raise ValueError(f"size must be whole pixels, one number or (height, width), got {size!r}.")
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least one pixel each way, got {size}.")
    return int(height), int(width)


def check_range(
    name: str, ends: Any, most: float, *, zero: bool = False, equal: bool = False
) -> None:
    """`zero`: the range may begin at 0. `equal`: its ends may be equal."""
    try:
        low, high = ends
        begins = low >= 0 if zero else low > 0
        ends_later = low <= high if equal else low < high
        right = begins and ends_later and high <= most and high < math.inf
    except (TypeError, ValueError):  # not two, or no numbers
        right = False
    if not right:
        first, second = "<=" if zero else "<", "<=" if equal else "<"
        rule = f"0 {first} low {second} high {'< inf' if math.isinf(most) else f'<= {most}'}"
        raise ValueError(f"{name} must be (low, high) with {rule}, got {ends!r}.")


def check_probability(name: str, value: Any) -> None:
    if not (isinstance(value, numbers.Real) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must be a probability in [0, 1], got {value!r}.")


def decoder_device(device: str | None) -> str:
    """The `device` of DALI's decoders: "cpu", or "mixed" for images on the GPU."""
    if device is None:
        pipeline = Pipeline.current()
        device = "cpu" if pipeline is None or pipeline.device_id is None else "gpu"
    if device not in ("cpu", "gpu"):
        raise ValueError(f'device must be "cpu" or "gpu", got {device!r}.')
    return "mixed" if device == "gpu" else "cpu"

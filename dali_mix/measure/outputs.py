"""What every contestant puts out. It needs no DALI."""

from __future__ import annotations

from typing import Any, NamedTuple

from dali_mix.plan import Plan

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
UNMIXED = "DALI unmixed"


class Output(NamedTuple):
    """Type and layout of the output images."""

    dtype: str
    """"float32", "float16" or "uint8"."""
    layout: str = "CHW"

    @property
    def normalization(self) -> dict[str, Any]:
        """Arguments that DALI, dali_mix and its reference share. For uint8 the values are scaled to
        fit into 0 to 255."""
        fitted = {"scale": 40.0, "shift": 128.0} if self.dtype == "uint8" else {}
        return {"mean": MEAN, "std": STD, "output_layout": self.layout, **fitted}


class Mixed(NamedTuple):
    """What a contestant makes from a batch: graph nodes, or arrays in a check."""

    x: Any
    labels: tuple[Any, ...]
    """The own labels, and those of the partners, in one array or more."""
    plan: Plan | None = None
    """How it was mixed; None: it was not. Columns that are not known are None."""
    cut: bool = False
    """Whether the partner shows in a box that `plan` does not have."""
    mirrored_together: bool = False
    """Whether the mirror flag of the own image also mirrors its partner."""

    @property
    def outputs(self) -> tuple[Any, ...]:
        """What a training loop reads."""
        return (self.x, *self.labels, *(() if self.plan is None else (self.plan.lam,)))

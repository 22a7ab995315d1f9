"""What the sections of the report share: table rows, figures, colours, charts as text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

OURS, UNMIXED, FLOOR = "#0b63ce", "#8a8f98", "#d9dce1"


def row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def svg(figure: Any) -> str:
    """The same text for the same numbers: no date, no random ids."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "dali_mix", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def spread(values: dict[str, float], factor: float = 1.0, digits: int = 2) -> str:
    low, high = values["q1"] * factor, values["q3"] * factor
    return f"{values['median'] * factor:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2

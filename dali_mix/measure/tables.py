"""Tables of results, as text for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """Rows of text; the first cell of a row is its name. A row of two cells in a wider table is a
    name and a remark, such as why there are no figures."""

    head: Sequence[str]
    """Titles of the columns after the first."""
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Columns side by side."""
        lines = [("", *self.head), *self.rows]
        full = [line for line in lines if len(line) > len(self.head)]
        widths = [max(len(cell) for cell in column) for column in zip(*full, strict=True)]
        widths[0] = max(len(line[0]) for line in lines)
        return "\n".join(
            "  ".join(
                [line[0].ljust(widths[0])]
                + [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=False)]
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        lines = [["", *self.head], ["---", *["--:"] * len(self.head)], *self.rows]
        padded = [[*line, *[""] * (1 + len(self.head) - len(line))] for line in lines]
        return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def spread(values: Mapping[str, float], factor: float = 1.0, digits: int = 2) -> str:
    """Median and quartiles."""
    middle, low, high = (f"{values[k] * factor:,.{digits}f}" for k in ("median", "q1", "q3"))
    return f"{middle} ({low}-{high})"


def mean(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation of seeds."""
    if not len(values):
        return "-"
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def interval(ratio: Mapping[str, float]) -> str:
    """A result of `paired_ratio` as text: the ratio and its 95 % interval."""
    return "{ratio:.2f} ({low:.2f}-{high:.2f})".format(**ratio)


def times(results: Mapping[str, Any]) -> Table:
    """The results of `timing.compare`: times, and multiples of the baseline's time and CPU time."""
    rows = [
        [name, spread(result["wall"]["summary"], 1e3, _digits(results))]
        + [f"{result[clock]['ratio']['median']:.2f}" for clock in ("wall", "cpu")]
        for name, result in results.items()
    ]
    return Table(["ms (quartiles)", "x baseline", "CPU, x baseline"], rows)


def loss_table(size: Mapping[str, Any]) -> Table:
    """The same with the peak memory, for one number of classes in a run of bench.loss."""
    head, rows = times(size["results"])
    peaks = [result["peak_bytes"] / size["logits_bytes"] for result in size["results"].values()]
    rows = [[*row, f"{peak:.2f}"] for row, peak in zip(rows, peaks, strict=True)]
    return Table([*head, "memory, x logits"], rows)


def _digits(results: Mapping[str, Any]) -> int:
    """Number of decimals: 2, or 3 if the shortest time is below a millisecond."""
    shortest = min(result["wall"]["summary"]["median"] for result in results.values())
    return 2 if shortest >= 1e-3 else 3


def missing(why: Mapping[str, str]) -> list[list[str]]:
    """Rows for contestants that could not run. `why`: name -> the reason."""
    return [[name, f"missing: {reason}"] for name, reason in why.items()]

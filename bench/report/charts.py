"""Charts as SVG text: bars with quartiles, and curves with bands."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dali_mix.measure.chart import bars

PALETTE = ["#8a8f98", "#0b63ce", "#d1495b", "#2e8b57", "#e07b39", "#7a4fbf", "#c2a012", "#66a3e8"]
Samples = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
"""panel -> line -> its curves."""


def bar_chart(panels: Sequence[tuple[str, Any]], caption: str, **how: Any) -> str:
    """The figure of `dali_mix.measure.chart.bars` as SVG."""
    return _svg(bars(panels, caption, **how))


def curves(panels: Samples, x_label: str, y_label: str) -> str:
    """A chart of lines. A line is the mean of its curves; its band is one standard deviation to
    either side."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.6 + 3 * columns, 0.8 + 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    handles = {}
    for axis, (title, drawn) in zip(axes.flat, panels.items(), strict=False):
        for (name, samples), color in zip(drawn.items(), PALETTE, strict=False):
            mean, deviation = np.mean(samples, 0), np.std(samples, 0)
            x = np.arange(1, len(mean) + 1)
            (handles[name],) = axis.plot(x, mean, color=color)
            edges = mean - deviation, mean + deviation
            axis.fill_between(x, *edges, color=color, alpha=0.2, linewidth=0)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize=8, frameon=False)
    figure.supxlabel(x_label, fontsize=9)
    figure.supylabel(y_label, fontsize=9)
    return _svg(figure)


def _svg(figure: Any) -> str:
    """The figure as SVG, without date and random ids, so that equal numbers give equal text."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "dali_mix", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"

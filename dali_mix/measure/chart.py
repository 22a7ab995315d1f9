"""Draws the charts of `dali-mix bench`, of `make demo` and of bench/: bars with quartiles, ours in
colour, and curves with bands. No display is needed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

OURS, OTHERS, BOUND = "#0b63ce", "#8a8f98", "#d9dce1"
"""Colours of the bars. A bound, such as a copy, mixes nothing."""
LINES = (OTHERS, OURS, "#d1495b", "#2e8b57", "#e07b39", "#7a4fbf", "#c2a012", "#66a3e8")

Values = Mapping[str, Mapping[str, float]]
"""name -> median, q1 and q3."""


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Write the record of `dali-mix bench` as a chart. The ending of `path` gives the file
    type."""
    settings, where = record["settings"], record["provenance"]
    panels = [
        ("operators: milliseconds for a batch", milliseconds(record["operator"])),
        ("pipeline: images per second", summaries(record["pipeline"], "images_per_second")),
    ]
    if record["loss"]:
        panels.append(("loss: milliseconds for a batch", milliseconds(record["loss"])))
    caption = (
        f"{where['cpu']}, {where['threads']} threads; batch {settings['batch']}, "
        f"{settings['size']} x {settings['size']} {settings['dtype']}; median and quartiles of "
        f"{settings['rounds']} rounds"
    )
    bars(panels, caption).savefig(path, dpi=150)


def milliseconds(results: Mapping[str, Any], clock: str = "wall") -> dict[str, dict[str, float]]:
    """The results of `timing.compare` in milliseconds."""
    return {
        name: {key: 1e3 * value for key, value in result[clock]["summary"].items()}
        for name, result in results.items()
    }


def summaries(results: Mapping[str, Any], figure: str) -> dict[str, dict[str, float]]:
    """One figure of the results of `compare_loaders`."""
    return {name: result[figure]["summary"] for name, result in results.items()}


def bars(
    panels: Sequence[tuple[str, Values]], caption: str, *, columns: int = 1, log: bool = False
) -> Any:
    """A matplotlib figure with a panel for each title. `log`: a logarithmic scale."""
    from matplotlib.figure import Figure

    rows = -(-len(panels) // columns)
    heights = [
        max(len(values) for _, values in panels[row * columns :][:columns]) for row in range(rows)
    ]
    size = (8 if columns == 1 else 5 * columns, 1.4 + (0.42 - 0.1 * columns) * sum(heights))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, height_ratios=heights, squeeze=False)
    for axis, (title, values) in zip(axes.flat, panels, strict=False):
        _bars(axis, title, values, log)
    _finish(axes, len(panels))
    figure.supxlabel(caption, fontsize=8)
    return figure


def _bars(axis: Any, title: str, values: Values, log: bool) -> None:
    names = list(values)[::-1]
    middles = [values[name]["median"] for name in names]
    ends = [values[name]["q3"] for name in names]
    reach = [
        [values[name]["median"] - values[name]["q1"] for name in names],
        [end - middle for end, middle in zip(ends, middles, strict=True)],
    ]
    colors = [_color(name) for name in names]
    axis.barh(names, middles, xerr=reach, color=colors, ecolor="black", capsize=2)
    for place, (middle, end) in enumerate(zip(middles, ends, strict=True)):
        axis.annotate(
            f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}",
            (end, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    if log:
        axis.set_xscale("log")
        axis.set_xlim(min(middles) / 2, 2 * max(ends))
    else:
        axis.set_xlim(0, 1.12 * max(ends))
    axis.set_title(title, fontsize=9, loc="left")


def _color(name: str) -> str:
    if name.startswith("dali_mix") or name == "MixLoss":
        return OURS
    return BOUND if name.startswith(("copy ", "feed")) else OTHERS


def curves(panels: Mapping[str, Mapping[str, Any]], epochs: Sequence[int], caption: str) -> Any:
    """A matplotlib figure with a panel for each title. It maps names to arrays of (seeds, epochs):
    a line is the mean of the seeds, and its band is one standard deviation to either side."""
    from matplotlib.figure import Figure

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2 + 3.2 * columns, 0.8 + 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    handles = {}
    for axis, (title, drawn) in zip(axes.flat, panels.items(), strict=False):
        for (name, samples), color in zip(drawn.items(), LINES, strict=False):
            mean, deviation = np.mean(samples, 0), np.std(samples, 0)
            (handles[name],) = axis.plot(epochs, mean, color=color)
            edges = mean - deviation, mean + deviation
            axis.fill_between(epochs, *edges, color=color, alpha=0.2, linewidth=0)
        axis.set_title(title, fontsize=9)
    _finish(axes, len(panels))
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize=8, frameon=False)
    figure.supxlabel(caption, fontsize=8)
    return figure


def _finish(axes: Any, used: int) -> None:
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[used:]:
        axis.set_visible(False)


def svg(figure: Any) -> str:
    """The figure as SVG, without date and random ids, so that equal numbers give equal text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "dali_mix", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"

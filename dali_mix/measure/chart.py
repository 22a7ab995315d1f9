"""The chart of `dali-mix bench`: operators, pipeline and loss, ours in colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLORS = {"ours": "#0b63ce", "others": "#8a8f98"}


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Write the record of `dali-mix bench` as bars with quartiles; the ending chooses the kind of
    file. Draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings, where = record["settings"], record["provenance"]
    panels = [
        ("operators: milliseconds for a batch", _milliseconds(record["operator"])),
        ("pipeline: images per second", _speeds(record["pipeline"])),
    ]
    if record["loss"]:
        panels.append(("loss: milliseconds for a batch", _milliseconds(record["loss"])))
    heights = [len(values) for _, values in panels]
    figure = Figure(figsize=(8, 1.4 + 0.42 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)
    for axis, (title, values) in zip(axes.flat, panels, strict=True):
        _bars(axis, title, values)
    figure.supxlabel(
        f"{where['cpu']}, {where['threads']} threads; batch {settings['batch']}, "
        f"{settings['size']} x {settings['size']} {settings['dtype']}; median and quartiles of "
        f"{settings['rounds']} rounds",
        fontsize=8,
    )
    figure.savefig(path, dpi=150)


def _bars(axis: Any, title: str, values: Mapping[str, Mapping[str, float]]) -> None:
    names = list(values)[::-1]
    middles = [values[name]["median"] for name in names]
    reach = [
        [values[name]["median"] - values[name]["q1"] for name in names],
        [values[name]["q3"] - values[name]["median"] for name in names],
    ]
    ours = [name.startswith("dali_mix") or name == "MixLoss" for name in names]
    colors = [COLORS["ours" if mine else "others"] for mine in ours]
    axis.barh(names, middles, xerr=reach, color=colors, ecolor="black", capsize=2)
    for place, (middle, above) in enumerate(zip(middles, reach[1], strict=True)):
        axis.annotate(
            f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}",
            (middle + above, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_xlim(0, 1.12 * max(m + a for m, a in zip(middles, reach[1], strict=True)))
    axis.set_title(title, fontsize=9, loc="left")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _milliseconds(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        name: {key: 1e3 * value for key, value in result["wall"]["summary"].items()}
        for name, result in results.items()
    }


def _speeds(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {name: result["images_per_second"]["summary"] for name, result in results.items()}

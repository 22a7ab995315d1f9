"""The section of the report on a sweep of bench/operators.py: over batch sizes and image sizes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench.report_parts import OURS, median, row, svg

Cases = list[dict[str, Any]]

SHOWN = {
    "dali_mix mixup": (OURS, "-", 2.4),
    "dali_mix cutmix": (OURS, "--", 2.4),
    "DALI stock, then cmn": ("#7a4fbf", "-", 1.2),
    "DALI stock CutMix, then cmn": ("#7a4fbf", "--", 1.2),
    "torch eager": ("#e07b39", "-", 1.2),
    "torch.compile": ("#b5341c", "-", 1.2),
    "timm Mixup batch": ("#2e8b57", "-", 1.2),
    "timm CutMix batch": ("#2e8b57", "--", 1.2),
    "timm FastCollateMixup elem": ("#2e8b57", ":", 1.2),
    "torchvision MixUp": ("#c2a012", "-", 1.2),
    "kornia RandomMixUpV2": ("#c4689a", "-", 1.2),
    "floor": ("#b9bdc4", "-", 1.2),
}
"""What a chart shows, of many: colour, style and width of the line."""
AXES = {"batch": "images in a batch", "size": "height and width of an image, pixels"}


def sweep(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    on_gpu = run["provenance"]["gpu"] is not None
    threads = run["provenance"]["threads"]
    place = "a GPU" if on_gpu else f"a CPU, {threads} thread{'s' if threads > 1 else ''}"
    lines = [
        f"## The operator over batch and image sizes, on {place}",
        "",
        "The contestants are those of the tables above. A cell is the fastest other way to mix by "
        "the same method, and its time as a multiple of dali_mix's; **below 1 dali_mix loses**. "
        "Then what dali_mix takes, as a multiple of `cmn`, which does not mix.",
    ]
    charts = {}
    for axis in AXES:
        held, panels = lines_along(run["cases"], axis)
        lines += ["", f"**{described(held, axis)}**", "", *table(panels, axis)]
        charts[f"{name}-{axis}.svg"] = chart(panels, axis, described(held, axis))
        lines += ["", f"![Time relative to crop_mirror_normalize]({name}-{axis}.svg)"]
    return "\n".join([*lines, "", *losses(run["cases"]), *left_out(run["cases"])]) + "\n", charts


def lines_along(cases: Cases, axis: str) -> tuple[int, dict[str, Cases]]:
    """Where the other size is the one that most cases share: that size, and by type and layout the
    cases in order."""
    other = "size" if axis == "batch" else "batch"
    held = Counter(case[other] for case in cases).most_common(1)[0][0]
    panels: dict[str, Cases] = {}
    for case in sorted(cases, key=lambda case: case[axis]):
        if case[other] == held and case["results"]:
            panels.setdefault(f"{case['dtype']} {case['layout']}", []).append(case)
    return held, panels


def described(held: int, axis: str) -> str:
    if axis == "batch":
        return f"Over the batch size, images of {held} x {held} x 3"
    return f"Over the image size, batches of {held}"


def table(panels: dict[str, Cases], axis: str) -> list[str]:
    places = sorted({case[axis] for cases in panels.values() for case in cases})
    lines = [
        row(["", "", *(f"{place:,}" for place in places)]),
        row(["---", "---", *["--:"] * len(places)]),
    ]
    for kind, cases in panels.items():
        found = {case[axis]: case for case in cases}
        for method in ("mixup", "cutmix"):
            cells = [best_other(found[p], method) if p in found else "-" for p in places]
            lines.append(row([kind, f"{method}: fastest other", *cells]))
            cells = [f"{over_cmn(found[p], method):.2f}" if p in found else "-" for p in places]
            lines.append(row([kind, f"{method}: x cmn's time", *cells]))
    return lines


def times(case: dict[str, Any], name: str) -> list[float]:
    """Of each round; on a GPU by its own clock."""
    result = case["results"][name]
    return result["device" if "device" in result else "wall"]["seconds"]


def ratio(case: dict[str, Any], name: str, base: str) -> float:
    return median(a / b for a, b in zip(times(case, name), times(case, base), strict=True))


def over_cmn(case: dict[str, Any], method: str) -> float:
    return ratio(case, f"dali_mix {method}", "cmn")


def others(case: dict[str, Any], method: str) -> dict[str, float]:
    """Whoever else mixes by the method, and its time as a multiple of ours."""
    mixing = [
        name
        for name in case["results"]
        if name not in ("floor", "feed", "cmn") and not name.startswith("dali_mix")
    ]
    return {
        name: ratio(case, name, f"dali_mix {method}")
        for name in mixing
        if ("cutmix" in name.lower()) == (method == "cutmix")
    }


def best_other(case: dict[str, Any], method: str) -> str:
    found = others(case, method)
    if not found:
        return "-"
    name = min(found, key=lambda name: found[name])
    figure = f"{found[name]:.2f}"
    return f"{name} {figure if found[name] >= 1 else f'**{figure}**'}"


def losses(cases: Cases) -> list[str]:
    """Every case that a contestant wins."""
    lost = [
        f"{name} in {found:.2f} of the time ({short(case)})"
        for case in cases
        if case["results"]
        for method in ("mixup", "cutmix")
        for name, found in others(case, method).items()
        if found < 1
    ]
    slower = [
        f"{method} {over_cmn(case, method):.2f} ({short(case)})"
        for case in cases
        if case["results"]
        for method in ("mixup", "cutmix")
        if over_cmn(case, method) > 1
    ]
    return [
        f"Faster than dali_mix: {'; '.join(lost) or 'nothing that mixes, in any case'}.",
        "",
        f"Slower than `cmn`, which does not mix: {'; '.join(slower) or 'dali_mix in no case'}.",
    ]


def left_out(cases: Cases) -> list[str]:
    """What did not run, once for each batch and size."""
    where: dict[tuple[int, int, tuple[str, ...]], Cases] = {}
    for case in cases:
        if case["missing"]:
            where.setdefault((case["batch"], case["size"], tuple(case["missing"])), []).append(case)
    lines = []
    for (batch, size, names), alike in where.items():
        kinds = ", ".join(f"{case['dtype']} {case['layout']}" for case in alike)
        reasons = "; ".join(sorted(set(alike[0]["missing"].values())))
        named = ", ".join(names)
        lines += ["", f"Left out at batch {batch}, {size} x {size} ({kinds}): {named}: {reasons}."]
    return lines


def short(case: dict[str, Any]) -> str:
    return (
        f"batch {case['batch']}, {case['size']} x {case['size']}, {case['dtype']} {case['layout']}"
    )


def chart(panels: dict[str, Cases], axis: str, heading: str) -> str:
    """Lines of time relative to cmn, a panel for each type and layout."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(1.8 + 3.9 * columns, 1.0 + 2.7 * rows),
        layout="constrained",
    )
    for panel, (kind, cases) in zip(axes.flat, panels.items(), strict=False):
        draw(panel, cases, axis)
        panel.set_title(kind, fontsize=9)
    for panel in axes.flat[len(panels) :]:
        panel.set_visible(False)
    handles = {}
    for panel in axes.flat:
        handles |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside right upper", fontsize=8, frameon=False
    )
    figure.suptitle(heading, fontsize=10)
    figure.supxlabel(f"{AXES[axis]}; logarithmic", fontsize=9)
    figure.supylabel("time of a batch, cmn (which does not mix) = 1; logarithmic", fontsize=9)
    return svg(figure)


def draw(panel: Any, cases: Cases, axis: str) -> None:
    for name, (color, style, width) in SHOWN.items():
        points = [(c[axis], ratio(c, name, "cmn")) for c in cases if name in c["results"]]
        if points:
            x, y = zip(*points, strict=True)
            panel.plot(x, y, style, color=color, linewidth=width, marker="o", ms=2.5, label=name)
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(sorted({case[axis] for case in cases}))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)

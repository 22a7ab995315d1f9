"""The sections of the report on bench/operators.py: a table and bars for each case."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt

from bench.report_parts import FLOOR, OURS, UNMIXED, median, row, spread, svg

ROWS = (
    "Decoded uint8 images to a normalised tensor. A DALI row is one whole `pipeline.run()`, fed "
    "without a copy. `cmn` is DALI's `crop_mirror_normalize`, which does not mix. `feed` is the "
    "part of every DALI row that hands in the images, without looking at them, and draws the "
    "mirror flags. "
)
PEERS = (
    "Those who mix in PyTorch start from images that are one tensor already, and mirror nothing; "
    "memory that they free stays in the process, which is their best. timm, torchvision and kornia "
    "mix normalised tensors, but for `FastCollateMixup`, which mixes uint8 images and is "
    "normalised afterwards; their calls include the labels (1,000 classes)."
)


def operators(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    text = (
        f"{ROWS}`net` takes it off. `floor` reads both images and writes as many "
        f"bytes, without arithmetic. {others(run)}"
    )
    lines = [f"## {subject(run)} on a CPU", "", text]
    for case in run["cases"]:
        lines += ["", f"**{title(case)}**", "", *cpu_table(case)]
    chart = f"{name}.svg"
    lines += ["", f"![Time relative to crop_mirror_normalize]({chart})"]
    return "\n".join(lines) + "\n", {chart: bars(run, "wall")}


def operators_gpu(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    text = (
        f"{ROWS}`floor` is a device copy that moves as many bytes as mixing must: both images "
        "read, the result written; GB/s count these bytes, for what does not mix those of one "
        "image. The images lie on the GPU. Times are between events of the GPU, with the host's "
        "work where the GPU waits for it; kernels and copies, and the time in them, are those of "
        f"one batch, as CUPTI records them. {others(run)}"
    )
    lines = [f"## {subject(run)} on a GPU", "", text]
    for case in run["cases"]:
        lines += ["", f"**{title(case)}**", "", *gpu_table(case)]
    chart = f"{name}.svg"
    lines += ["", f"![Time relative to crop_mirror_normalize]({chart})"]
    return "\n".join(lines) + "\n", {chart: bars(run, "device")}


def subject(run: dict[str, Any]) -> str:
    return "Every method" if "methods" in run["benchmark"].split() else "The operator"


def others(run: dict[str, Any]) -> str:
    """On those who are not DALI, where there are any."""
    peers = any("torch eager" in {*case["results"], *case["missing"]} for case in run["cases"])
    return PEERS if peers else ""


def title(case: dict[str, Any]) -> str:
    size = case["size"]
    return f"{case['dtype']} {case['layout']}, batch {case['batch']}, {size} x {size} x 3"


def cpu_table(case: dict[str, Any]) -> list[str]:
    columns = ["ms", "x cmn's speed", "net of the feed", "x floor's time", "net of the feed"]
    seconds = {name: result["wall"]["seconds"] for name, result in case["results"].items()}
    lines = head(columns)
    for name, result in case["results"].items():
        rounds = list(
            zip(seconds["cmn"], seconds["feed"], seconds["floor"], seconds[name], strict=True)
        )
        speed = median(cmn / own for cmn, _, _, own in rounds)
        over_floor = median(own / floor for _, _, floor, own in rounds)
        net = net_over_floor = "-"
        if "dali" in name.lower() or name == "cmn":
            net = f"{median((cmn - feed) / (own - feed) for cmn, feed, _, own in rounds):.2f}"
            net_over_floor = f"{median((own - feed) / floor for _, feed, floor, own in rounds):.2f}"
        milliseconds = spread(result["wall"]["summary"], 1e3)
        cells = [name, milliseconds, f"{speed:.2f}", net, f"{over_floor:.2f}", net_over_floor]
        lines.append(row(cells))
    return lines + missing(case, len(columns))


def gpu_table(case: dict[str, Any]) -> list[str]:
    columns = ["ms", "x cmn's speed", "GB/s", "kernels", "copies", "ms in these", "GB/s in these"]
    lines = head(columns)
    cmn = case["results"]["cmn"]["device"]["seconds"]
    for name, result in case["results"].items():
        clock, moved = result["device"], result["bytes"]
        speed = median(a / b for a, b in zip(cmn, clock["seconds"], strict=True))
        cells = [name, spread(clock["summary"], 1e3, 3), f"{speed:.2f}"]
        cells.append(rate(moved, clock["summary"]["median"]))
        seen = result["kernels"]
        if "missing" in seen:
            cells += [seen["missing"], "", "", ""]
        else:
            cells += [str(seen["kernels"]), str(seen["copies"]), f"{seen['seconds'] * 1e3:.3f}"]
            cells.append(rate(moved, seen["seconds"]))
        lines.append(row(cells))
    return lines + missing(case, len(columns))


def rate(moved: int, seconds: float) -> str:
    return f"{moved / seconds / 1e9:.0f}" if moved and seconds else "-"


def head(columns: list[str]) -> list[str]:
    return [row(["", *columns]), row(["---", *["--:"] * len(columns)])]


def missing(case: dict[str, Any], columns: int) -> list[str]:
    return [row([name, why, *[""] * (columns - 1)]) for name, why in case["missing"].items()]


def bars(run: dict[str, Any], clock: str) -> str:
    """Bars of time relative to cmn, a panel for each case."""
    cases = [case for case in run["cases"] if case["results"]]
    columns = min(2, len(cases))
    rows = -(-len(cases) // columns)
    height = 0.6 + 0.21 * max(len(case["results"]) for case in cases)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.2 * columns, height * rows), squeeze=False, layout="constrained"
    )
    for axis, case in zip(axes.flat, cases, strict=False):
        names = list(case["results"])[::-1]
        ratios = [case["results"][name][clock]["ratio"]["median"] for name in names]
        colors = [
            OURS if n.startswith("dali_mix") else FLOOR if n in ("floor", "feed") else UNMIXED
            for n in names
        ]
        drawn = axis.barh(names, ratios, color=colors)
        axis.axvline(1, color="black", linewidth=0.8, zorder=2)
        over_the_line = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        labels = [f"{ratio:.2f}" for ratio in ratios]
        axis.bar_label(drawn, labels, padding=3, fontsize=8, bbox=over_the_line)
        axis.set_xscale("log")
        axis.set_xlim(min(ratios) / 2, max(ratios) * 2)
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.set_title(title(case), fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel("time of a batch, cmn (which does not mix) = 1; logarithmic", fontsize=9)
    return svg(figure)

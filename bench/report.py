"""Writes bench/README.md and its charts from bench/results/*.json, and nothing else into them.

    python bench/report.py

Every table says where it was measured. A file of results is never edited; a newer run of the same
benchmark on the same kind of machine is another file, and both are shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from bench.report_kernel import kernel
from bench.report_parts import FLOOR, OURS, UNMIXED, row, svg
from bench.report_training import training

HERE = Path(__file__).resolve().parent
INTRO = """# Benchmarks

Made by `python bench/report.py` from the files in `results/`; not edited by hand.

All contestants of a table of times alternate in one process, in a fresh random order in each round,
after their results were checked. A figure is the median of the rounds, with the quartiles beside
it; a ratio is taken within each round, and its median is given. Compare figures within a table: the
machines are shared, and absolute times move between runs.
"""


def main() -> None:
    for name, text in generate(load(HERE / "results")).items():
        (HERE / name).write_text(text)


def load(folder: Path) -> dict[str, Any]:
    """The runs by file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def generate(runs: dict[str, Any]) -> dict[str, str]:
    """Text of every generated file, by its path under bench/."""
    sections = {"operators": operators, "kernel": kernel, "loss": loss, "training": training}
    files: dict[str, str] = {}
    parts = [INTRO]
    for kind, section in sections.items():
        for name, run in runs.items():
            if run["benchmark"] == kind:
                text, charts = section(name, run)
                parts.append(text + where(name, run))
                files |= charts
    return {"README.md": "\n".join(parts), **files}


def where(name: str, run: dict[str, Any]) -> str:
    """Machine, versions, commit and command of a run."""
    p = run["provenance"]
    versions = ", ".join(f"{k} {v}" for k, v in p["packages"].items() if v and k != "dali-mix")
    dirty = " with local changes" if p["dirty"] else ""
    settings = run["settings"]
    counts = [f"{settings[name]} {name}" for name in ("rounds", "seeds") if name in settings]
    facts = [
        f"{p['cpu']}, {p['cores']} cores, {p['threads']} threads",
        f"load {p['load_average']:.1f} at the end",
        f"{versions}, Python {p['python']}",
        ", ".join([f"commit {p['commit'][:10]}{dirty}", p["date"], *counts]),
    ]
    command = f"`{p['command']}`, raw run in `results/{name}.json`"
    return f"\n{'; '.join(facts)}. {command}.\n"


def spread(values: dict[str, float], factor: float = 1.0, digits: int = 2) -> str:
    low, high = values["q1"] * factor, values["q3"] * factor
    return f"{values['median'] * factor:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2


def operators(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    lines = [
        "## The operator on a CPU",
        "",
        "Decoded uint8 images to a normalised tensor. A DALI row is one whole `pipeline.run()`, "
        "fed without a copy. `cmn` is DALI's `crop_mirror_normalize`, which does not mix. `feed` "
        "is the part of every DALI row that hands in the images; `net` takes it off both sides. "
        "`floor` reads both images and writes as many bytes, without arithmetic.",
    ]
    for case in run["cases"]:
        lines += ["", f"**{title(case)}**", "", *operator_table(case)]
    chart = f"{name}.svg"
    lines += ["", f"![Time relative to crop_mirror_normalize]({chart})"]
    return "\n".join(lines) + "\n", {chart: operator_chart(run)}


def title(case: dict[str, Any]) -> str:
    size = case["size"]
    return f"{case['dtype']} {case['layout']}, batch {case['batch']}, {size} x {size} x 3"


def operator_table(case: dict[str, Any]) -> list[str]:
    seconds = {name: result["wall"]["seconds"] for name, result in case["results"].items()}
    lines = [
        row(["", "ms", "x cmn's speed", "net of the feed", "x floor's time"]),
        row(["---", "--:", "--:", "--:", "--:"]),
    ]
    for name, result in case["results"].items():
        rounds = list(
            zip(seconds["cmn"], seconds["feed"], seconds["floor"], seconds[name], strict=True)
        )
        speed = median(cmn / own for cmn, _, _, own in rounds)
        over_floor = median(own / floor for _, _, floor, own in rounds)
        net = "-"
        if "dali" in name.lower() or name == "cmn":
            net = f"{median((cmn - feed) / (own - feed) for cmn, feed, _, own in rounds):.2f}"
        milliseconds = spread(result["wall"]["summary"], 1e3)
        lines.append(row([name, milliseconds, f"{speed:.2f}", net, f"{over_floor:.2f}"]))
    return lines + [row([name, why, "", "", ""]) for name, why in case["missing"].items()]


def operator_chart(run: dict[str, Any]) -> str:
    """Bars of time relative to cmn, a panel for each case."""
    cases = run["cases"]
    columns = min(2, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 2.9 * rows), squeeze=False, layout="constrained"
    )
    for axis, case in zip(axes.flat, cases, strict=False):
        names = list(case["results"])[::-1]
        ratios = [case["results"][name]["wall"]["ratio"]["median"] for name in names]
        colors = [
            OURS if n.startswith("dali_mix") else FLOOR if n in ("floor", "feed") else UNMIXED
            for n in names
        ]
        bars = axis.barh(names, ratios, color=colors)
        axis.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, fontsize=8)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xlim(min(ratios) / 2, max(ratios) * 2)
        axis.set_title(title(case), fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel("time of a batch, cmn (which does not mix) = 1; logarithmic", fontsize=9)
    return svg(figure)


def loss(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    lines = [
        "## The loss",
        "",
        f"Forward and backward of cross-entropy at batch {run['settings']['batch']}, on the "
        f"{run['provenance']['device'].upper()}; multiples of one cross-entropy without mixing. "
        "Memory: the most allocated at one time, as a multiple of the logits.",
        "",
    ]
    classes = [size["classes"] for size in run["sizes"]]
    lines.append(
        row(["", *(f"{c:,} classes" for c in classes), *(f"memory, {c:,}" for c in classes)])
    )
    lines.append(row(["---", *["--:"] * 2 * len(classes)]))
    for contestant in run["sizes"][0]["results"]:
        results = [size["results"][contestant] for size in run["sizes"]]
        ratios = [spread(result["wall"]["ratio"]) for result in results]
        memory = [
            f"{result['peak_bytes'] / size['logits_bytes']:.2f}"
            for size, result in zip(run["sizes"], results, strict=True)
        ]
        lines.append(row([contestant, *ratios, *memory]))
    return "\n".join(lines) + "\n", {}


if __name__ == "__main__":
    main()

"""The sections of the report on bench/pipeline.py and bench/train_step.py: tables and charts."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from bench.report_parts import OURS, UNMIXED, row, svg
from dali_mix.measure.comparisons import cost_of_mixing

FIGURES = {"images_per_second": "images/s", "cpu_ms_per_image": "CPU ms/image"}
SPINNING = (
    " OpenMP's threads spin for each other only briefly (GOMP_SPINCOUNT={}), so that PyTorch's "
    "leave their time to the workers."
)


def pipeline(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    costs = cost_of_mixing(run["comparisons"], run["unmixed_of"])
    mixing = {contestant: _percent(cost) for contestant, cost in costs.items()}
    lines = [
        f"## From JPEG files to a mixed tensor, on the {run['settings']['device'].upper()}",
        "",
        f"{_data(run)} Decoded, random resized crop to {_size(run)}, mirrored, normalised, mixed, "
        f"{run['settings']['dtype']} CHW, batch {run['settings']['batch']}; "
        f"{run['settings']['workers']} workers, or {run['settings']['dali']['threads']} threads "
        "of DALI. CPU time is that of the process and its workers. `mixing costs`: the time per "
        "image that mixing adds to the same loader, with a 95 % interval."
        + (SPINNING.format(spins) if (spins := run["settings"].get("GOMP_SPINCOUNT")) else ""),
        "",
        *_table(run, {"mixing costs": mixing}),
        "",
        *_against(run),
    ]
    lines += _swept(run)
    chart = f"{name}.svg"
    lines += ["", f"![Images per second and CPU time]({chart})"]
    return "\n".join(lines) + "\n", {chart: _chart(run)}


def train_step(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    settings = run["settings"]
    waits = {
        contestant: "{median:.2f} ({q1:.2f}-{q3:.2f})".format(**result["wait_ms"]["summary"])
        for contestant, result in run["results"].items()
    }
    lines = [
        "## A training step behind the loader",
        "",
        f"{_data(run)} {settings['model']} of {settings['model_from']} at batch "
        f"{settings['batch']}, {_size(run)}, on the {settings['device'].upper()}; bfloat16 "
        "autocast, channels_last. `random tensors`: a batch that lies there already, the ceiling. "
        "`between steps`: how long the device waits, copies or casts from the end of a step to "
        "the start of the next.",
        "",
        *_table(run, {"between steps, ms": waits}),
        "",
        *_against(run),
    ]
    return "\n".join(lines) + "\n", {}


def _data(run: dict[str, Any]) -> str:
    data = run["settings"]["data"]
    kind = "synthetic" if data["synthetic"] else "real"
    return f"{data['files']:,} {kind} JPEGs of {data['mean_kb']:.0f} kB on average."


def _size(run: dict[str, Any]) -> str:
    return f"{run['settings']['size']} x {run['settings']['size']}"


def _table(run: dict[str, Any], more: dict[str, dict[str, str]]) -> list[str]:
    lines = [
        row(["", *(f"{title} (quartiles)" for title in FIGURES.values()), *more]),
        row(["---", *["--:"] * (len(FIGURES) + len(more))]),
    ]
    for name, result in run["results"].items():
        cells = [
            _spread(result["images_per_second"]["summary"], 0),
            _spread(result["cpu_ms_per_image"]["summary"], 2),
        ]
        lines.append(row([name, *cells, *(column.get(name, "") for column in more.values())]))
    return lines + [row([name, why, *[""] * (1 + len(more))]) for name, why in _missing(run)]


def _missing(run: dict[str, Any]) -> list[tuple[str, str]]:
    return list(run["missing"].items())


def _against(run: dict[str, Any]) -> list[str]:
    """Ours against every other."""
    lines = [
        f"Ratios: {run['settings']['interval']}.",
        "",
        row(["", "against", "images/s", "CPU time per image"]),
        row(["---", "---", "--:", "--:"]),
    ]
    for compared in run["comparisons"]:
        if compared["contestant"].startswith("dali_mix"):
            cells = [_interval(compared[key]) for key in ("speed", "cpu")]
            lines.append(row([compared["contestant"], compared["against"], *cells]))
    return lines


def _swept(run: dict[str, Any]) -> list[str]:
    """The settings of DALI that were tried, and which were taken."""
    if not run["sweep"]:
        return []
    lines = [
        "",
        "Settings of DALI, tried with the unmixed pipeline, images/s; in bold what was taken: the "
        "default, unless another is faster with 95 % confidence.",
        "",
    ]
    for swept in run["sweep"]:
        tries = [
            f"{value}: {f'**{speed:,.0f}**' if value == swept['chosen'] else f'{speed:,.0f}'}"
            for value, speed in zip(swept["values"], swept["images_per_second"], strict=True)
        ]
        lines.append(f"- `{swept['setting']}` {', '.join(tries)}")
    return lines


def _spread(values: dict[str, float], digits: int) -> str:
    middle, low, high = (f"{values[key]:,.{digits}f}" for key in ("median", "q1", "q3"))
    return f"{middle} ({low}-{high})"


def _interval(ratio: dict[str, float]) -> str:
    return "{ratio:.2f} ({low:.2f}-{high:.2f})".format(**ratio)


def _percent(cost: dict[str, float]) -> str:
    return "{ratio:+.1f} % ({low:+.1f} to {high:+.1f})".format(**cost)


def _chart(run: dict[str, Any]) -> str:
    """Every segment a dot, the median a line."""
    names = list(run["results"])
    places = np.arange(len(names))[::-1]
    figure, axes = plt.subplots(
        1, 2, sharey=True, figsize=(9, 1.1 + 0.36 * len(names)), layout="constrained"
    )
    for axis, (key, title) in zip(axes, FIGURES.items(), strict=True):
        for place, name in zip(places, names, strict=True):
            figures = run["results"][name][key]
            color = OURS if name.startswith("dali_mix") else UNMIXED
            samples = figures["samples"]
            offsets = np.linspace(-0.25, 0.25, len(samples))
            axis.scatter(samples, place + offsets, s=7, color=color, alpha=0.5, linewidths=0)
            middle = figures["summary"]["median"]
            axis.vlines(middle, place - 0.38, place + 0.38, color=color, linewidth=2)
        axis.set_xlim(left=0)
        axis.set_title(title, fontsize=9)
        axis.set_yticks(places, names)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("a dot: one segment; a line: their median", fontsize=9)
    return svg(figure)

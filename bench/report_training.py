"""The section of the report on bench/training.py: tables, tests and charts. No timing here."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from bench import training_claims as claims
from bench.report_parts import OURS, UNMIXED, row, svg

SHOWN = ["accuracy", "ece", "nll", "epochs_to_level"]
"""Figures that the chart shows."""
CURVES = ["none", "mixup", "mixup per batch", "mixup unfolded", "mixup unfolded per batch"]
"""Variants whose learning curves are drawn, where they were run."""


def training(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    charts = {f"{name}.svg": chart(run), f"{name}-curves.svg": curves(run)}
    lines = ["## Does mixing train better?", "", introduction(run["settings"]), "", *table(run)]
    lines += ["", "What the field claims, and what came out:", "", *tests(run), *notes(run)]
    lines += ["", f"![Every variant, every seed]({name}.svg)"]
    lines += ["", f"![Learning curves]({name}-curves.svg)"]
    return "\n".join(lines) + "\n", charts


def introduction(s: dict[str, Any]) -> str:
    return (
        f"A small convolutional network on {s['data']}, {s['classes']} classes. Each of "
        f"{s['seeds']} seeds draws {s['train_images']} training images and an initial network, "
        f"the same for every variant; tested on {s['test_images']:,} images that no seed trains "
        f"on; {s['epochs']} epochs in batches of {s['batch']}. Mean ± standard deviation over the "
        f"seeds. The level is {s['level']:.0%} of the test images right; a seed that never reaches "
        "it counts as one epoch more than were trained. **+** marks what is better than `none`, "
        f"**-** what is worse, by a paired t-test over the seeds with p < {claims.SIGNIFICANT} "
        "after Holm's correction over the variants. What the variants are: "
        "`python bench/training.py --help`. A small network on few and easy images: photographs "
        "may answer otherwise."
    )


def table(run: dict[str, Any]) -> list[str]:
    marks = {figure: claims.against_baseline(run, figure) for figure in claims.FIGURES}
    titles = [figure.title for figure in claims.FIGURES.values()]
    lines = [row(["", *titles]), row(["---", *["--:"] * len(titles)])]
    for variant in run["settings"]["variants"]:
        cells = []
        for key in claims.FIGURES:
            sign = claims.mark(marks[key].get(variant))
            cells.append(claims.spread(run, variant, key) + (f" **{sign}**" if sign else ""))
        lines.append(row([variant, *cells]))
    return lines


def tests(run: dict[str, Any]) -> list[str]:
    lines = [
        row(["claim", "compared", "in", "difference (95 % interval)", "p, Holm", "outcome"]),
        row(["---", "---", "---", "--:", "--:", "---"]),
    ]
    for claim, comparison in claims.tested_claims(run):
        cells = [
            claim.text,
            f"{claim.better} - {claim.worse}",
            claims.FIGURES[claim.figure].title,
            claims.interval(claim, comparison),
            f"{comparison.p:.2g}",
            claims.verdict(comparison),
        ]
        lines.append(row(cells))
    return lines


def notes(run: dict[str, Any]) -> list[str]:
    """What to keep in mind about the calibration error, where it applies."""
    known, lines = run["settings"]["variants"], []
    if claims.BASELINE in known:
        gap = claims.values(run, claims.BASELINE, "overconfidence").mean()
        if gap < 0:
            lines += [
                "",
                f"`none` itself is not confident enough here ({gap:+.2f} % against its accuracy), "
                "so that whatever softens the labels, as mixing and smoothing do, adds to its "
                "calibration error; it can pay where a network is too confident.",
            ]
    if "cutmix, nominal lam" in known:
        lines += [
            "",
            "Clipping and rounding only make a box smaller: the nominal lam is never above the "
            "counted one, and its labels are softer.",
        ]
    return lines


def chart(run: dict[str, Any]) -> str:
    """A panel for each figure: every seed a dot, mean and standard deviation over them."""
    variants = run["settings"]["variants"]
    places = np.arange(len(variants))[::-1]
    figure, axes = plt.subplots(
        1,
        len(SHOWN),
        sharey=True,
        squeeze=False,
        figsize=(12, 1.2 + 0.32 * len(variants)),
        layout="constrained",
    )
    for axis, key in zip(axes.flat, SHOWN, strict=True):
        for place, variant in zip(places, variants, strict=True):
            values = claims.values(run, variant, key)
            color = UNMIXED if claims.is_unmixed(variant) else OURS
            offsets = np.linspace(-0.22, 0.22, len(values))
            axis.scatter(values, place + offsets, s=7, color=color, alpha=0.35, linewidths=0)
            spread = values.std(ddof=1) if len(values) > 1 else 0
            axis.errorbar(
                values.mean(), place, xerr=spread, fmt="o", ms=4.5, color=color, capsize=3
            )
            if variant == claims.BASELINE:
                axis.axvline(values.mean(), color="black", linewidth=0.7, linestyle=":")
        axis.set_title(claims.FIGURES[key].title, fontsize=9)
        axis.set_yticks(places, variants)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("a small dot: one seed; mean ± standard deviation; dotted: none", fontsize=9)
    return svg(figure)


def curves(run: dict[str, Any]) -> str:
    """Test accuracy after every epoch, mean over the seeds."""
    settings = run["settings"]
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    epochs = np.arange(1, settings["epochs"] + 1)
    colors = ["black", OURS, "#d1495b", "#66a3e8", "#e39aa5"]
    for variant, color in zip(CURVES, colors, strict=True):
        seeds = [r["test_accuracy"] for r in run["runs"] if r["variant"] == variant]
        if seeds:
            line = "--" if "unfolded" in variant else "-"
            axis.plot(epochs, 100 * np.mean(seeds, 0), line, color=color, label=variant)
    axis.axhline(100 * settings["level"], color="black", linewidth=0.7, linestyle=":")
    axis.set_xlabel("epoch", fontsize=9)
    axis.set_ylabel("test accuracy, %", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return svg(figure)

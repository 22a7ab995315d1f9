"""What the field claims about mixing, and the tests of it on the runs of bench/training.py.

The test is Student's paired t over seeds, two-sided: a seed fixes the training images, their order,
their crops and the initial weights, so that two variants differ in the mixing alone. Wilcoxon's
test, which needs no normality, cannot fall below p = 0.0625 with five seeds; the differences here
are means over hundreds of test images. Holm's correction is over all claims, and, against "none",
over all variants of one figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

SIGNIFICANT = 0.05
BASELINE = "none"


@dataclass(frozen=True)
class Figure:
    """A column of the tables."""

    title: str
    factor: float
    digits: int
    more_is_better: bool | None
    """None: neither, and not tested."""


FIGURES = {
    "accuracy": Figure("accuracy, %", 100, 2, True),
    "ece": Figure("calibration error, %", 100, 2, False),
    "overconfidence": Figure("confidence minus accuracy, %", 100, 2, None),
    "nll": Figure("negative log-likelihood", 1, 3, False),
    "epochs_to_level": Figure("epochs to the level", 1, 1, False),
    "mean_accuracy": Figure("accuracy over all epochs, %", 100, 2, True),
}


@dataclass(frozen=True)
class Claim:
    """`better` is said to be better than `worse` in one figure."""

    text: str
    better: str
    worse: str
    figure: str


CLAIMS = [
    Claim("mixup raises accuracy", "mixup", "none", "accuracy"),
    Claim("cutmix raises accuracy", "cutmix", "none", "accuracy"),
    Claim("hidden layers raise it more than pixels", "manifold", "mixup", "accuracy"),
    Claim(
        "one lam per sample learns faster than one per batch",
        "mixup",
        "mixup per batch",
        "epochs_to_level",
    ),
    Claim(
        "the same without folding",
        "mixup unfolded",
        "mixup unfolded per batch",
        "epochs_to_level",
    ),
    Claim("folding avoids a drop", "mixup", "mixup unfolded", "accuracy"),
    Claim(
        "the drop is from partners of the same batch", "two readers", "mixup unfolded", "accuracy"
    ),
    Claim(
        "the paper's two readers, one lam per batch, beat one",
        "two readers per batch",
        "mixup unfolded per batch",
        "accuracy",
    ),
    Claim("cutmix is better calibrated", "cutmix", "none", "ece"),
    Claim(
        "the counted lam calibrates better than the nominal", "cutmix", "cutmix, nominal lam", "ece"
    ),
]


@dataclass(frozen=True)
class Comparison:
    """Of two variants over the same seeds, in units of the figure's column."""

    difference: float
    """Mean of first minus second."""
    low: float
    high: float
    """Its 95 % confidence interval."""
    p: float
    """After Holm's correction."""
    better: bool
    """Whether the first is the better one on average."""

    @property
    def significant(self) -> bool:
        return self.p < SIGNIFICANT


def values(run: dict[str, Any], variant: str, figure: str) -> np.ndarray:
    """A figure of every seed, in the order of the seeds and in units of its column.

    A level that was not reached counts as one epoch more than were trained.
    """
    own = {r["seed"]: r[figure] for r in run["runs"] if r["variant"] == variant}
    never = run["settings"]["epochs"] + 1
    raw = [never if own[seed] is None else own[seed] for seed in sorted(own)]
    return np.array(raw, dtype=float) * FIGURES[figure].factor


def against_baseline(run: dict[str, Any], figure: str) -> dict[str, Comparison]:
    """Every variant against "none"; nothing where there is nothing to be tested."""
    settings = run["settings"]
    testable = FIGURES[figure].more_is_better is not None and settings["seeds"] > 1
    if not testable or BASELINE not in settings["variants"]:
        return {}
    names = [name for name in settings["variants"] if name != BASELINE]
    return dict(zip(names, compared(run, [(n, BASELINE, figure) for n in names]), strict=True))


def tested_claims(run: dict[str, Any]) -> list[tuple[Claim, Comparison]]:
    """The claims whose variants were run; none with one seed."""
    known = run["settings"]["variants"] if run["settings"]["seeds"] > 1 else []
    claims = [claim for claim in CLAIMS if claim.better in known and claim.worse in known]
    pairs = [(claim.better, claim.worse, claim.figure) for claim in claims]
    return list(zip(claims, compared(run, pairs), strict=True))


def verdict(comparison: Comparison) -> str:
    if not comparison.significant:
        return "not shown"
    return "confirmed" if comparison.better else "contradicted"


def compared(run: dict[str, Any], pairs: Sequence[tuple[str, str, str]]) -> list[Comparison]:
    """Each pair (first, second, figure), corrected for the number of pairs."""
    raw = [paired(values(run, a, figure), values(run, b, figure)) for a, b, figure in pairs]
    corrected = holm([p for *_, p in raw])
    return [
        Comparison(mean, low, high, p, (mean > 0) == FIGURES[figure].more_is_better)
        for (mean, low, high, _), p, (_, _, figure) in zip(raw, corrected, pairs, strict=True)
    ]


def paired(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """Mean difference, its 95 % interval, p; differences without spread show nothing."""
    differences = first - second
    mean = float(differences.mean())
    if np.ptp(differences) == 0:
        return mean, mean, mean, 1.0
    result = stats.ttest_1samp(differences, 0)
    interval = result.confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high), float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction."""
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return corrected


def spread(run: dict[str, Any], variant: str, figure: str) -> str:
    """Mean and standard deviation over the seeds, as text."""
    own, digits = values(run, variant, figure), FIGURES[figure].digits
    deviation = f" ± {own.std(ddof=1):.{digits}f}" if len(own) > 1 else ""
    return f"{own.mean():.{digits}f}{deviation}"


def interval(claim: Claim, comparison: Comparison) -> str:
    """Difference and confidence interval, as text."""
    digits = FIGURES[claim.figure].digits
    numbers = (comparison.difference, comparison.low, comparison.high)
    return "{} ({} to {})".format(*(f"{number:+.{digits}f}" for number in numbers))


def is_unmixed(variant: str) -> bool:
    return variant.partition(",")[0] == BASELINE


def mark(comparison: Comparison | None) -> str:
    """What stands beside a figure: "+" significantly better than "none", "-" worse."""
    if comparison is None or not comparison.significant:
        return ""
    return "+" if comparison.better else "-"

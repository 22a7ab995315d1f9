"""Compares paired samples, with 95 % confidence intervals by paired t."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

METHOD = "geometric mean of the ratios within each round, 95 % interval by paired t on their logs"


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """`ratio` ours / theirs with `low` and `high`, over at least two rounds of positive samples."""
    logs = np.log(np.divide(ours, theirs))
    mean, half = float(logs.mean()), _half_width(logs)
    ends = {"ratio": mean, "low": mean - half, "high": mean + half}
    return {name: math.exp(value) for name, value in ends.items()}


@functools.cache
def _t95(freedom: int) -> float:
    """The 95 % quantile of |t|, from a million draws: right to about 0.5 %."""
    draws = np.random.default_rng(0).standard_t(freedom, 1_000_000)
    return float(np.quantile(np.abs(draws), 0.95))


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean `difference` ours - theirs, with `low` and `high`, over at least two pairs."""
    differences = np.subtract(ours, theirs)
    mean, half = float(differences.mean()), _half_width(differences)
    return {"difference": mean, "low": mean - half, "high": mean + half}


def _half_width(values: np.ndarray) -> float:
    """Half the width of the 95 % interval of their mean."""
    if len(values) < 2:
        raise ValueError(f"an interval takes at least 2 rounds, got {len(values)}.")
    return _t95(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))

"""The operators alone: decoded images to a mixed tensor on the CPU, and a copy of as many bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dali_mix import _harness as harness
from dali_mix.measure.checks import check_probe
from dali_mix.measure.graphs import GRAPHS, UNMIXED
from dali_mix.measure.pipelines import array_pipeline

COPY = "copy of the output"
ROTATING = 3
"""Batches fed in turn, so that no contestant finds its input in the cache."""


def measure(
    *,
    batch: int,
    size: int,
    dtype: str,
    threads: int,
    rounds: int,
    seed: int,
    progress: Callable[[], object],
) -> dict[str, dict[str, Any]]:
    """As `_harness.compare`, against the pipeline that does not mix."""
    chance = np.random.default_rng(seed)
    shape = (batch, size, size, 3)
    batches = [list(chance.integers(0, 256, shape, np.uint8)) for _ in range(ROTATING)]
    made = partial(array_pipeline, batches, dtype=dtype, threads=threads, seed=seed)
    runs: dict[str, Callable[[], object]] = {
        name: made(graph).run for name, graph in GRAPHS.items()
    }
    source = np.ones(shape, dtype)
    runs[COPY] = partial(np.copyto, np.empty_like(source), source)

    def check() -> None:
        for name, graph in GRAPHS.items():
            check_probe(name, made(graph, probe=True), dtype)

    return harness.compare(
        runs, baseline=UNMIXED, check=check, rounds=rounds, seed=seed, progress=progress
    )

"""Times contestants that are calls against each other.

First the results are checked. Then each round runs every contestant, in a fresh random order, in
one process. Results are the median and quartiles over the rounds: of the times, and of the ratios
to a baseline within each round.
"""

from __future__ import annotations

import ctypes
import gc
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def nothing() -> None:
    """Does nothing: the default where a function may be passed."""


def keep_freed_memory() -> None:
    """Make glibc reuse freed blocks instead of asking for fresh pages. Otherwise page faults take
    half of the time of a contestant that allocates large tensors, and vary much."""
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_max, 0)


def release_freed_memory() -> None:
    """Give back the memory that was kept, before contestants of another size run."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def compare(
    contestants: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    check: Callable[[], object],
    rounds: int = 20,
    min_seconds: float = 0.05,
    synchronize: Callable[[], object] = nothing,
    seed: int = 0,
    ahead: int = 0,
    settle: Callable[[], object] = nothing,
    progress: Callable[[], object] = nothing,
) -> dict[str, dict[str, Any]]:
    """Time contestants against each other.

    contestants: name -> the function to call
    baseline:    name of the contestant that the ratios divide by, within each round
    check:       asserts that the results are right; runs once, before anything is timed
    rounds:      number of samples of each contestant
    min_seconds: a sample repeats the call for about this long; the warm-up finds how often
    synchronize: waits for the device; its time counts
    seed:        seed of the order within the rounds
    ahead:       results that a contestant makes in advance. So many, and one that is under way, are
                 taken before the clock starts
    settle:      called before each sample; waits until nothing is made in advance any more
    progress:    called after every round

    Returns, for each name, `repeats`, and for each of "wall" and "cpu" (all threads of the
    process): `seconds` of a call in each round, and their `summary` and `ratio`, each with median,
    q1 and q3.
    """
    if baseline not in contestants:
        raise ValueError(f"baseline must be one of {list(contestants)}, got {baseline!r}.")
    check()
    repeats = {
        name: _repeats(run, min_seconds, synchronize, ahead) for name, run in contestants.items()
    }
    seconds: dict[str, dict[str, list[float]]] = {
        name: {clock: [] for clock in CLOCKS} for name in contestants
    }
    order = random.Random(seed)
    for _ in range(rounds):
        for name in order.sample(list(contestants), len(contestants)):
            settle()
            sample = _sample(contestants[name], repeats[name], synchronize, ahead)
            for clock, value in sample.items():
                seconds[name][clock].append(value)
        progress()
    return {
        name: {"repeats": repeats[name]}
        | {clock: _compared(seconds[name][clock], seconds[baseline][clock]) for clock in CLOCKS}
        for name in contestants
    }


def _sample(
    run: Callable[[], object],
    repeats: int,
    synchronize: Callable[[], object],
    ahead: int,
) -> dict[str, float]:
    for _ in range(ahead + 1 if ahead else 0):
        run()
    synchronize()
    start = {clock: now() for clock, now in CLOCKS.items()}
    for _ in range(repeats):
        run()
    synchronize()
    return {clock: (now() - start[clock]) / repeats for clock, now in CLOCKS.items()}


def _repeats(
    run: Callable[[], object], min_seconds: float, synchronize: Callable[[], object], ahead: int
) -> int:
    """Warm up, and find how many repeats last min_seconds."""
    repeats = 1
    while (took := _sample(run, repeats, synchronize, ahead)["wall"] * repeats) < min_seconds:
        repeats = max(2 * repeats, int(repeats * min_seconds / max(took, 1e-9)))
    return repeats


def _compared(seconds: list[float], baseline: list[float]) -> dict[str, Any]:
    ratios = np.divide(seconds, baseline)
    return {"seconds": seconds, "summary": summary(seconds), "ratio": summary(ratios)}


def ratio(results: Mapping[str, Any], name: str, base: str, less: str | None = None) -> float:
    """Median ratio of the times of `name` and `base`, within each round. `less`: a contestant whose
    time is subtracted from both."""
    ours, theirs, off = (
        np.array(results[one]["wall"]["seconds"]) if one else 0.0 for one in (name, base, less)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.median((ours - off) / (theirs - off)))


def summary(samples: Any) -> dict[str, float]:
    q1, median, q3 = np.percentile(samples, (25, 50, 75))
    return {"median": float(median), "q1": float(q1), "q3": float(q3)}

"""How every benchmark measures, those of bench/ and `dali-mix bench` alike.

Contestants alternate, and results say where they come from:

    check() first; then every contestant in a fresh random order, round after round, in one process;
    median and quartiles of the rounds, and of the ratios to a baseline taken within each round.

NumPy and the standard library only. What is measured, and its inputs, belong to the caller.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import gc
import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dali-mix", "numpy", "torch", "nvidia-dali-cuda130", "nvidia-dali-cuda120")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def nothing() -> None:
    """For a device that has nothing to wait for."""


def keep_freed_memory() -> None:
    """Let glibc hand out freed blocks again instead of asking for fresh pages: page faults would
    be half of the time of whoever allocates large tensors, and unevenly so."""
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_max, 0)


def release_freed_memory() -> None:
    """Give back what was kept, before something else of another size."""
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
    clocks: Mapping[str, Callable[[], float]] = CLOCKS,
    seed: int = 0,
    progress: Callable[[], object] = nothing,
) -> dict[str, dict[str, Any]]:
    """Time contestants against each other.

    contestants: name -> what one repeat runs
    baseline:    the contestant whose time in the same round divides every other's
    check:       asserts that the results are right; runs once, before anything is timed
    rounds:      samples of each contestant
    min_seconds: a sample repeats the contestant until about this long, found in the warm-up
    synchronize: waits for the device, inside the time
    clocks:      read before and after each sample, in seconds
    seed:        of the order within the rounds, in a generator of its own
    progress:    called after every round

    Returns, for each name, `repeats`, and for each of the clocks, which are "wall" and "cpu" (of
    the process, all its threads) unless others are given, `seconds` (each round, per repeat),
    `summary` and `ratio`: median, q1 and q3.
    """
    if baseline not in contestants:
        raise ValueError(f"baseline must be one of {list(contestants)}, got {baseline!r}.")
    check()
    repeats = {name: _repeats(run, min_seconds, synchronize) for name, run in contestants.items()}
    seconds: dict[str, dict[str, list[float]]] = {
        name: {clock: [] for clock in clocks} for name in contestants
    }
    order = random.Random(seed)
    for _ in range(rounds):
        for name in order.sample(list(contestants), len(contestants)):
            sample = _sample(contestants[name], repeats[name], synchronize, clocks)
            for clock, value in sample.items():
                seconds[name][clock].append(value)
        progress()
    return {
        name: {"repeats": repeats[name]}
        | {clock: _compared(seconds[name][clock], seconds[baseline][clock]) for clock in clocks}
        for name in contestants
    }


def _sample(
    run: Callable[[], object],
    repeats: int,
    synchronize: Callable[[], object],
    clocks: Mapping[str, Callable[[], float]] = CLOCKS,
) -> dict[str, float]:
    synchronize()
    start = {clock: now() for clock, now in clocks.items()}
    for _ in range(repeats):
        run()
    synchronize()
    return {clock: (now() - start[clock]) / repeats for clock, now in clocks.items()}


def _repeats(
    run: Callable[[], object], min_seconds: float, synchronize: Callable[[], object]
) -> int:
    """Warm up, and find how many repeats last min_seconds."""
    repeats = 1
    while (took := _sample(run, repeats, synchronize)["wall"] * repeats) < min_seconds:
        repeats = max(2 * repeats, int(repeats * min_seconds / max(took, 1e-9)))
    return repeats


def _compared(seconds: list[float], baseline: list[float]) -> dict[str, Any]:
    ratios = np.divide(seconds, baseline)
    return {"seconds": seconds, "summary": summary(seconds), "ratio": summary(ratios)}


def summary(samples: Any) -> dict[str, float]:
    q1, median, q3 = np.percentile(samples, (25, 50, 75))
    return {"median": float(median), "q1": float(q1), "q3": float(q3)}


def table(results: Mapping[str, Mapping[str, Any]], extra: Mapping[str, str] | None = None) -> str:
    """Wall time in microseconds and ratios, with quartiles, as text; `extra` adds a column."""
    lines = [f"{'':32} {'wall us (q1-q3)':>28} {'ratio (q1-q3)':>20} {'cpu ratio':>10}"]
    for name, result in results.items():
        wall, ratio = result["wall"]["summary"], result["wall"]["ratio"]
        time_us = "{median:.0f} ({q1:.0f}-{q3:.0f})".format(
            **{key: value * 1e6 for key, value in wall.items()}
        )
        ratio_text = "{median:.2f} ({q1:.2f}-{q3:.2f})".format(**ratio)
        cpu = result["cpu"]["ratio"]["median"]
        last = f"  {extra[name]}" if extra else ""
        lines.append(f"{name:32} {time_us:>28} {ratio_text:>20} {cpu:>10.2f}{last}")
    return "\n".join(lines)


def provenance(*packages: str, **more: Any) -> dict[str, Any]:
    """Where a result comes from. `packages`: whose versions matter beside the usual ones; `more`:
    what the caller knows, such as threads or the GPU."""
    commit, dirty = _checkout()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "commit": commit,
        "dirty": dirty,
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*PACKAGES, *packages)},
        **more,
    }


def command() -> str:
    """The command line: paths inside the checkout relative to it, of others the name alone, as the
    way to them is of one machine."""
    return " ".join(["python", *map(_without_way, sys.argv)])


def _without_way(argument: str) -> str:
    option, sign, path = argument.rpartition("=")
    inside = path.removeprefix(f"{ROOT}/")
    return option + sign + (Path(inside).name if os.path.isabs(inside) else inside)


@functools.cache  # the files that a run writes are not changes that it was measured with
def _checkout() -> tuple[str | None, bool | None]:
    """Commit, and whether files differ from it; None for what is not known. Where there is no git,
    as in a copy on another machine, DALI_MIX_COMMIT may name the commit."""
    changes = _git("status", "--porcelain")
    commit = _git("rev-parse", "HEAD") or os.environ.get("DALI_MIX_COMMIT") or None
    return commit, None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    if not (ROOT / ".git").exists():  # installed; a repository around it would be another's
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write(path: Path, record: Mapping[str, Any], *, again: bool = False) -> None:
    """One JSON file per run, whole at any time; an existing file is an error, never overwritten,
    but `again` by the run that wrote it. Numbers have seven digits, more than any clock here
    gives."""
    text = json.dumps(shortened(record), separators=(",", ":")) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not again:
        path.touch(exist_ok=False)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def shortened(value: Any) -> Any:
    """As a results file has it."""
    if isinstance(value, Mapping):
        return {name: shortened(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortened(one) for one in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2; --out must be a new file."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.add_argument("--rounds", type=positive, default=20, help="samples (default 20)")
        self.add_argument("--seed", type=int, default=0, help="of inputs and order (default 0)")
        self.add_argument("--out", type=new_file, help="new JSON file for the raw run")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try --help.\n")


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text}")
    return int(text)


def new_file(text: str) -> Path:
    """An argparse type: the path of a file that does not exist yet."""
    path = Path(text)
    if path.exists():
        raise argparse.ArgumentTypeError(f"{path} exists; name a new file, old runs are kept")
    if path.suffix != ".json":
        raise argparse.ArgumentTypeError(f"must end in .json, got {text}")
    return path

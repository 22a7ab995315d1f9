"""Measures loaders that keep running, in alternating segments: images per second and CPU time.

A loader computes batches in advance. So a segment begins like this: wait until all loaders rest,
which means that all queues are full; read what the loader has computed in advance; start the clock.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dali_mix.measure.timing import nothing, summary

QUIET_WINDOW = 0.05
"""A process is at rest if it uses hardly any CPU time for so many seconds."""
PATIENCE = 60.0
"""Seconds to wait for that before giving up."""


class Loader(NamedTuple):
    """One contestant."""

    next: Callable[[], object]
    """Gives the next batch; never ends."""
    batch: int
    """Images in a batch."""
    ahead: int
    """Batches that it may have begun or finished before they are asked for."""
    synchronize: Callable[[], object] = nothing
    """Waits for the device."""
    burst: int = 1
    """Batches that are made at the same time, one by each worker. A segment is a multiple of it."""


def compare_loaders(
    loaders: Mapping[str, Loader],
    *,
    images: int,
    segments: int,
    seed: int = 0,
    progress: Callable[[], object] = nothing,
) -> dict[str, dict[str, Any]]:
    """Measure loaders against each other, each in every round, in a fresh random order.

    images:   number of images in a segment; it is rounded up to whole bursts of batches
    segments: number of segments of each loader, after one to warm up
    progress: called after every round

    Returns, for each name, `images_per_second` and `cpu_ms_per_image` (of this process and its
    children): `samples`, one for each segment, and `summary`: median, q1 and q3.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    order = random.Random(seed)
    for round_ in range(segments + 1):
        for name in order.sample(list(loaders), len(loaders)):
            sample = segment(loaders[name], images)
            if round_:
                samples[name].append(sample)
        if round_:
            progress()
    results = {}
    for name, pairs in samples.items():
        speeds, costs = ([*column] for column in zip(*pairs, strict=True))
        results[name] = {
            "images_per_second": {"samples": speeds, "summary": summary(speeds)},
            "cpu_ms_per_image": {"samples": costs, "summary": summary(costs)},
        }
    return results


def segment(loader: Loader, images: int) -> tuple[float, float]:
    """Images per second and CPU milliseconds per image, over at least `images` images."""
    wait_until_quiet()
    for _ in range(loader.ahead):
        loader.next()
    loader.synchronize()
    batches = -(-images // (loader.batch * loader.burst)) * loader.burst
    wall, cpu = time.perf_counter(), cpu_seconds()
    for _ in range(batches):
        loader.next()
    loader.synchronize()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    count = batches * loader.batch
    return count / wall, 1e3 * cpu / count


def wait_until_quiet() -> None:
    """Wait until this process and its children are at rest."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        before = cpu_seconds()
        time.sleep(QUIET_WINDOW)
        if cpu_seconds() - before < 0.1 * QUIET_WINDOW:
            return
    raise RuntimeError(
        f"a loader keeps working though nobody reads from it, for {PATIENCE:.0f} seconds now; "
        "loaders cannot be measured beside it."
    )


def cpu_seconds() -> float:
    """CPU time of all threads of this process and of its living children, so far."""
    children = multiprocessing.active_children()
    return time.process_time() + sum(_cpu_seconds_of(child.pid) for child in children)


def _cpu_seconds_of(pid: int | None) -> float:
    clock = ctypes.c_int()
    if pid is None or ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0  # it has ended in the meantime
    return time.clock_gettime(clock.value)

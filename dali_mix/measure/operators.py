"""Measures ways from decoded images to a mixed tensor, and a copy of as many bytes. It needs no
DALI."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dali_mix.measure import timing
from dali_mix.measure.outputs import UNMIXED, Output
from dali_mix.measure.segments import wait_until_quiet

COPY = "copy of as many bytes"
SYNCHRONOUS, DEFAULT = "synchronous", "default"
"""Executors: one that works when it is asked to, and DALI's own, which works in advance."""
AHEAD = 2
"""Batches that the default executor makes in advance."""
BATCHES = 3
"""Number of batches fed in turn, so that no contestant finds its input in the cache."""


@dataclass(frozen=True, eq=False)
class Case:
    """The task of every contestant."""

    batches: list[np.ndarray]
    """(N, H, W, 3) uint8 images, fed in turn."""
    output: Output
    threads: int
    seed: int
    device: str = "cpu"
    """Device of the images and the work: cpu or gpu."""
    executor: str = SYNCHRONOUS
    """Executor of the DALI contestants."""

    @functools.cached_property
    def tensors(self) -> list[Any]:
        """The images as torch tensors on the device. All contestants share them."""
        import torch

        device = "cuda" if self.device == "gpu" else "cpu"
        return [torch.from_numpy(images).to(device) for images in self.batches]

    @property
    def count(self) -> int:
        return len(self.batches[0])

    @property
    def in_bytes(self) -> int:
        """Bytes of one batch of images."""
        return self.batches[0].nbytes

    @property
    def out_bytes(self) -> int:
        """Bytes of one batch of results."""
        return self.in_bytes * np.dtype(self.output.dtype).itemsize


def make_case(
    shape: tuple[int, int, int],
    output: Output,
    *,
    threads: int,
    seed: int,
    device: str = "cpu",
    executor: str = SYNCHRONOUS,
) -> Case:
    """A case of random images. `shape`: their number, height and width."""
    chance = np.random.default_rng(seed)
    batches = [chance.integers(0, 256, (*shape, 3), np.uint8) for _ in range(BATCHES)]
    return Case(batches, output, threads, seed, device, executor)


def samples_of(count: int) -> Iterable[int]:
    """Indices of the samples of a batch that are checked."""
    return sorted({0, 1 % count, count // 2, count - 1})


def copying(case: Case) -> Callable[[], object]:
    """A copy that moves as many bytes as mixing must move: it reads two images and writes one
    result."""
    count = (2 * case.in_bytes + case.out_bytes) // 2
    if case.device == "gpu":
        import torch

        source, target = torch.zeros(2, count, dtype=torch.uint8, device="cuda")
        return lambda: target.copy_(source)
    source, target = np.ones(count, np.uint8), np.zeros(count, np.uint8)
    pool = ThreadPoolExecutor(case.threads)
    parts = list(
        zip(*(np.array_split(array, case.threads) for array in (target, source)), strict=True)
    )
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


def measure(
    case: Case,
    runs: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    synchronize: Callable[[], object] = timing.nothing,
    progress: Callable[[], object] = timing.nothing,
) -> dict[str, dict[str, Any]]:
    """The results of `timing.compare` for checked contestants. The baseline is the pipeline that
    does not mix, or the copy if there is no pipeline. Batches that the default executor made in
    advance are read before the clock starts."""
    in_advance = case.device == "cpu" and case.executor == DEFAULT
    return timing.compare(
        runs,
        baseline=UNMIXED if UNMIXED in runs else COPY,
        check=timing.nothing,
        rounds=rounds,
        synchronize=synchronize,
        seed=case.seed,
        ahead=AHEAD if in_advance else 0,
        settle=wait_until_quiet if in_advance else timing.nothing,
        progress=progress,
    )

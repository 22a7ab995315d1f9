"""Measures the operators alone, from decoded images to a mixed tensor, and a copy of as many
bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dali_mix.measure import timing
from dali_mix.measure.checks import check_probe
from dali_mix.measure.graphs import GRAPHS, UNMIXED, Graph, Output
from dali_mix.measure.pipelines import array_pipeline
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


def runner(case: Case, graph: Graph) -> Callable[[], Any]:
    """A function that runs the pipeline of a contestant once."""
    run: Callable[..., Any] = _pipeline(case, graph).pipeline.run
    if case.device == "cpu":
        return run
    import torch

    # Results come on torch's stream, so that no contestant waits for the GPU after each batch.
    return lambda: run(torch.cuda.current_stream())


def check(case: Case, graphs: Mapping[str, Graph]) -> None:
    """An AssertionError unless every contestant mixes some of the samples by its plan."""
    samples = samples_of(case.count)
    for name, graph in graphs.items():
        check_probe(name, _pipeline(case, graph, probing=True), case.output, samples)


def samples_of(count: int) -> Iterable[int]:
    """Indices of the samples of a batch that are checked."""
    return sorted({0, 1 % count, count // 2, count - 1})


def _pipeline(case: Case, graph: Graph, *, probing: bool = False) -> Any:
    images = case.tensors if case.device == "gpu" else case.batches
    return array_pipeline(
        images,
        graph,
        case.output,
        threads=case.threads,
        seed=case.seed,
        device=case.device,
        on_demand=probing or case.executor == SYNCHRONOUS,
        probing=probing,
    )


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


def contestants(
    case: Case, graphs: Mapping[str, Graph] = GRAPHS
) -> dict[str, Callable[[], object]]:
    """The copy and the graphs, checked."""
    check(case, graphs)
    return {COPY: copying(case)} | {name: runner(case, graph) for name, graph in graphs.items()}


def measure(
    case: Case,
    runs: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    synchronize: Callable[[], object] = timing.nothing,
    progress: Callable[[], object] = timing.nothing,
) -> dict[str, dict[str, Any]]:
    """The results of `timing.compare` for checked contestants. The baseline is the pipeline that
    does not mix. Batches that the default executor made in advance are read before the clock
    starts."""
    in_advance = case.device == "cpu" and case.executor == DEFAULT
    return timing.compare(
        runs,
        baseline=UNMIXED,
        check=timing.nothing,
        rounds=rounds,
        synchronize=synchronize,
        seed=case.seed,
        ahead=AHEAD if in_advance else 0,
        settle=wait_until_quiet if in_advance else timing.nothing,
        progress=progress,
    )

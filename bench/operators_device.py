"""Where bench/operators.py measures: a CPU, or a GPU with its clock, its copy and its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.floor import floor
from bench.operators_case import Case
from dali_mix import _harness as harness


@dataclass(frozen=True)
class Device:
    name: str
    """cpu or gpu."""
    clocks: Mapping[str, Callable[[], float]]
    synchronize: Callable[[], object]
    gpu: str | None = None
    """The model."""

    def floor(self, case: Case) -> Callable[[], object]:
        """A call moves the bytes of mixing a batch: both images read, the result written."""
        if self.name == "cpu":
            lists = [list(images) for images in case.batches]
            return floor(lists, case.out_bytes // case.count, case.threads)
        return _device_copy((2 * case.in_bytes + case.out_bytes) // 2)

    def free_memory(self) -> int:
        """Bytes for a case, on the CPU or the GPU; what earlier cases kept is given back."""
        harness.release_freed_memory()
        if self.name == "cpu":
            facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
            return int(facts["MemAvailable"].split()[0]) * 1024
        import torch
        from nvidia.dali.backend import ReleaseUnusedMemory

        torch.cuda.empty_cache()
        ReleaseUnusedMemory()
        return torch.cuda.mem_get_info()[0]


def device(name: str) -> Device:
    """RuntimeError: there is no GPU for torch."""
    if name == "cpu":
        return Device(name, harness.CLOCKS, harness.nothing)
    try:
        import torch
    except ModuleNotFoundError as error:
        raise RuntimeError("needs PyTorch, and it is not installed") from error
    if not torch.cuda.is_available():
        raise RuntimeError("needs a GPU that torch can use, and there is none")
    clocks = {**harness.CLOCKS, "device": EventClock(lambda: torch.cuda.Event(enable_timing=True))}
    return Device(name, clocks, torch.cuda.synchronize, torch.cuda.get_device_name())


class EventClock:
    """Seconds by the events of a GPU: those between one call and the next are added up, since one
    long span would lose its digits."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self._event = event
        self._last: Any = None
        self._seconds = 0.0

    def __call__(self) -> float:
        now = self._event()
        now.record()
        now.synchronize()
        if self._last is not None:
            self._seconds += self._last.elapsed_time(now) / 1e3
        self._last = now
        return self._seconds


def _device_copy(count: int) -> Callable[[], object]:
    """A call reads and writes `count` bytes each."""
    import torch

    source, target = torch.zeros(2, count, dtype=torch.uint8, device="cuda")
    return lambda: target.copy_(source)


def kernels(run: Callable[[], object], synchronize: Callable[[], object]) -> dict[str, Any]:
    """What one call starts on the GPU, as torch's profiler sees it by CUPTI, DALI's work too; or
    why it cannot be seen."""
    import torch

    activity = torch.profiler.ProfilerActivity.CUDA
    if activity not in torch.profiler.supported_activities():
        return {"missing": "torch's profiler sees no GPU here"}
    run()
    synchronize()
    with torch.profiler.profile(activities=[activity]) as profile:
        run()
        synchronize()
    return counted(profile.profiler.kineto_results.events())


def counted(events: Iterable[Any]) -> dict[str, Any]:
    """Number of kernels and copies, and the seconds in them, of the profiler's events: of those on
    the GPU, CUPTI calls the copies "Memcpy …" and "Memset …"."""
    kernel_times, copy_times = [], []
    for event in events:
        if event.device_type().name == "CUDA":
            copy = event.name().startswith(("Memcpy", "Memset"))
            (copy_times if copy else kernel_times).append(event.duration_ns())
    if not kernel_times and not copy_times:
        return {"missing": "torch's profiler recorded nothing on the GPU"}
    seconds = (sum(kernel_times) + sum(copy_times)) / 1e9
    return {"kernels": len(kernel_times), "copies": len(copy_times), "seconds": seconds}

"""Free memory of the CPU and the GPU, and the kernels that run on a GPU."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dali_mix.measure import timing

BYTES_PER_ELEMENT = 165
"""Memory of all contestants together for each element of a batch, with outputs of 4 bytes. It was
120 for 64 images of 224 x 224, and up to 155 for 1,024."""


def memory_needed(count: int, height: int, width: int) -> int:
    """Bytes that all contestants of a case may take together."""
    return BYTES_PER_ELEMENT * 3 * count * height * width


def free_memory(device: str) -> int:
    """Free bytes for a case. Memory that earlier cases kept is given back first."""
    timing.release_freed_memory()
    if device == "cpu":
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(facts["MemAvailable"].split()[0]) * 1024
    import torch
    from nvidia.dali.backend import ReleaseUnusedMemory

    torch.cuda.empty_cache()
    ReleaseUnusedMemory()
    return torch.cuda.mem_get_info()[0]


def kernels(run: Callable[[], object], synchronize: Callable[[], object]) -> dict[str, Any]:
    """The kernels and copies that one call starts on the GPU, DALI's too, or why they cannot be
    seen. torch's profiler sees them by CUPTI."""
    from torch import profiler

    activity = profiler.ProfilerActivity.CUDA
    if activity not in profiler.supported_activities():
        return {"missing": "torch's profiler sees no GPU here"}
    run()
    synchronize()
    with profiler.profile(activities=[activity]) as profile:
        run()
        synchronize()
    return counted(profile.profiler.kineto_results.events())


def counted(events: Iterable[Any]) -> dict[str, Any]:
    """Number of kernels and of copies among the profiler's events on the GPU, and their seconds.
    CUPTI calls copies "Memcpy …" and "Memset …"."""
    seen = [event for event in events if event.device_type().name == "CUDA"]
    if not seen:
        return {"missing": "torch's profiler recorded nothing on the GPU"}
    copies = sum(event.name().startswith(("Memcpy", "Memset")) for event in seen)
    seconds = sum(event.duration_ns() for event in seen) / 1e9
    return {"kernels": len(seen) - copies, "copies": copies, "seconds": seconds}

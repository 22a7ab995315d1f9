"""What a CPU and a GPU tell of themselves: free memory, and what runs on a GPU."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dali_mix.measure import timing

BYTES_PER_ELEMENT = 165
"""All contestants together, for each element of a batch, with 4 bytes of output: 120 at 64 images
of 224 x 224, and up to 155 at 1,024, where Linux ended the process for want of memory."""


def memory_needed(count: int, height: int, width: int) -> int:
    """Bytes that a case may take, all contestants together."""
    return BYTES_PER_ELEMENT * 3 * count * height * width


def free_memory(device: str) -> int:
    """Bytes for a case; what earlier cases kept is given back."""
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
    """What one call starts on the GPU, as torch's profiler sees it by CUPTI, DALI's work too; or
    why it cannot be seen."""
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
    """Number of kernels and copies, and the seconds in them, of the profiler's events: of those on
    the GPU, CUPTI calls the copies "Memcpy …" and "Memset …"."""
    seen = [event for event in events if event.device_type().name == "CUDA"]
    if not seen:
        return {"missing": "torch's profiler recorded nothing on the GPU"}
    copies = sum(event.name().startswith(("Memcpy", "Memset")) for event in seen)
    seconds = sum(event.duration_ns() for event in seen) / 1e9
    return {"kernels": len(seen) - copies, "copies": copies, "seconds": seconds}

"""The kernels that run on a GPU."""

from collections.abc import Callable, Iterable
from typing import Any


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

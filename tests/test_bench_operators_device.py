"""bench/operators_device.py: the clock of a GPU, and what the profiler saw on it."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.operators_device import EventClock, counted, kernels  # noqa: E402


class Event:
    """An event of a GPU, whose time is the number of those before it."""

    made = 0

    def record(self):
        Event.made += 1
        self.time = Event.made

    def synchronize(self):
        pass

    def elapsed_time(self, later):
        return 1e3 * (later.time - self.time)


def test_the_clock_of_a_gpu_adds_up_its_events():
    clock = EventClock(Event)
    assert [clock() for _ in range(4)] == [0, 1, 2, 3]


class Seen:
    """An event of the profiler, with no more than every release of torch tells of it."""

    def __init__(self, device, name, ns):
        self.device_type = lambda: device
        self.name = lambda: name
        self.duration_ns = lambda: ns


def test_kernels_and_copies_are_counted_apart():
    cpu, cuda = torch.autograd.DeviceType.CPU, torch.autograd.DeviceType.CUDA
    found = counted([
        Seen(cuda, "void dali_mix::MixInline<...>(dali_mix::InlineBatch)", 500),
        Seen(cuda, "Memcpy HtoD (Pageable -> Device)", 7),
        Seen(cuda, "Memset (Device)", 4),
        Seen(cpu, "cudaMemcpyAsync", 9),
        Seen(cpu, "cudaLaunchKernel", 9),
        Seen(cuda, "triton_poi_fused_add_0", 1500),
    ])  # fmt: skip
    assert (found["kernels"], found["copies"]) == (2, 2)
    assert found["seconds"] == pytest.approx(2.011e-6)


def test_what_this_torch_records_on_the_cpu_is_not_on_the_gpu():
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(3) + 1
    events = profile.profiler.kineto_results.events()
    assert "aten::add" in {event.name() for event in events}
    assert "recorded nothing" in counted(events)["missing"]


def test_without_a_gpu_kernels_are_reported_missing():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert "sees no GPU" in kernels(lambda: None, lambda: None)["missing"]


@pytest.mark.gpu
def test_kernels_and_copies_of_a_gpu_are_seen():
    there, here = torch.zeros(1 << 20, device="cuda"), torch.ones(1 << 20).pin_memory()
    found = kernels(lambda: there.copy_(here).add_(1), torch.cuda.synchronize)
    assert "missing" in found or (found["kernels"], found["copies"]) == (1, 1)

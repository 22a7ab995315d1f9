"""What peers in PyTorch do on a GPU: they mix in float16 within the tolerance, and do not wait."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import library_peers, torch_peers  # noqa: E402
from bench.operators_case import Case, make_case  # noqa: E402
from bench.operators_check import tolerance, verify  # noqa: E402

# Of the libraries, when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def mixing_in_halves(layout):
    """A case of all pairs of pixel values, and who mixes it as on a GPU, here on the CPU."""
    levels = np.arange(256, dtype=np.uint8)
    own, other = np.broadcast_to(levels[:, None, None], (256, 256, 3)), levels[None, :, None]
    images = np.stack([own, np.broadcast_to(other, own.shape)])
    case = Case([images], "float16", layout, threads=1, seed=0)
    assert case.tensors[0].device.type == "cpu"
    object.__setattr__(case, "device", "gpu")
    found = torch_peers.contestants(case) | library_peers.contestants(case)[0]
    del found["torch.compile"]  # rounds once
    return case, {name: one for name, one in found.items() if "CutMix" not in name}


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_what_mixes_in_float16_keeps_the_tolerance_for_all_pixels(layout):
    case, contestants = mixing_in_halves(layout)
    for name, contestant in contestants.items():
        for _ in range(20):
            try:
                verify(case, case.batches[0], contestant, contestant.read(contestant.run()))
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error


def test_the_tolerance_of_float16_is_less_than_one_level_of_a_pixel():
    case, contestants = mixing_in_halves("CHW")
    eager = contestants["torch eager"]
    drawn = iter(lambda: eager.read(eager.run()), None)
    mixed = next(mixed for mixed in drawn if mixed.partner[0] == 1)
    assert tolerance(case, eager, mixed) < case.coefficients[0].min()
    with pytest.raises(AssertionError):
        verify(case, case.batches[0], eager, mixed._replace(lam=mixed.lam + 0.01))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", ["torch eager", "torch.compile"])
def test_a_batch_is_mixed_without_waiting_for_the_gpu(name):
    case = make_case(4, 32, 48, dtype="float16", layout="CHW", threads=1, seed=5, device="gpu")
    run = torch_peers.contestants(case)[name].run
    for _ in range(3):  # compile, and fill the caches of memory
        run()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")

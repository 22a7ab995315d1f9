"""What bench.operators compares: every contestant mixes as it says, and a missing one has a row."""

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from bench.operators import __main__ as operators  # noqa: E402
from bench.operators import device, graphs, library_peers, torch_peers  # noqa: E402
from bench.program import peer  # noqa: E402
from dali_mix.measure import checks, pipelines  # noqa: E402
from dali_mix.measure import operators as measured  # noqa: E402
from dali_mix.measure.graphs import GRAPHS, ours  # noqa: E402
from dali_mix.measure.outputs import Output  # noqa: E402
from dali_mix.methods import METHODS  # noqa: E402

# Of the libraries, when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PEERS = {
    "timm": "timm.data",
    "torchvision": "torchvision.transforms.v2",
    "kornia": "kornia.augmentation",
}
FORMATS = [Output(d, layout) for d in ("float32", "float16", "uint8") for layout in ("CHW", "HWC")]
DALI = {"feed", measured.COPY, "dali_mix unmixed", "DALI stock CutMix, then cmn", *GRAPHS}


def case(output=FORMATS[0], count=3, device="cpu"):
    return measured.make_case((count, 32, 48), output, threads=1, seed=5, device=device)


def checked(made, contestants):
    """Names of those that mix their first two batches as they say."""
    for name, contestant in contestants.items():
        for step in range(2):
            torch_peers.check(name, made, contestant, step)
    return set(contestants)


@pytest.mark.parametrize("output", FORMATS, ids=str)
@pytest.mark.parametrize("count", [1, 5])
def test_every_graph_mixes_as_it_says(output, count):
    found = graphs.contestants(case(output, count), methods=True)  # checks them
    others = {kind.name for kind in METHODS} - {"mixup", "cutmix"}
    others |= {"mixup overlap", "patchmix patches"}
    assert found.keys() - DALI == {f"dali_mix {name}" for name in others}
    assert found.keys() > DALI
    for run in found.values():
        run()


@pytest.mark.parametrize("output", FORMATS, ids=str)
def test_torch_mixes_as_it_says(output):
    made = case(output)
    assert checked(made, torch_peers.contestants(made)) == {"torch eager", "torch.compile"}


@pytest.mark.parametrize("output", FORMATS, ids=str)
@pytest.mark.parametrize("library", PEERS)
def test_libraries_mix_as_they_say(library, output):
    if peer(PEERS[library])[0] is None:
        pytest.skip(peer(PEERS[library])[1])
    made = case(output, count=4)
    found, missing = library_peers.contestants(made)
    assert library not in missing
    assert checked(made, {name: c for name, c in found.items() if name.startswith(library)})


@pytest.mark.parametrize("method", [kind.name for kind in METHODS])
def test_a_wrong_report_is_found(method):
    made = case(count=5)
    graph = GRAPHS.get(f"dali_mix {method}") or ours(graphs.other_methods(32, 48)[method])
    mixed, images, mirror = pipelines._pipeline(made, graph, probing=True).run()

    def check(mixed, mirror):
        checks.check_mixed("one", mixed, images, mirror, made.output)

    check(mixed, mirror)
    told = mixed.plan._replace(lam=[lam - 0.01 for lam in mixed.plan.lam])
    wrong = [mixed._replace(plan=told), mixed._replace(x=[x + 1e-2 for x in mixed.x])]
    if method != "resizemix":  # whose check does not see the partner
        others = [(np.asarray(partner) + 1) % 5 for partner in mixed.plan.partner]
        wrong.append(mixed._replace(plan=mixed.plan._replace(partner=others)))
    for one in wrong:
        with pytest.raises(AssertionError):
            check(one, mirror)
    with pytest.raises(AssertionError):
        check(mixed, [1 - np.asarray(flag) for flag in mirror])


def test_a_peer_that_lies_about_lam_is_found():
    made = case(count=8)
    for contestant in torch_peers.contestants(made).values():
        lied = contestant._replace(
            told=lambda labels: (labels[0].numpy(), labels[1].numpy() - 0.01)
        )
        with pytest.raises(AssertionError):
            torch_peers.check("lied", made, lied, step=0)


def all_pairs_in_halves(layout):
    """A case of all pairs of pixel values, mixed as on a GPU, here on the CPU."""
    levels = np.arange(256, dtype=np.uint8)
    own, other = np.broadcast_to(levels[:, None, None], (256, 256, 3)), levels[None, :, None]
    images = np.stack([own, np.broadcast_to(other, own.shape)])
    made = measured.Case([images], Output("float16", layout), threads=1, seed=0)
    assert made.tensors[0].device.type == "cpu"
    object.__setattr__(made, "device", "gpu")
    return made


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_what_mixes_in_float16_keeps_a_tolerance_of_less_than_a_level(layout, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    made = all_pairs_in_halves(layout)
    found = torch_peers.contestants(made) | library_peers.contestants(made)[0]
    for name, contestant in found.items():
        if name != "torch.compile" and not contestant.cut:
            assert torch_peers.peers_tolerance(made.output, contestant) < 1 / 58.4
            for _ in range(20):
                torch_peers.check(name, made, contestant, step=0)


def test_the_graph_for_a_gpu_runs_whole_when_compiled():
    """What is compiled for a GPU differs from what is for a CPU; here it runs on the CPU."""
    made = case(Output("float16"))
    batches = torch_peers.Batches(made)
    object.__setattr__(made, "device", "gpu")
    mix = torch_peers.compiled(batches)
    labels = torch.tensor([2, 0, 1]), torch.tensor([0.25, 0.9, 0.6])
    whole = batches.contestant(lambda images: (mix(images, *labels), labels), torch_peers._arrays)
    torch_peers.check("whole", made, whole, step=0)


def blocked(name, monkeypatch):
    """As if the library were not installed."""
    monkeypatch.delitem(sys.modules, PEERS.get(name, name), raising=False)
    monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("library", PEERS)
def test_a_missing_library_has_a_row_that_says_why(library, monkeypatch):
    blocked(library, monkeypatch)
    found, missing = library_peers.contestants(case())
    # What is not there: the library, or one that it needs in turn.
    why = missing[library]
    assert why.startswith("cannot be imported (") and (library in why or "No module named" in why)
    assert not [name for name in found if name.startswith(library)]


def test_without_torch_one_row_says_so(monkeypatch):
    blocked("torch", monkeypatch)
    assert operators.peers(case()) == ({}, {"torch and what needs it": "PyTorch is not installed"})


def test_a_peer_that_fails_has_a_row_that_says_why(monkeypatch):
    def fail():
        raise RuntimeError("no odd batch\nmore")

    made = torch_peers.contestants(case())["torch eager"]
    monkeypatch.setattr(
        library_peers, "contestants", lambda _: ({"x": made._replace(run=fail)}, {})
    )
    found, missing = operators.peers(case())
    assert missing == {"x": "fails (no odd batch)"} and "torch eager" in found and "x" not in found


@pytest.mark.parametrize("threads", [1, 2])
def test_the_copy_moves_as_many_bytes_as_mixing(threads, monkeypatch):
    moved = []
    copy = np.copyto
    monkeypatch.setattr(np, "copyto", lambda to, of: (moved.append(of.nbytes), copy(to, of)))
    made = measured.make_case((3, 31, 47), Output("float16"), threads=threads, seed=0)
    measured.copying(made)()
    assert len(moved) == threads and 2 * sum(moved) == 3 * 31 * 47 * 3 * (1 + 1 + 2)


@pytest.mark.gpu
def test_every_contestant_mixes_as_it_says_on_a_gpu():
    for output in FORMATS:
        made = case(output, count=4, device="gpu")
        found, missing = operators.peers(made)
        assert "timm FastCollateMixup elem" in missing or "timm" in missing
        assert graphs.contestants(made, methods=False).keys() == DALI and "torch eager" in found


@pytest.mark.gpu
def test_kernels_and_copies_of_a_gpu_are_seen():
    there, here = torch.zeros(1 << 20, device="cuda"), torch.ones(1 << 20).pin_memory()
    found = device.kernels(lambda: there.copy_(here).add_(1), torch.cuda.synchronize)
    assert "missing" in found or (found["kernels"], found["copies"]) == (1, 1)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", ["torch eager", "torch.compile"])
def test_a_batch_is_mixed_without_waiting_for_the_gpu(name):
    run = torch_peers.contestants(case(Output("float16"), count=4, device="gpu"))[name].run
    for _ in range(3):  # compile, and fill the caches of memory
        run()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")

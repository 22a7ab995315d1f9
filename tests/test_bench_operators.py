"""bench/operators.py: everything that mixes is checked, and what is missing has a row."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import (  # noqa: E402
    library_peers,
    operators,
    operators_dali,
    operators_methods,
    operators_parts,
    torch_peers,
)
from bench.floor import floor  # noqa: E402
from bench.operators_case import Contestant, make_case, memory_needed  # noqa: E402
from bench.operators_check import verify  # noqa: E402
from bench.operators_device import device  # noqa: E402
from bench.peers_import import peer  # noqa: E402
from dali_mix.methods import METHODS  # noqa: E402

# Of the libraries, when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OURS = {"dali_mix mixup", "dali_mix cutmix", "dali_mix unmixed"}
STOCK = {"DALI stock, then cmn", "cmn, then DALI stock", "DALI stock CutMix, then cmn"}
PEERS = {
    "timm": "timm.data",
    "torchvision": "torchvision.transforms.v2",
    "kornia": "kornia.augmentation",
}
FORMATS = [(d, layout) for d in ("float32", "float16", "uint8") for layout in ("CHW", "HWC")]


def case(dtype="float32", layout="CHW", count=3, seed=5):
    kind = {"dtype": dtype, "layout": layout, "threads": 1, "seed": seed}
    return make_case(count, 32, 48, **kind)


def importable(module):
    found, why = peer(module)
    if found is None:
        pytest.skip(why)


def verified(made, contestants):
    """Names of those that mix the first two batches as they say."""
    for name, contestant in contestants.items():
        for images in made.batches[:2]:
            output = contestant.run()
            if contestant.read is not None:
                try:
                    verify(made, images, contestant, contestant.read(output))
                except AssertionError as error:
                    raise AssertionError(f"{name}: {error}") from error
    return set(contestants)


@pytest.mark.parametrize(("dtype", "layout"), FORMATS)
@pytest.mark.parametrize("count", [1, 3])
def test_every_graph_mixes_as_it_says(dtype, layout, count):
    made = case(dtype, layout, count)
    assert verified(made, operators_dali.contestants(made)) == {"feed", "cmn"} | OURS | STOCK


@pytest.mark.parametrize(("dtype", "layout"), FORMATS)
def test_every_part_that_mixes_does_so_as_it_says(dtype, layout):
    made = case(dtype, layout)
    parts = operators_parts.contestants(made)
    verified(made, parts)
    assert [name for name, part in parts.items() if part.read] == [
        "dali_mix unmixed, not mirrored",
        "dali_mix mixup, not mirrored",
    ]
    assert np.asarray(parts["dali_mix one pixel"].run()[0].as_cpu()[0]).size == 3


@pytest.mark.parametrize(("dtype", "layout"), FORMATS)
@pytest.mark.parametrize("count", [1, 5])
def test_every_method_mixes_as_it_says(dtype, layout, count):
    made = case(dtype, layout, count)
    names = verified(made, operators_methods.contestants(made))
    listed = {kind.name for kind in METHODS} - {"mixup", "cutmix"}
    assert {name.split()[1] for name in names} == listed


@pytest.mark.parametrize(("dtype", "layout"), FORMATS)
def test_torch_mixes_as_it_says(dtype, layout):
    made = case(dtype, layout)
    assert verified(made, torch_peers.contestants(made)) == {"torch eager", "torch.compile"}


@pytest.mark.parametrize(("dtype", "layout"), FORMATS)
@pytest.mark.parametrize(("library", "module"), PEERS.items())
def test_libraries_mix_as_they_say(library, module, dtype, layout):
    importable(module)
    made = case(dtype, layout, count=4)
    found, missing = library_peers.contestants(made)
    assert library not in missing
    assert verified(made, {name: c for name, c in found.items() if name.startswith(library)})


def reported(**changed):
    """A contestant that mixes right, but says something else."""
    made = case()
    contestant = operators_dali.contestants(made)["dali_mix mixup"]
    mixed = contestant.read(contestant.run())
    verify(made, made.batches[0], contestant, mixed)
    lied = {name: change(getattr(mixed, name)) for name, change in changed.items()}
    verify(made, made.batches[0], contestant, mixed._replace(**lied))


@pytest.mark.parametrize("changed", [
    {"lam": lambda lam: lam + 1e-3},
    {"partner": lambda partner: np.roll(partner, 1)},
    {"mirror": lambda mirror: 1 - mirror},
    {"x": lambda x: x + 1e-4},
    {"cut": lambda cut: True},
])  # fmt: skip
def test_a_wrong_report_is_found(changed):
    with pytest.raises(AssertionError):
        reported(**changed)


def test_a_box_with_another_lam_is_found():
    made = case()
    contestant = operators_dali.contestants(made)["dali_mix cutmix"]
    mixed = contestant.read(contestant.run())
    with pytest.raises(AssertionError):
        verify(made, made.batches[0], contestant, mixed._replace(lam=mixed.lam - 1 / (32 * 48)))


@pytest.mark.parametrize("name", ["gridmix", "smoothmix", "multimix", "resizemix", "ricap"])
def test_a_method_with_another_lam_is_found(name):
    made = case(count=5)
    contestant = operators_methods.contestants(made)[f"dali_mix {name}"]
    mixed = contestant.read(contestant.run())
    verify(made, made.batches[0], contestant, mixed)
    with pytest.raises(AssertionError):
        verify(made, made.batches[0], contestant, mixed._replace(lam=mixed.lam - 0.01))


def test_the_graph_for_a_gpu_runs_whole_when_compiled():
    """What is compiled for a GPU differs from what is for a CPU; here it runs on the CPU."""
    made = case("float16")
    batches = torch_peers.Batches(made)
    object.__setattr__(made, "device", "gpu")
    mix = torch_peers._compiled(batches)
    partner, lam = np.array([2, 0, 1]), np.float32([0.25, 0.9, 0.6])
    x = mix(batches.images[0], *map(torch_peers.torch.from_numpy, (partner, lam)))
    mixed = torch_peers.Mixed(x.numpy(), partner, lam)
    verify(made, made.batches[0], Contestant(mix), mixed)


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


def test_a_peer_that_fails_has_a_row_that_says_why():
    importable("timm.data")
    found, missing = operators.peers(case(count=3))
    assert missing["timm Mixup elem"] == "fails (Batch size should be even when using this)"
    assert "timm Mixup elem" not in found and "torch eager" in found


def test_what_does_not_fit_into_memory_is_left_out_with_the_reason():
    where = device("cpu")
    key = {"batch": 10**6, "size": 4096, "dtype": "float32", "layout": "CHW"}
    found = operators.run(key, where, None)
    assert memory_needed(10**6, 4096, 4096) > where.free_memory()
    assert memory_needed(1024, 224, 224) > 23.9e9  # at which Linux ended the process
    assert found["results"] == {} and "GB are free" in found["missing"]["all"]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_floor_writes_every_line_of_every_sample(threads):
    images = list(np.random.default_rng(0).integers(1, 256, (3, 31, 47, 3), np.uint8))
    run = floor([images], 2 * images[0].nbytes, threads)
    run.memory[:] = 0
    run()
    lines = run.memory[run.memory.nonzero()[0][0] :][: 3 * 8768].reshape(3, 137, 64)  # 8,742 bytes
    assert lines[:, :136].any(-1).all() and not lines[:, 136].any()


@pytest.mark.gpu
def test_every_contestant_mixes_as_it_says_on_a_gpu():
    for dtype, layout in FORMATS:
        made = make_case(4, 32, 48, dtype=dtype, layout=layout, threads=1, seed=5, device="gpu")
        found, missing = operators.peers(made)
        assert "timm FastCollateMixup elem" in missing or "timm" in missing
        operators.check(made, found)
        assert verified(made, operators_dali.contestants(made)) == {"feed", "cmn"} | OURS | STOCK


def test_a_sweep_takes_lines_of_batches_and_of_sizes():
    options = type("Options", (), {"sweep": True, "dtype": ["uint8"], "layout": ["HWC"]})
    options.batch, options.size = [128], [224]
    found = list(operators.keys(options))
    assert {key["batch"] for key in found if key["size"] == 224} == set(operators.BATCHES)
    assert {key["size"] for key in found if key["batch"] == 64} == set(operators.SIZES)
    assert len({tuple(key.values()) for key in found}) == len(found)


@pytest.mark.parametrize(("word", "count"), [("methods", 8), ("parts", 7)])
def test_methods_or_parts_are_measured_in_the_place_of_peers(
    monkeypatch, capsys, tmp_path, word, count
):
    words = f"--{word} --batch 4 --size 32 --dtype uint8 --layout HWC --rounds 1 --out".split()
    monkeypatch.setattr(sys, "argv", ["operators.py", *words, str(tmp_path / "run.json")])
    monkeypatch.setattr(operators.harness, "keep_freed_memory", lambda: None)
    operators.main()
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["benchmark"] == f"operators {word}" and not run["cases"][0]["missing"]
    assert run["complete"]
    rows = [name for name in run["cases"][0]["results"] if name.startswith("dali_mix")]
    assert len(rows) == 3 + count
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in rows)


def test_a_run_that_is_stopped_has_written_the_cases_before(monkeypatch, tmp_path):
    small = "--no-peers --batch 4 --size 32 --dtype uint8 float16 --layout HWC --rounds 1 --out"
    monkeypatch.setattr(sys, "argv", ["operators.py", *small.split(), str(tmp_path / "run.json")])
    monkeypatch.setattr(operators.harness, "keep_freed_memory", lambda: None)
    measure = operators.measure

    def failing(case, *rest):
        if case.dtype == "float16":
            raise KeyboardInterrupt
        return measure(case, *rest)

    monkeypatch.setattr(operators, "measure", failing)
    with pytest.raises(KeyboardInterrupt):
        operators.main()
    run = json.loads((tmp_path / "run.json").read_text())
    assert [case["dtype"] for case in run["cases"]] == ["uint8"] and not run["complete"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--batch", "0"], "argument --batch: must be an integer of at least 1, got 0"),
        (["--device", "gpu"], "--device gpu needs a GPU that torch can use, and there is none"),
        (["--sweep", "--size", "32"], "--sweep chooses batches and sizes itself, give no --batch "
                                      "and no --size"),
        (["--parts", "--methods"], "argument --methods: not allowed with argument --parts"),
        (["--parts", "--device", "gpu"], "--parts takes the CPU's time apart, give no --device"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["operators.py", *arguments])
    monkeypatch.setattr(torch_peers.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        operators.main()
    assert capsys.readouterr().err == f"operators.py: {sentence}. Try --help.\n"

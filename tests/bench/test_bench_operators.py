"""bench.operators: what a run records, its tables, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


from bench.operators import __main__ as operators  # noqa: E402
from bench.operators import device, rows, widths  # noqa: E402
from bench.report import sections  # noqa: E402
from dali_mix.measure import operators as measured  # noqa: E402
from dali_mix.measure.graphs import GRAPHS  # noqa: E402
from dali_mix.measure.outputs import UNMIXED, Output  # noqa: E402

# Of the libraries, when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]
DALI = {"feed", measured.COPY, "dali_mix unmixed", "DALI stock CutMix, then cmn", *GRAPHS}


def ran(monkeypatch, out, *words):
    monkeypatch.setattr(operators.timing, "keep_freed_memory", lambda: None)
    small = "--batch 4 --size 32 --threads 1 --rounds 1 --layout HWC"
    operators.main([*words, *small.split(), "--out", str(out)])
    return json.loads(out.read_text())


def test_a_run_records_every_contestant_and_where_it_comes_from(monkeypatch, tmp_path, capsys):
    run = ran(monkeypatch, tmp_path / "run.json", "--methods", "--dtype", "uint8")
    assert run["benchmark"] == "operators methods" and run["complete"]
    wanted = {"date", "command", "commit", "cpu", "threads", "device", "gpu", "environment"}
    assert wanted <= run["provenance"].keys()
    assert {"timm", "torchvision", "kornia"} <= run["provenance"]["packages"].keys()
    (found,) = run["cases"]
    assert found["results"].keys() > DALI and not found["missing"]
    assert all(len(result["wall"]["seconds"]) == 1 for result in found["results"].values())
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in found["results"])


def test_a_run_that_is_stopped_has_written_the_cases_before(monkeypatch, tmp_path):
    measure = operators.measure

    def failing(case, options):
        if case.output.dtype == "float16":
            raise KeyboardInterrupt
        return measure(case, options)

    monkeypatch.setattr(operators, "measure", failing)
    with pytest.raises(KeyboardInterrupt):
        ran(monkeypatch, tmp_path / "run.json", "--no-peers", "--dtype", "uint8", "float16")
    run = json.loads((tmp_path / "run.json").read_text())
    assert [case["dtype"] for case in run["cases"]] == ["uint8"] * 2 and not run["complete"]


def test_dali_runs_in_both_executors_on_the_cpu_and_the_others_once():
    keys = list(operators.keys(operators.parsed(["--dtype", "uint8", "--layout", "HWC"])))
    assert [key["executor"] for key in keys] == ["default", "synchronous"]
    options = operators.parsed(["--rounds", "1", "--threads", "1"])
    shape, output = (2, 32, 48), Output("float32")
    found = {
        executor: operators.measure(
            measured.make_case(shape, output, threads=1, seed=5, executor=executor), options
        )
        for executor in ("default", "synchronous")
    }
    assert found["default"]["results"].keys() > found["synchronous"]["results"].keys() == DALI
    assert (
        "torch eager" not in found["synchronous"]["results"]
        and "torch eager" in (found["default"]["results"])
    )


NO_DALI = """
import sys
sys.modules["nvidia"] = None
from bench.operators import __main__ as operators
sys.argv[1:1] = "--no-dali --batch 4 --size 32 --threads 1 --rounds 1 --layout CHW".split()
operators.main()
"""


def test_without_dali_the_peers_are_measured_beside_the_copy(tmp_path):
    out = tmp_path / "run.json"
    command = [sys.executable, "-c", NO_DALI, "--dtype", "float32", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    run = json.loads(out.read_text())
    (found,) = run["cases"]
    assert list(found["results"])[:3] == [measured.COPY, "torch eager", "torch.compile"]
    assert f"x speed of {measured.COPY}" in done.stdout
    assert "torch eager" in "".join(sections.operators(run)[0])


def pixel_times(costs):
    """Results of the widths, 1 ms of feed among them, from the cost of a pixel at each width."""
    results = {"feed": timed(1e-3)}
    for method in widths.METHODS:
        for width in widths.WIDTHS:
            results[f"{method} {width}"] = timed(1e-3 + costs.get(width, 1.0) * width * 1e-5)
    return {"results": results, "dtype": "uint8", "layout": "HWC", "mirrored": True}


def test_a_pixel_is_told_as_a_multiple_of_that_at_the_nearest_multiple_of_64():
    table = widths.table([pixel_times({96: 3.0, 128: 2.0, 299: 1.5})])
    told = {int(width): figure for width, figure, _ in table.rows}
    assert told.keys() == {*range(96, 513, 16), 299}
    assert (told[96], told[112], told[128], told[144]) == ("1.50", "0.50", "1.00", "0.50")
    assert (told[299], told[320], told[512]) == ("1.50", "1.00", "1.00")
    assert table.head == ["uint8 HWC mirrored, mixup", "uint8 HWC mirrored, cutmix"]


def test_widths_are_measured_mirrored_and_not(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(widths, "WIDTHS", [64, 80])
    monkeypatch.setattr(widths, "BATCH", 2)
    monkeypatch.setattr(widths, "HEIGHT", 8)
    monkeypatch.setattr(operators.timing, "keep_freed_memory", lambda: None)
    out = tmp_path / "run.json"
    operators.main(["--widths", "--dtype", "uint8", "--rounds", "1", "--out", str(out)])
    run = json.loads(out.read_text())
    assert run["benchmark"] == "operators widths" and run["complete"]
    assert [(case["layout"], case["mirrored"]) for case in run["cases"]] == [
        ("CHW", False), ("CHW", True), ("HWC", False), ("HWC", True)
    ]  # fmt: skip
    assert capsys.readouterr().out.count("\n80 ") == 4
    assert "uint8 HWC mirrored, cutmix" in sections.by_width(run)[0][1]


def timed(*seconds):
    return {
        "wall": {
            "seconds": [*seconds],
            "summary": dict.fromkeys(("median", "q1", "q3"), seconds[0]),
        }
    }


def test_the_feed_is_taken_off_what_contains_it():
    results = {
        "feed": timed(0.1),
        UNMIXED: timed(4.0),
        "dali_mix mixup": timed(2.0),
        "timm": timed(2.0),
    }
    table = rows.table({"results": results, "missing": {"kornia": "is not there"}})
    assert [row[2:] for row in table.rows[2:4]] == [["2.00", "2.05"], ["2.00", "-"]]
    assert table.rows[4] == ["kornia", "missing: is not there"]


def test_a_table_of_a_gpu_shows_kernels_and_rates_or_why_not():
    seen = {"kernels": 1, "copies": 2, "seconds": 1e-3}
    times = {"feed": 0.1, UNMIXED: 4.0, "dali_mix mixup": 2e-3}
    more = {"bytes": 4 * 10**9, "kernels": {"missing": "unseen"}}
    results = {name: timed(seconds) | more for name, seconds in times.items()}
    results["dali_mix mixup"]["kernels"] = seen
    told = rows.table({"results": results, "missing": {}}).rows
    assert told[2] == [
        "dali_mix mixup",
        "2.000 (2.000-2.000)",
        "2000.00",
        "-39.80",
        "2000",
        "1",
        "2",
        "1.000",
    ]
    assert told[1][4:] == ["1", "unseen", "", ""]


class Seen:
    """An event of the profiler, with no more than every release of torch tells of it."""

    def __init__(self, device, name, ns):
        self.device_type = lambda: device
        self.name = lambda: name
        self.duration_ns = lambda: ns


def test_kernels_and_copies_are_counted_apart():
    cpu, cuda = torch.autograd.DeviceType.CPU, torch.autograd.DeviceType.CUDA
    found = device.counted([
        Seen(cuda, "void dali_mix::MixInline<...>(dali_mix::InlineBatch)", 500),
        Seen(cuda, "Memcpy HtoD (Pageable -> Device)", 7),
        Seen(cuda, "Memset (Device)", 4),
        Seen(cpu, "cudaLaunchKernel", 9),
    ])  # fmt: skip
    assert found == {"kernels": 1, "copies": 2, "seconds": pytest.approx(5.11e-7)}
    assert "recorded nothing" in device.counted([Seen(cpu, "cudaMemcpyAsync", 9)])["missing"]


def test_without_a_gpu_kernels_are_reported_missing():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert "sees no GPU" in device.kernels(lambda: None, lambda: None)["missing"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--batch", "0"], "argument --batch: must be an integer of at least 1, got 0"),
        (["--device", "gpu"], "--device gpu needs a GPU that torch can use, and there is none"),
        (["--widths", "--methods"], "argument --methods: not allowed with argument --widths"),
        (["--widths", "--batch", "2"], "--widths chooses batches and sizes itself, give no --batch "
                                       "and no --size"),
        (["--out", "run.txt"], "argument --out: must end in .json, got run.txt"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        operators.main(arguments)
    assert capsys.readouterr().err == f"python -m bench.operators: {sentence}. Try --help.\n"


def test_the_file_of_an_old_run_is_kept(tmp_path, capsys):
    old = tmp_path / "run.json"
    old.touch()
    with pytest.raises(SystemExit, match="2"):
        operators.main(["--out", str(old)])
    told = f"argument --out: {old} exists; name a new file, old runs are kept. Try --help.\n"
    assert capsys.readouterr().err == f"python -m bench.operators: {told}"

"""The sections of the report on bench/operators.py, of a real run and of made-up ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import report, report_profile  # noqa: E402

PROGRAM = ROOT / "bench" / "operators.py"
DALI = {
    "feed",
    "cmn",
    "dali_mix mixup",
    "dali_mix cutmix",
    "dali_mix unmixed",
    "DALI stock, then cmn",
    "cmn, then DALI stock",
    "DALI stock CutMix, then cmn",
}


def program(*arguments):
    command = [sys.executable, PROGRAM, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "operators.json"
    small = ("--batch", "3", "4", "--size", "32", "--dtype", "float32", "--layout", "HWC")
    done = program(*small, "--threads", "1", "--rounds", "2", "--no-peers", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "batch 4, 32 x 32, float32 HWC" in done.stdout
    return json.loads(out.read_text())


def test_a_run_records_where_it_comes_from(record):
    assert record["benchmark"] == "operators"
    assert {"date", "command", "commit", "cpu", "threads", "gpu"} <= record["provenance"].keys()
    assert {"timm", "torchvision", "kornia"} <= record["provenance"]["packages"].keys()


def test_a_run_records_every_round_of_every_contestant(record):
    assert [case["batch"] for case in record["cases"]] == [3, 4]
    for measured in record["cases"]:
        assert measured["results"].keys() == {"floor"} | DALI
        for result in measured["results"].values():
            assert len(result["wall"]["seconds"]) == 2


def test_the_report_shows_the_run(record):
    text, charts = report.operators("here", record)
    assert "**float32 HWC, batch 4, 32 x 32 x 3**" in text and "| dali_mix cutmix | " in text
    assert set(charts) == {"here.svg"}


def test_a_run_of_all_methods_says_so(record):
    text, _ = report.operators("here", record | {"benchmark": "operators methods"})
    assert text.startswith("## Every method on a CPU\n") and "kornia" not in text


def test_the_time_is_taken_apart_by_differences():
    rows = {"plan": 0.25, "one pixel": 0.5, "unmixed, not mirrored": 1.5, "mixup": 4.0}
    rows |= {"mixup, not mirrored": 3.0, "mixup, cached, not mirrored": 0.75, "mixup, cached": 1.25}
    rows["one pixel, cached"] = 0.25
    made = synthetic({f"dali_mix {name}": seconds for name, seconds in rows.items()})
    text, charts = report_profile.profile("here", {"cases": [made]})
    figures = "100.00 | 150.00 | 250.00 | 1000.00 | 1500.00 | 1000.00 | 4000.00 | 500.00 | 500.00"
    assert text.endswith(f"| float32 CHW, batch 64, 224 x 224 x 3 | {figures} | 500.00 |\n")
    assert not charts


def clocked(seconds, clock):
    result = {"seconds": [seconds] * 3, "summary": dict.fromkeys(("median", "q1", "q3"), seconds)}
    return {clock: result | {"ratio": dict.fromkeys(("median", "q1", "q3"), seconds / 4)}}


def synthetic(seconds, clock="wall", **key):
    """A case with given times of its contestants, in seconds."""
    key = {"batch": 64, "size": 224, "dtype": "float32", "layout": "CHW"} | key
    times = {"floor": 0.5, "feed": 0.1, "cmn": 4.0} | seconds
    results = {name: clocked(value, clock) for name, value in times.items()}
    return key | {"results": results, "missing": {}}


def test_the_feed_is_taken_off_what_contains_it():
    run = {"benchmark": "operators", "cases": [synthetic({"dali_mix mixup": 2.0, "timm": 2.0})]}
    text, _ = report.operators("here", run)
    rows = {row.split(" | ")[0]: row.split(" | ")[2:] for row in text.splitlines()}
    assert rows["| dali_mix mixup"] == ["2.00", "2.05", "4.00", "3.80 |"]
    assert rows["| timm"] == ["2.00", "-", "4.00", "- |"]


def swept(gpu=None):
    base = {"dali_mix mixup": 2.0, "dali_mix cutmix": 1.0, "timm CutMix elem": 1.5}
    base = {**base, "torch.compile": 3.0, "torch eager": 5.0}
    clock = "device" if gpu else "wall"
    cases = [synthetic(base | {"torch.compile": b}, clock, batch=b) for b in (1, 4, 64)]
    cases.append(synthetic(base, clock, size=32))
    cases.append(synthetic(base | {"dali_mix mixup": 4.4}, clock, size=512))
    full = {"batch": 1024, "size": 512, "dtype": "float32", "layout": "CHW", "results": {}}
    cases.append(full | {"missing": {"all": "would take 99.0 GB, and 1.0 GB are free"}})
    return {"provenance": {"threads": 1, "gpu": gpu}, "cases": cases}


@pytest.mark.parametrize(("gpu", "place"), [(None, "a CPU, 1 thread"), ("H200", "a GPU")])
def test_a_sweep_shows_the_fastest_other_way_where_we_lose_and_what_is_left_out(gpu, place):
    text, charts = report.sweep("there", swept(gpu))
    assert text.startswith(f"## The operator over batch and image sizes, on {place}\n")
    assert set(charts) == {"there-batch.svg", "there-size.svg"}
    assert (
        "| float32 CHW | mixup: fastest other | torch.compile **0.50** | torch.compile 2.00 |"
        in text
    )
    assert "| float32 CHW | cutmix: fastest other | timm CutMix elem 1.50 |" in text
    assert "Faster than dali_mix: torch.compile in 0.50 of the time (batch 1, 224 x 224" in text
    assert "Slower than `cmn`, which does not mix: mixup 1.10 (batch 64, 512 x 512" in text
    assert "Left out at batch 1024, 512 x 512 (float32 CHW): all: would take 99.0 GB" in text


def test_a_run_on_a_gpu_shows_kernels_and_rates_or_why_not():
    measured = synthetic({"dali_mix mixup": 2e-3}, "device")
    for result in measured["results"].values():
        result |= {"bytes": 4 * 10**9, "kernels": {"missing": "unseen"}}
    seen = {"kernels": 1, "copies": 2, "seconds": 1e-3}
    measured["results"]["dali_mix mixup"]["kernels"] = seen
    text, charts = report.operators_gpu("gpu", {"benchmark": "operators gpu", "cases": [measured]})
    assert (
        "| dali_mix mixup | 2.000 (2.000-2.000) | 2000.00 | 2000 | 1 | 2 | 1.000 | 4000 |" in text
    )
    assert "| cmn | 4000.000 (4000.000-4000.000) | 1.00 | 1 | unseen |" in text
    assert set(charts) == {"gpu.svg"}

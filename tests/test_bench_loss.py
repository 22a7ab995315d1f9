"""bench/loss.py, and with it dali_mix/_harness.py: what a run writes, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "bench" / "loss.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "new" / "loss.json"
    small = ("--classes", "3", "5", "--batch", "4", "--rounds", "3", "--threads", "1")
    done = run(*small, "--out", out)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_a_run_records_where_it_comes_from(record):
    wanted = {"date", "command", "commit", "dirty", "cpu", "cores", "os", "python", "packages"}
    assert wanted | {"threads", "device"} <= record["provenance"].keys()


def test_a_run_records_every_round_of_every_contestant(record):
    assert [size["classes"] for size in record["sizes"]] == [3, 5]
    for size in record["sizes"]:
        assert {"twice and blended", "dense soft target", "MixLoss"} < size["results"].keys()
        assert all(len(result["wall"]["seconds"]) == 3 for result in size["results"].values())


def test_ratios_are_taken_within_each_round(record):
    results = record["sizes"][0]["results"]
    mixed, once = (results[name]["wall"] for name in ("MixLoss", "cross-entropy once"))
    ratios = sorted(a / b for a, b in zip(mixed["seconds"], once["seconds"], strict=True))
    assert mixed["ratio"]["median"] == pytest.approx(ratios[1])


def test_peak_memory_counts_at_least_the_gradient(record):
    for size in record["sizes"]:
        assert all(r["peak_bytes"] >= size["logits_bytes"] for r in size["results"].values())


def test_an_old_result_is_never_overwritten(tmp_path):
    old = tmp_path / "old.json"
    old.write_text("old")
    done = run("--out", old)
    assert done.returncode == 2
    assert "exists; name a new file" in done.stderr
    assert old.read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--batch", "0"], "argument --batch: must be an integer of at least 1, got 0"),
        (["--out", "loss.txt"], "argument --out: must end in .json, got loss.txt"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr == f"loss.py: {sentence}. Try --help.\n"

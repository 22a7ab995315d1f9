"""bench/kernel_times.py and its section of the report, of a made-up file."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import kernel_times, report

CASE = {"batch": 256, "side": 224, "dtype": "float16", "layout": "CHW", "mix": "mixup"}
CASE |= {
    "mirror": False,
    "order": "batch",
    "ms": 0.05,
    "copy_ms": 0.04,
    "bytes": 2e8,
    "launch_ms": 0.06,
}
CASES = [
    CASE,
    CASE | {"order": "chain", "ms": 0.04},
    CASE | {"mix": "cutmix", "mirror": True},
    CASE | {"side": 32, "ms": 0.01},
]


def listed(cases):
    """As the driver writes them."""
    return "[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n"


@pytest.fixture
def record(tmp_path, monkeypatch):
    """By the text that the driver wrote."""

    def wrapped(text):
        (tmp_path / "cases.json").write_text(text)
        out = tmp_path / "kernel-times.json"
        arguments = [str(tmp_path / "cases.json"), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["kernel_times.py", *arguments])
        kernel_times.main()
        return json.loads(out.read_text())

    return wrapped


def test_the_times_get_their_provenance(record):
    run = record(listed(CASES))
    assert (run["benchmark"], run["cases"], run["complete"]) == ("kernel-times", CASES, True)
    assert {"commit", "gpu", "date"} <= run["provenance"].keys()


def test_of_a_list_that_was_cut_off_the_whole_cases_are_kept(record):
    run = record(listed(CASES)[:-120])
    assert (run["cases"], run["complete"]) == (CASES[:3], False)


@pytest.mark.parametrize("text", ["", "[", '[\n{"batch": 2'])
def test_a_list_may_be_cut_off_before_its_first_case(text):
    assert kernel_times.read(text) == ([], False)


def test_the_report_shows_each_order(record):
    run = record(listed(CASES))
    text = report.generate({"kernel-times": run})["README.md"]
    assert "| ms, batch | launched, batch | GB/s, batch | of the copy, batch | ms, chain |" in text
    first = "0.0500 | 0.0600 | 4,000 | 0.80 | 0.0400 | 0.0600 | 5,000 | 1.00"
    assert (
        "**Batch 256, 224 x 224 x 3**\n\n|  | ms, batch" in text
        and f"| float16 CHW, mixup | {first} |" in text
    )
    assert (
        "| float16 CHW, cutmix, mirrored | 0.0500 | 0.0600 | 4,000 | 0.80 | - | - | - | - |" in text
    )
    assert (
        "**Batch 256, 32 x 32 x 3**" in text and "| 0.0100 | 0.0600 | 20,000 | 4.00 | - |" in text
    )


def test_the_report_says_that_a_run_was_stopped(record):
    text = report.generate({"kernel-times": record(listed(CASES)[:-3])})["README.md"]
    assert "; stopped before its last case" in text

"""bench.demo: it keeps what the demo found, and the report tells it."""

import json

import pytest

pytest.importorskip("matplotlib")

from bench.demo import __main__ as demo
from bench.report import __main__ as report
from bench.report import summary

FOUND = [
    {"mixing": name, "accuracy": accuracy, "wrong_labels_learnt": learnt, "nll": nll, "seeds": 5}
    for name, accuracy, learnt, nll in [("none", 0.61, 0.97, 1.5), ("mixup", 0.93, 0.042, 0.7)]
]
PROGRAM = """import json, pathlib
pathlib.Path("demo").mkdir()
pathlib.Path("demo/results.json").write_text(json.dumps({found}))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A record of a program that writes what `make demo` writes."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/demo.py").write_text(PROGRAM.format(found=FOUND))
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    demo.main(["--out", str(tmp_path / "run.json")])
    return json.loads((tmp_path / "run.json").read_text())


def test_a_run_is_what_the_program_wrote_with_where_it_was_made(run):
    assert run["benchmark"] == "demo" and run["complete"] and run["results"] == FOUND
    assert {"date", "cpu", "commit", "packages"} <= run["provenance"].keys()
    assert "scikit-learn" in run["provenance"]["packages"]


def test_a_program_that_fails_leaves_no_run(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/demo.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    with pytest.raises(demo.subprocess.CalledProcessError):
        demo.main(["--out", str(tmp_path / "run.json")])
    assert not (tmp_path / "run.json").exists()


def test_readme_and_report_tell_its_figures(run):
    (told, unmeasured) = summary.figures({"demo-here": run})
    assert "97.0 % of the wrong ones by heart, and with mixup 4.2 %" in told
    assert "rises from 61.0 % to 93.0 %" in told and "GPU" in unmeasured
    assert "| mixup | 93.0 | 4.2 | 0.70 |" in report.generate({"demo-here": run})["README.md"]

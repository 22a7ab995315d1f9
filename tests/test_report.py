"""bench/README.md and its charts are what bench/report.py makes of bench/results, no more."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

BENCH = Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH.parent))

from bench import report, report_speed  # noqa: E402


@pytest.fixture(scope="module")
def runs():
    return report.load(BENCH / "results")


@pytest.fixture(scope="module")
def generated(runs):
    return report.generate(runs)


def test_the_committed_report_is_the_generated_one(generated):
    for name, text in generated.items():
        assert (BENCH / name).read_text() == text, f"run `python bench/report.py`: {name} is stale"


def test_the_readme_tells_the_newest_runs(runs):
    text = (BENCH.parent / "README.md").read_text()
    assert report.in_readme(text, runs) == text, "run `python bench/report.py`: README.md is stale"


def test_no_chart_is_left_over(generated):
    assert {path.name for path in BENCH.glob("*.svg")} == {n for n in generated if n != "README.md"}


def test_a_changed_figure_changes_the_report(runs):
    name = next(name for name, run in runs.items() if run["benchmark"] == "operators")
    before = {name: runs[name]}
    changed = json.loads(json.dumps(before))
    for result in changed[name]["cases"][0]["results"].values():
        result["wall"]["seconds"] = [9 * second for second in result["wall"]["seconds"]]
        result["wall"]["summary"] = report_summary(result["wall"]["seconds"])
    assert report.generate(before)["README.md"] != report.generate(changed)["README.md"]


def report_summary(seconds):
    ordered = sorted(seconds)
    return {"median": ordered[len(ordered) // 2], "q1": ordered[0], "q3": ordered[-1]}


def test_the_readme_takes_the_newest_run_and_nothing_around_it(runs):
    everything = set(report_speed.AGAINST)
    shown = next(
        run
        for run in runs.values()
        if run["benchmark"] == "pipeline" and everything <= set(report_speed.mixup_against(run))
    )
    newer, older = (json.loads(json.dumps(shown)) for _ in range(2))
    for run, year, ratio in ((newer, "2999", 1.75), (older, "1999", 1.25)):
        run["provenance"]["date"] = f"{year}-01-01T00:00:00+00:00"
        for compared in run["comparisons"]:
            compared["speed"]["ratio"] = ratio
    text = f"before\n{report_speed.BEGIN}old\n{report_speed.END}after\n"
    made = report.in_readme(text, runs | {"newer": newer, "older": older})
    assert made.startswith("before\n") and made.endswith("after\n") and "old\n" not in made
    assert made.count("1.75 (") == 3 and "1.25 (" not in made


def test_a_pipeline_on_a_gpu_does_not_speak_for_the_cpu(runs):
    name, shown = next((name, run) for name, run in runs.items() if run["benchmark"] == "pipeline")
    assert shown["settings"]["device"] == "cpu"
    newer = json.loads(json.dumps(shown))
    newer["settings"]["device"] = "gpu"
    newer["provenance"]["date"] = "2999-01-01T00:00:00+00:00"
    for compared in newer["comparisons"]:
        compared["speed"]["ratio"] = 9.75
    assert report_speed.speed(runs | {"newer": newer}) == report_speed.speed(runs)
    assert "9.75 (" in report.generate({name: newer})["README.md"]


@pytest.mark.parametrize(
    ("commit", "dirty", "told"),
    [
        ("0123456789abcdef", False, "; commit 0123456789, 2"),
        ("0123456789abcdef", True, "; commit 0123456789 with local changes, 2"),
        ("0123456789abcdef", None, "; commit 0123456789, local changes unknown, 2"),
        (None, None, "; commit unknown, 2"),
        (None, False, "; commit unknown, 2"),
    ],
)
def test_the_report_says_of_which_commit_a_run_is(runs, commit, dirty, told):
    run = next(run for run in runs.values() if run["benchmark"] == "loss")
    where = run["provenance"] | {"commit": commit, "dirty": dirty}
    assert told in report.where("loss", run | {"provenance": where})

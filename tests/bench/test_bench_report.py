"""bench/README.md and its charts are what bench.report makes of bench/results, no more."""

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

BENCH = Path(__file__).resolve().parents[2] / "bench"

from bench.kernel import __main__ as kernel  # noqa: E402
from bench.operators.rows import UNMIXED  # noqa: E402
from bench.report import __main__ as report  # noqa: E402
from bench.report import sections, summary  # noqa: E402
from dali_mix.measure import record  # noqa: E402


@pytest.fixture(scope="module")
def runs():
    return report.load(BENCH / "results")


@pytest.fixture(scope="module")
def generated(runs):
    return report.generate(runs)


def test_the_committed_report_is_the_generated_one(generated):
    for name, text in generated.items():
        assert (BENCH / name).read_text() == text, f"run `python -m bench.report`: {name} is stale"
    assert {f"charts/{path.name}" for path in (BENCH / "charts").iterdir()} | {
        "README.md"
    } == generated.keys()


def test_the_readme_tells_the_newest_runs(runs):
    text = (BENCH.parent / "README.md").read_text()
    told = "run `python -m bench.report`: README.md is stale"
    assert summary.in_readme(text, runs) == text, told


def test_every_run_is_shown_and_the_page_begins_with_a_screen(runs, generated):
    page = generated["README.md"]
    for name in runs:
        assert page.count(f"`results/{name}.json`") == 1
    assert len(page.partition("<details>")[0].splitlines()) < 60
    assert page.count("<details>") == page.count("</details>")


def changed(runs, name, path, value):
    copy = json.loads(json.dumps(runs))
    place = copy[name]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("name", "show", "path"),
    [
        (
            "operators-epyc-2core",
            sections.operators,
            ["cases", 0, "results", UNMIXED, "wall", "summary", "median"],
        ),
        (
            "pipeline-photos-epyc-2core",
            sections.pipeline,
            ["comparisons", 0, "speed", "ratio"],
        ),
        (
            "loss-epyc-2core",
            sections.loss,
            ["sizes", 0, "results", "MixLoss", "peak_bytes"],
        ),
    ],
)
def test_a_changed_figure_changes_the_report(runs, generated, name, show, path):
    parts, chart = show(runs[name])
    assert all(part in generated["README.md"] for part in parts)
    assert chart == generated.get(f"charts/{name}.svg")
    told, _ = show(changed(runs, name, path, 9.75e3)[name])
    assert told != parts


def test_the_readme_says_how_many_times_faster_and_what_is_not_measured(runs):
    end_to_end, alone, *_, last = summary.figures(runs)
    assert (
        "95 % interval" in end_to_end and "times faster than PyTorch's `DataLoader`" in end_to_end
    )
    (run,) = summary.newest(runs, "operators", summary.has_cases)
    rows = [row.split("|") for row in summary.operators(run)[1].split("\n")]
    first = {row[1].strip(): row[2].strip() for row in rows if len(row) > 2}
    for way in ("torch eager", "DALI stock, then cmn", UNMIXED):
        assert f"{first[summary.WAYS[way]]} times faster" in alone
    assert ("on a GPU" in last) == (not summary.on_gpu(runs))
    measured = changed(runs, next(iter(runs)), ["provenance", "gpu"], "a GPU")
    assert "on a GPU" not in summary.figures(measured)[-1]


def test_the_readme_is_of_the_newest_run_that_has_what_is_told(runs):
    name = next(name for name, run in runs.items() if run["benchmark"] == "pipeline")
    newer = changed(runs, name, ["provenance", "date"], "2999-01-01")[name]
    for row in newer["comparisons"]:
        row["speed"]["ratio"] = 9.72
    assert "is 9.7 times faster" in "".join(summary.headlines(runs | {"newer": newer}))
    newer["settings"]["device"] = "gpu"
    assert summary.headlines(runs | {"newer": newer}) == summary.headlines(runs)


def test_the_page_begins_with_who_takes_less_cpu_time(runs):
    name = next(name for name, run in runs.items() if run["benchmark"] == "pipeline")
    rows = runs[name]["comparisons"]
    number = next(k for k, row in enumerate(rows) if row["contestant"] == summary.MIXUP)
    cpu = {"ratio": 1.23, "low": 1.12, "high": 1.34}
    dear = changed(runs, name, ["comparisons", number, "cpu"], cpu)
    told = f"more CPU time than {rows[number]['against']} (1.23 (1.12-1.34) times)"
    assert told in "".join(summary.headlines(dear))


def test_the_readme_tells_of_the_default_executor_where_it_was_measured(runs):
    name = "operators-epyc-2core"
    newer = changed(runs, name, ["provenance", "date"], "2999-01-01")[name]
    newer["cases"] = [case for case in newer["cases"] if case["executor"] == "default"]
    for case in newer["cases"]:
        case["executor"] = "synchronous"
    assert "executor" not in "".join(summary.operators(newer))
    slower = json.loads(json.dumps(newer["cases"]))
    for case in slower:
        case["executor"] = "default"
        for result in case["results"].values():
            result["wall"]["seconds"] = [1.0] * len(result["wall"]["seconds"])
    newer["cases"] = slower + newer["cases"]  # whichever comes first
    told, table = summary.operators(newer)
    assert "in DALI's default executor" in told and "| 1.0 | 1.0 | 1.0 | 1.0 |" in table
    newer["cases"].reverse()
    assert summary.operators(newer) == [told, table]


@pytest.mark.parametrize(
    ("commit", "dirty", "told"),
    [
        ("0123456789abcdef", False, "; commit 0123456789; 2"),
        ("0123456789abcdef", True, "; commit 0123456789 with local changes; 2"),
        ("0123456789abcdef", None, "; commit 0123456789, local changes unknown; 2"),
        (None, False, "; commit unknown; 2"),
    ],
)
def test_the_report_says_of_which_commit_a_run_is(runs, commit, dirty, told):
    run = next(run for run in runs.values() if run["benchmark"] == "loss")
    where = run["provenance"] | {"commit": commit, "dirty": dirty}
    assert told in record.heading("loss", run | {"provenance": where})
    stopped = record.heading("loss", run | {"complete": False})
    assert stopped.endswith("; stopped before its last case.")


def case(**more):
    """A case with given times of its contestants, in seconds."""
    key = {name: more.pop(name, value) for name, value in
           {"batch": 64, "size": 224, "dtype": "float32", "layout": "CHW"}.items()}  # fmt: skip
    times = {"feed": 0.1, UNMIXED: 4.0, "dali_mix mixup": 2.0, "dali_mix cutmix": 1.0}
    times |= {"timm CutMix elem": 1.5, "torch.compile": 3.0, "torch eager": 5.0}
    results = {name: {"wall": {"seconds": [s] * 3}} for name, s in (times | more).items()}
    return key | {"results": results, "missing": {}}


def test_the_report_tells_where_others_mix_faster():
    cases = [case(batch=b, **{"torch.compile": float(b)}) for b in (1, 4)]
    cases.append(
        case(
            size=32, **{"timm CutMix elem": 0.7, "copy of as many bytes": 0.01, "DALI unmixed": 0.5}
        )
    )
    assert summary.lost_sentence(cases) == (
        "Where others mix faster, and their time as a share of ours: float32 CHW, batch 1, "
        "224 x 224: torch.compile 0.50; float32 CHW, batch 64, 32 x 32: timm CutMix elem 0.70."
    )
    assert summary.lost_sentence(cases[1:2]) == "No other way to mix was faster, in any case."


TIMED = {"case": "mixup float16", "batch": 256, "side": 224, "ms": 0.05, "launch_ms": 0.06}
TIMED |= {"copy_ms": 0.04, "bytes": 2e8, "compulsory_bytes": 1.5e8}


@pytest.mark.parametrize(("cases", "status"), [(2, 0), (1, 3), (0, 3)])
def test_times_of_the_kernel_get_their_provenance_and_are_shown(tmp_path, cases, status, capsys):
    program, out = tmp_path / "kernel", tmp_path / "times.json"
    lines = "".join(f"echo '{json.dumps(TIMED | {'side': 224 + k})}'\n" for k in range(cases))
    program.write_text(f'#!/bin/sh\n[ "$*" = time ] || exit 9\n{lines}exit {status}\n')
    program.chmod(0o755)
    with pytest.raises(SystemExit, match=str(status)):
        kernel.main([str(program), "--out", str(out)])
    assert capsys.readouterr().out.count("mixup float16") == cases
    if not cases:
        assert not out.exists()
        return
    run = json.loads(out.read_text())
    assert (len(run["cases"]), run["complete"]) == (cases, status == 0)
    page = report.generate({"kernel-times": run})["README.md"]
    assert ("stopped before its last case" in page) == (status == 3)
    assert "| mixup float16: 256 x 224² | 0.0500 | 0.0600 | 4,000 | 3,000 | 0.60 |" in page


def test_the_report_shows_what_the_kernel_tells():
    told = (BENCH / "kernel/kernel.cu").read_text()
    assert all(f'\\"{name}\\":' in told for name in TIMED)

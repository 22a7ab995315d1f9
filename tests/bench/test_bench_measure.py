"""What all benchmarks stand on: segments that are drained, CPU time that counts the workers, right
intervals, checks that fail, tables, and files that say where they come from."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("PIL")

from dali_mix.measure import chart, comparisons, intervals, jpegs, record, segments, tables, timing
from dali_mix.measure.checks import check_labels, check_mixed
from dali_mix.measure.graphs import GRAPHS
from dali_mix.measure.outputs import MEAN, STD, UNMIXED, Mixed, Output
from dali_mix.measure.pipelines import Settings, Task, check_pipeline, dali_loader
from dali_mix.measure.segments import Loader, compare_loaders, segment
from dali_mix.plan import Plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return jpegs.synthetic(tmp_path_factory.mktemp("photos"), count=7, classes=2, seed=1)


def test_a_segment_rests_and_drains_before_its_clock_starts(monkeypatch):
    events = []
    monkeypatch.setattr(segments, "wait_until_quiet", lambda: events.append("rest"))
    clock, cpu = iter([10.0, 12.0]), iter([5.0, 5.3])
    monkeypatch.setattr(segments, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(segments, "cpu_seconds", lambda: next(cpu))
    loader = Loader(
        lambda: events.append("batch"), batch=2, ahead=4, synchronize=lambda: events.append("sync")
    )
    speed, milliseconds = segment(loader, 5)
    assert events == ["rest", *["batch"] * 4, "sync", *["batch"] * 3, "sync"]
    assert speed == pytest.approx(6 / 2)  # 5 images are 3 batches of 2
    assert milliseconds == pytest.approx(300 / 6)


def test_what_was_made_in_advance_is_taken_before_the_clock_starts(monkeypatch):
    events, now = [], iter(range(1000))

    def clock():
        events.append("clock")
        return next(now)

    monkeypatch.setattr(timing, "CLOCKS", {"wall": clock})
    compared = timing.compare(
        {"one": lambda: events.append("run")},
        baseline="one",
        check=timing.nothing,
        rounds=2,
        ahead=2,
        settle=lambda: events.append("settle"),
    )
    sample = [*["run"] * 3, "clock", "run", "clock"]
    assert events == [*sample, "settle", *sample, "settle", *sample]
    assert compared["one"]["wall"]["seconds"] == [1, 1]


def test_a_dali_pipeline_at_rest_is_no_further_ahead_than_it_says(photos):
    task = Task(str(photos), 4, 32, "float32", "cpu", 1)
    made = []

    def graph(images, labels, mirror, output):
        def note(batch):
            made.append(len(batch))
            return batch

        from nvidia.dali import fn

        noted = fn.python_function(labels, function=note, batch_processing=True, num_outputs=1)
        return Mixed(GRAPHS[UNMIXED](images, labels, mirror, output).x, (noted,))

    loader = dali_loader(task, Settings(1, prefetch=3), graph)
    for _ in range(5):
        loader.next()
    segments.wait_until_quiet()
    assert 5 < len(made) <= 5 + loader.ahead


def test_segments_end_on_a_whole_burst_of_the_workers():
    count = []
    loader = Loader(lambda: count.append(1), batch=4, ahead=2, burst=3)
    compare_loaders({"one": loader}, images=13, segments=2)
    assert len(count) == (2 + 6) * (2 + 1)  # 13 images are 4 batches, 2 bursts of 3; one to warm up


def burn(seconds, ready, go):
    ready.set()
    go.wait()
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    ready.clear()
    go.clear()
    go.wait()


def test_cpu_time_counts_the_children():
    fork = multiprocessing.get_context("fork")
    ready, go = fork.Event(), fork.Event()
    child = fork.Process(target=burn, args=(0.4, ready, go))
    child.start()
    ready.wait()
    own, before = time.process_time(), segments.cpu_seconds()
    go.set()
    while ready.is_set():
        time.sleep(0.01)
    used = segments.cpu_seconds() - before - (time.process_time() - own)
    go.set()
    child.join()
    assert 0.35 < used < 0.6


def test_waiting_for_a_process_that_never_rests_is_given_up(monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(segments, "cpu_seconds", lambda: next(ticks))
    monkeypatch.setattr(segments, "PATIENCE", 0.2)
    with pytest.raises(RuntimeError, match="a loader keeps working though nobody reads from it"):
        segments.wait_until_quiet()


@pytest.mark.parametrize("rounds", [2, 7, 30])
def test_intervals_are_those_of_the_paired_t_test(rounds):
    chance = np.random.default_rng(rounds)
    theirs = chance.lognormal(3, 0.4, rounds)
    ours = theirs * chance.lognormal(0.1, 0.05, rounds)
    found = intervals.paired_ratio(list(ours), list(theirs))
    expected = stats.ttest_rel(np.log(ours), np.log(theirs)).confidence_interval(0.95)
    assert found["ratio"] == pytest.approx(stats.gmean(ours / theirs))
    width = np.log(found["high"] / found["low"])
    assert width == pytest.approx(expected.high - expected.low, rel=0.01)
    assert np.log(found["high"] * found["low"]) == pytest.approx(expected.low + expected.high)


def test_one_round_has_no_interval():
    with pytest.raises(ValueError, match="at least 2 rounds, got 1"):
        intervals.paired_ratio([1.0], [2.0])


def test_the_cost_of_mixing_is_in_percent_of_the_same_loader():
    results = {
        name: {
            "images_per_second": {"samples": [speed, 2 * speed]},
            "cpu_ms_per_image": {"samples": [1.0, 1.0]},
        }
        for name, speed in {"a": 100.0, "a mixed": 80.0, "dali_mix mixup": 50.0}.items()
    }
    compared = comparisons.comparisons(results, {"a mixed": "a"})
    assert {row["against"] for row in compared} == {"a", "a mixed"}
    cost = comparisons.cost_of_mixing(compared, {"a mixed": "a"})["a mixed"]
    assert cost == {key: pytest.approx(25) for key in ("ratio", "low", "high")}


def test_differences_are_those_of_the_paired_t_test():
    ours, theirs = np.array([1.0, 12, 23]), np.array([0.0, 10, 20])
    found = intervals.paired_difference(ours, theirs)
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found["difference"] == pytest.approx(2)
    assert [found["low"], found["high"]] == pytest.approx([*expected], rel=0.02)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-7.5, -4.0, "The pipeline is faster with mixing"),
        (1.0, 4.0, "Mixing costs time"),
        (-3.3, 0.6, "Mixing costs nothing that can be told from noise"),
        (-9.0, 11.0, "It is too noisy to tell what mixing costs"),
    ],
)
def test_the_verdict_says_when_it_is_too_noisy_to_tell(low, high, told):
    sentence = comparisons.verdict({"ratio": (low + high) / 2, "low": low, "high": high})
    assert sentence.startswith(told) and f"{low:+.1f} to {high:+.1f} %" in sentence
    assert sentence.count(". ") == 0 and sentence.endswith(".")


def test_a_table_is_the_same_on_a_page_and_in_a_terminal():
    table = tables.Table(["ms", "ratio"], [["ours", "1.00", "2"], ["theirs", "missing: too slow"]])
    assert table.markdown().splitlines()[2:] == [
        "| ours | 1.00 | 2 |",
        "| theirs | missing: too slow |  |",
    ]
    assert table.text().splitlines() == [
        "          ms  ratio",
        "ours    1.00      2",
        "theirs  missing: too slow",
    ]


def test_a_curve_is_the_mean_of_the_seeds_within_a_standard_deviation():
    pytest.importorskip("matplotlib")
    samples = np.array([[1.0, 4, 9], [3.0, 6, 8], [8.0, 5, 7]])  # (seeds, epochs)
    figure = chart.curves(
        {"one": {"a": samples}, "two": {"a": samples[:1], "b": samples}}, [2, 5, 7], "x"
    )
    one, two = figure.axes
    np.testing.assert_allclose(one.lines[0].get_xydata(), [[2, 4], [5, 5], [7, 8]])
    ends = one.collections[0].get_paths()[0].vertices
    for epoch, values in zip([2, 5, 7], samples.T, strict=True):
        band = ends[ends[:, 0] == epoch, 1]
        expected = values.mean() - values.std(), values.mean() + values.std()
        np.testing.assert_allclose([band.min(), band.max()], expected)
    assert [line.get_color() for line in two.lines] == [*chart.LINES[:2]]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_contestants_pass_their_check(photos, name, dtype):
    check_pipeline(name, Task(str(photos), 5, 37, dtype, "cpu", 3), Settings(1), GRAPHS[name])


@pytest.mark.parametrize("wrong", ["x", "labels", "lam", "partner", "box"])
def test_a_wrong_batch_fails_its_check(wrong):
    chance = np.random.default_rng(0)
    images = list(chance.integers(0, 256, (3, 7, 11, 3), np.uint8))
    mirror, labels = [0, 1, 0], [np.array([i]) for i in range(3)]
    partner, box = [np.int32(j) for j in (1, 2, 0)], [np.array([1, 2, 4, 7])] * 3
    plan = Plan(partner, [np.float32(1)] * 3, box, [np.float32(1 - 15 / 77)] * 3, None)
    seen = [image[:, ::-1] if flag else image for image, flag in zip(images, mirror, strict=True)]
    x = []
    for i in range(3):
        mixed = seen[i].copy()
        mixed[1:4, 2:7] = seen[partner[i]][1:4, 2:7]
        x.append(((mixed - np.array(MEAN)) / STD).transpose(2, 0, 1))
    right = Mixed(x, (labels, [labels[j] for j in partner]), plan)

    def check(mixed):
        check_mixed("one", mixed, images, mirror, Output("float32"))
        check_labels("one", mixed)

    check(right)
    check(right._replace(plan=plan._replace(box=None, blend=None), cut=True))  # a box to be found
    broken = {
        "x": right._replace(x=[x[0], x[1], x[2] + 1e-3]),
        "labels": right._replace(labels=(labels, labels)),
        "lam": right._replace(plan=plan._replace(lam=[np.float32(0.5)] * 3)),
        "partner": right._replace(plan=plan._replace(partner=[np.int32(i) for i in range(3)])),
        "box": right._replace(plan=plan._replace(box=[np.array([1, 2, 4, 8])] * 3)),
    }[wrong]
    with pytest.raises(AssertionError):
        check(broken)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder in place of the checkout; asked anew."""
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.delenv("DALI_MIX_COMMIT", raising=False)
    record._checkout.cache_clear()
    yield tmp_path
    record._checkout.cache_clear()


def git(folder, *arguments):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", folder, *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def told():
    where = record.provenance()
    return where["commit"], where["dirty"]


def test_without_git_nothing_is_claimed(checkout):
    assert told() == (None, None)


def test_without_git_the_commit_can_be_told(checkout, monkeypatch):
    monkeypatch.setenv("DALI_MIX_COMMIT", "abc123")
    assert told() == ("abc123", None)


@pytest.mark.parametrize("changed", [False, True])
def test_git_knows_better_and_what_a_run_writes_is_no_change(checkout, monkeypatch, changed):
    monkeypatch.setenv("DALI_MIX_COMMIT", "abc123")
    git(checkout, "init", "--quiet")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "one")
    if changed:
        (checkout / "new.py").touch()
    expected = git(checkout, "rev-parse", "HEAD"), changed
    assert told() == expected
    record.write(checkout / "run.json", {"cases": []})
    assert told() == expected


def test_the_command_has_no_way_to_files_elsewhere(checkout, monkeypatch):
    words = [f"{checkout}/bench/x.py", "--data", "/my/photos", f"--out={checkout}/new/a.json"]
    monkeypatch.setattr("sys.argv", [*words, "--log=/tmp/b.log", "c/d", "--dtype", "float16"])
    told = "--data photos --out=new/a.json --log=b.log c/d --dtype float16"
    assert record.command() == f"python bench/x.py {told}"
    monkeypatch.setattr("sys.argv", [f"{checkout}/bench/loss/__main__.py", "--batch", "3"])
    assert record.command() == "python -m bench.loss --batch 3"


def test_a_file_is_written_again_only_by_who_wrote_it(tmp_path):
    path = tmp_path / "new" / "run.json"
    record.write(path, {"cases": [0.123456789]})
    with pytest.raises(FileExistsError):
        record.write(path, {"cases": []})
    record.write(path, {"cases": [1, 2]}, again=True)
    assert json.loads(path.read_text()) == {"cases": [1, 2]}
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(TypeError):
        record.write(path, {"cases": object()})
    assert not path.exists()


WATCHED = """
import multiprocessing, os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print("torch is imported", os.environ.get("GOMP_SPINCOUNT"))
            raise ImportError("it would take seconds")
def told():
    print("in a worker", os.environ.get("GOMP_SPINCOUNT"), flush=True)
if __name__ == "__main__":
    sys.meta_path.insert(0, Watch())
    import importlib
    try:
        importlib.import_module(sys.argv[1])
    except ImportError:
        pass
    sys.stdout.flush()
    for kind in ("fork", "spawn"):
        worker = multiprocessing.get_context(kind).Process(target=told)
        worker.start()
        worker.join()
"""


@pytest.mark.parametrize(
    ("room", "set_before"), [("pipeline", None), ("training", "77"), ("loss", None)]
)
def test_openmp_is_told_to_spin_briefly_before_torch_is_there(room, set_before, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "watched.py").write_text(WATCHED)
    environment = {name: v for name, v in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment["PYTHONPATH"] = str(ROOT)
    if set_before:
        environment["GOMP_SPINCOUNT"] = set_before
    command = [sys.executable, tmp_path / "watched.py", f"bench.{room}.__main__"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    value = set_before or "1000"
    assert ran.stdout.splitlines() == [f"torch is imported {value}", *[f"in a worker {value}"] * 2]

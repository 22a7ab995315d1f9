"""What the benchmarks of loaders stand on: segments that are drained, CPU time that counts the
workers, intervals that are right, checks that fail."""

import multiprocessing
import time
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("PIL")

from dali_mix.measure import comparisons, intervals, jpegs, segments
from dali_mix.measure.checks import check_mixed, check_pipeline
from dali_mix.measure.graphs import GRAPHS, Mixed
from dali_mix.measure.pipelines import Settings, Task, dali_loader
from dali_mix.measure.segments import Loader, compare_loaders, segment


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


def test_a_dali_pipeline_at_rest_is_no_further_ahead_than_it_says(photos):
    task = Task(str(photos), 4, 32, "float32", "cpu", 1)
    made = []

    def graph(images, labels, mirror, output):
        def note(batch):
            made.append(len(batch))
            return batch

        from nvidia.dali import fn

        noted = fn.python_function(labels, function=note, batch_processing=True, num_outputs=1)
        return Mixed(GRAPHS["DALI unmixed"](images, labels, mirror, output).x, noted)

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


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_contestants_pass_their_check(photos, name, dtype):
    check_pipeline(name, Task(str(photos), 5, 37, dtype, "cpu", 3), Settings(1), GRAPHS[name])


@pytest.mark.parametrize("wrong", ["x", "y2", "lam", "partner", "box"])
def test_a_wrong_batch_fails_its_check(wrong):
    chance = np.random.default_rng(0)
    images = list(chance.integers(0, 256, (3, 7, 11, 3), np.uint8))
    mirror, labels = [0, 1, 0], [np.array([i]) for i in range(3)]
    partner, box = [np.int32(j) for j in (1, 2, 0)], [np.array([1, 2, 4, 7])] * 3
    lam = [np.float32(1 - 15 / 77)] * 3
    seen = [image[:, ::-1] if flag else image for image, flag in zip(images, mirror, strict=True)]
    x = []
    for i in range(3):
        mixed = seen[i].copy()
        mixed[1:4, 2:7] = seen[partner[i]][1:4, 2:7]
        mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
        x.append(((mixed - mean) / std).transpose(2, 0, 1))
    right = Mixed(x, labels, [labels[j] for j in partner], lam, partner, box)
    check_mixed("right", right, images, mirror, "float32")
    x2 = [x[0], x[1], x[2] + 1e-3]
    broken = {
        "x": right._replace(x=x2),
        "y2": right._replace(y2=labels),
        "lam": right._replace(lam=[np.float32(0.5)] * 3),
        "partner": right._replace(partner=[np.int32(i) for i in range(3)]),
        "box": right._replace(box=[np.array([1, 2, 4, 8])] * 3),
    }[wrong]
    with pytest.raises(AssertionError):
        check_mixed("broken", broken, images, mirror, "float32")

"""bench/pipeline.py and what it stands on: segments that are drained, intervals that are right,
checks that fail, and what a run writes."""

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from scipy import stats

from dali_mix.measure import comparisons, intervals, jpegs, segments
from dali_mix.measure.checks import check_mixed, check_pipeline
from dali_mix.measure.graphs import GRAPHS, Mixed
from dali_mix.measure.pipelines import Settings, Task, dali_loader
from dali_mix.measure.segments import Loader, compare_loaders, segment

PROGRAM = Path(__file__).parent.parent / "bench" / "pipeline.py"
sys.path.insert(0, str(PROGRAM.parent.parent))

from bench import pipeline_peers, pipeline_sweep, report, train_step  # noqa: E402


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return jpegs.synthetic(tmp_path_factory.mktemp("photos"), count=13, classes=3, seed=1)


@pytest.fixture(scope="module")
def record(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "pipeline.json"
    small = "--images 8 --batch 4 --size 32 --rounds 3 --threads 1".split()
    command = [sys.executable, PROGRAM, *small, "--data", photos, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()) | {"printed": done.stdout}


def test_a_run_records_what_was_measured_where_and_on_what(record, photos):
    wanted = {"date", "command", "commit", "cpu", "cores", "python", "packages", "threads"}
    assert wanted | {"device", "gpu"} <= record["provenance"].keys()
    assert {"timm", "torchvision", "ffcv"} <= record["provenance"]["packages"].keys()
    sizes = [path.stat().st_size for path in photos.rglob("*.jpg")]
    data = {"files": 13, "mean_kb": pytest.approx(sum(sizes) / 13e3), "synthetic": False}
    assert record["settings"]["data"] == data
    assert f"--data {photos.name} " in record["provenance"]["command"]  # not the way to it


def test_a_run_records_every_segment_of_every_contestant(record):
    assert record["results"].keys() >= GRAPHS.keys()
    for result in record["results"].values():
        for figure in ("images_per_second", "cpu_ms_per_image"):
            assert len(result[figure]["samples"]) == 3 and min(result[figure]["samples"]) > 0


def test_peers_are_measured_or_missing_for_a_reason(record):
    names = {*pipeline_peers.NAMES, "FFCV", "FFCV + ImageMixup"}
    assert names == (record["results"].keys() | record["missing"].keys()) - GRAPHS.keys()
    assert not record["results"].keys() & record["missing"].keys()
    for name, why in record["missing"].items():
        assert why and f"{name:36} missing: {why}" in record["printed"]


def test_ours_is_compared_with_everyone_else(record):
    pairs = {(row["contestant"], row["against"]) for row in record["comparisons"]}
    for ours in ("dali_mix mixup", "dali_mix cutmix"):
        others = record["results"].keys() - {"dali_mix mixup", "dali_mix cutmix"}
        assert {other for name, other in pairs if name == ours} == others
    row = record["comparisons"][0]
    ours, theirs = (
        record["results"][row[key]]["cpu_ms_per_image"]["samples"]
        for key in ("contestant", "against")
    )
    assert row["cpu"]["ratio"] == pytest.approx(stats.gmean(np.divide(ours, theirs)))


def test_the_sweep_tries_and_keeps_the_settings(record):
    assert [swept["setting"] for swept in record["sweep"]] == ["prefetch"]  # --threads was given
    assert record["settings"]["dali"]["prefetch"] == record["sweep"][0]["chosen"]


def test_a_setting_is_changed_only_for_one_that_is_certainly_faster():
    steady, wild = [100.0, 101, 99, 100, 102], [50.0, 400, 60, 300, 110]
    faster = [130.0, 131, 128, 131, 132]
    assert pipeline_sweep.fastest([2, 3], 2, [steady, wild]) == 2
    assert pipeline_sweep.fastest([2, 3, 4], 2, [steady, wild, faster]) == 4
    assert pipeline_sweep.fastest([2, 3], 3, [steady, faster]) == 3


def test_the_report_has_a_section_with_every_contestant(record):
    runs = {"pipeline-here": record}
    files = report.generate(runs)
    assert files.keys() == {"README.md", "pipeline-here.svg"}
    for name in record["results"].keys() | record["missing"].keys():
        assert f"| {name} | " in files["README.md"]
    assert "13 real JPEGs" in files["README.md"]
    assert "dali_mix cutmix" in files["pipeline-here.svg"]
    changed = json.loads(json.dumps(runs))
    changed["pipeline-here"]["comparisons"][0]["cpu"]["ratio"] *= 2
    assert report.generate(changed) != files


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


class Eager:
    """Makes batches in a thread of its own, `depth` ahead, and notes when each was begun."""

    def __init__(self, depth, seconds):
        self.ready = Queue(depth)
        self.seconds = seconds
        self.given = []
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            begun = time.perf_counter()
            time.sleep(self.seconds)
            self.ready.put(begun)

    def next(self):
        self.given.append(self.ready.get())


def test_a_segment_counts_no_work_done_before_it():
    eager = Eager(depth=5, seconds=0.02)
    loader = Loader(eager.next, batch=2, ahead=6 + 1)  # 5 ready, one waiting to get in
    time.sleep(0.3)
    settled = []
    loader = loader._replace(synchronize=lambda: settled.append(time.perf_counter()))
    speed, _ = segment(loader, 5)
    begin, end = settled
    timed = eager.given[loader.ahead :]
    assert len(timed) == 3  # of 2 images each: 5 rounded up
    assert all(begun > begin - eager.seconds for begun in timed)
    assert speed == pytest.approx(6 / (end - begin), rel=0.2)


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


def test_synthetic_photographs_are_as_large_as_real_ones_and_come_again(photos, tmp_path):
    described = jpegs.described(jpegs.images_of(photos))
    assert described["files"] == 13 and 70 < described["mean_kb"] < 140
    again = jpegs.synthetic(tmp_path, count=2, classes=3, seed=1)
    for path in jpegs.images_of(again):
        assert path.read_bytes() == (photos / path.relative_to(again)).read_bytes()


def test_endless_batches_hold_every_image_equally_often():
    batches = pipeline_peers.endless_batches(count=5, batch=4, seed=0)
    drawn = [next(batches) for _ in range(5)]
    assert all(len(batch) == 4 for batch in drawn)
    assert np.bincount(np.concatenate(drawn)).tolist() == [4] * 5


def test_the_wait_between_steps_is_from_end_to_start():
    feed = iter([(0, 0), (1, 1), (2, 2)])

    def fetch():
        time.sleep(0.03)
        return next(feed)

    trained = train_step.Trained(fetch, lambda x, target: time.sleep(0.05), on_gpu=False)
    for _ in range(3):
        trained.next()
    trained.settle()
    trained.settle()
    assert trained.waits[0] == pytest.approx(30, abs=15) and trained.waits[1] == 0


def test_a_training_step_is_measured_for_every_feed(photos, tmp_path):
    out = tmp_path / "train.json"
    small = "--device cpu --model tiny --batch 4 --size 32 --steps 2 --rounds 2 --threads 1".split()
    program = PROGRAM.with_name("train_step.py")
    command = [sys.executable, program, *small, "--data", photos, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    there = record["results"].keys() | record["missing"].keys()
    assert there == {"random tensors", "DALI unmixed", "dali_mix mixup", "DataLoader + Mixup"}
    assert all(len(result["wait_ms"]["samples"]) == 2 for result in record["results"].values())
    assert "| random tensors | " in report.generate({"train": record})["README.md"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "none"], "argument --data: none does not exist; name a folder with one folder"),
        (["--data", "."], "argument --data: . must hold one folder of images for each class"),
        (["--rounds", "1"], "argument --rounds: must be at least 2, for an interval, got 1"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence, tmp_path):
    command = [sys.executable, PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"pipeline.py: {sentence}")

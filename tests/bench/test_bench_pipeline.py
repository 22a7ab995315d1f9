"""bench.pipeline: what a run measures and writes, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("PIL")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]

from bench.pipeline import __main__ as pipeline  # noqa: E402
from bench.pipeline import ffcv_loaders, step, torch_loaders  # noqa: E402
from dali_mix.measure import jpegs  # noqa: E402
from dali_mix.measure.graphs import GRAPHS  # noqa: E402
from dali_mix.measure.outputs import UNMIXED  # noqa: E402
from dali_mix.measure.segments import Loader  # noqa: E402

SMALL = "--images 8 --batch 4 --size 32 --rounds 2 --threads 1".split()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return jpegs.synthetic(tmp_path_factory.mktemp("photos"), count=13, classes=3, seed=1)


@pytest.fixture(scope="module")
def record(photos, tmp_path_factory):
    """As typed: the workers are forks of a process of its own."""
    out = tmp_path_factory.mktemp("bench") / "pipeline.json"
    command = [sys.executable, "-m", "bench.pipeline", *SMALL, "--data", photos, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()) | {"printed": done.stdout}


def test_a_run_records_what_was_measured_where_and_on_what(record, photos):
    wanted = {"date", "command", "commit", "cpu", "cores", "python", "packages", "threads"}
    assert wanted | {"device", "gpu", "environment"} <= record["provenance"].keys()
    assert {"timm", "torchvision", "ffcv"} <= record["provenance"]["packages"].keys()
    sizes = [path.stat().st_size for path in photos.rglob("*.jpg")]
    data = {"files": 13, "mean_kb": pytest.approx(sum(sizes) / 13e3), "synthetic": False}
    assert record["settings"]["data"] == data
    command = f"python -m bench.pipeline {' '.join(SMALL)} --data {photos.name} --out"
    assert record["provenance"]["command"].startswith(command)  # not the way to the files


def test_a_run_records_every_segment_of_every_contestant(record):
    assert record["results"].keys() >= GRAPHS.keys()
    for result in record["results"].values():
        for figure in ("images_per_second", "cpu_ms_per_image"):
            assert len(result[figure]["samples"]) == 2 and min(result[figure]["samples"]) > 0


def test_peers_are_measured_or_missing_for_a_reason(record):
    names = {*torch_loaders.NAMES, *ffcv_loaders.NAMES}
    assert names == (record["results"].keys() | record["missing"].keys()) - GRAPHS.keys()
    assert not record["results"].keys() & record["missing"].keys()
    for name, why in record["missing"].items():
        assert any(
            line.split(" missing: ") == [name.ljust(len(line.split(" missing: ")[0])), why]
            for line in record["printed"].splitlines()
        )


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


def test_synthetic_photographs_are_as_large_as_real_ones_and_come_again(photos, tmp_path):
    described = jpegs.described(jpegs.images_of(photos))
    assert described["files"] == 13 and 70 < described["mean_kb"] < 140
    again = jpegs.synthetic(tmp_path, count=2, classes=3, seed=1)
    for path in jpegs.images_of(again):
        assert path.read_bytes() == (photos / path.relative_to(again)).read_bytes()


def tiny(classes):
    convolution = torch.nn.Conv2d(3, 8, 3, stride=4)
    average = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(convolution, *average, torch.nn.Linear(8, classes))


def test_a_training_step_is_measured_behind_every_loader(photos, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(step, "network", tiny)
    monkeypatch.setattr(pipeline.timing, "keep_freed_memory", lambda: None)
    burst = Loader(lambda: step.random_batch(task, 3, "cpu"), batch=4, ahead=9, burst=3)
    task = step.Task(str(photos), 4, 32, "float32", "cpu", 0)
    monkeypatch.setattr(torch_loaders, "loaders", lambda *_: ({torch_loaders.MIXUP: burst}, {}))
    made = step.training_step

    def noted(model, device):
        train = made(model, device)
        return lambda x, target: (trained.append(len(x)), train(x, target))

    monkeypatch.setattr(step, "training_step", noted)
    out = tmp_path / "step.json"
    pipeline.main(["--step", *SMALL, "--data", str(photos), "--out", str(out)])
    run = json.loads(out.read_text())
    assert run["benchmark"] == "train_step"
    names = {"random tensors", UNMIXED, "dali_mix mixup", torch_loaders.MIXUP}
    assert run["results"].keys() == names
    # 8 images are 2 batches, 3 where they come in bursts of 3; after what is there in advance.
    assert len(trained) == 3 * ((0 + 2) + 2 * (3 + 2) + (9 + 3))


def test_the_fastest_settings_are_found_and_may_be_taken_again(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.timing, "keep_freed_memory", lambda: None)
    given, compare = [], pipeline.compare_loaders

    def faked(loaders, *, images, segments, **more):
        found = compare(loaders, images=images, segments=2, **more)
        for name, result in found.items():  # as if the second of the threads were the best
            best = "threads=2" in name and "load=0.35" in name
            result["images_per_second"]["summary"]["median"] = 9.0 + best
        return found

    make = pipeline.dali_loader
    monkeypatch.setattr(pipeline, "compare_loaders", faked)
    monkeypatch.setattr(pipeline, "dali_loader", lambda *a: given.append(a[1]) or make(*a))
    small = [*SMALL[:-1], "3", "--data", str(photos)]
    pipeline.main(["--tune", *small, "--out", str(tmp_path / "a.json")])
    run = json.loads((tmp_path / "a.json").read_text())
    assert {settings.threads for settings in given[:8]} == {2, 3} and len(set(given[:8])) == 8
    best = {"threads": 2, "prefetch": 2, "hw_decoder_load": 0.35}
    assert run["settings"]["dali"] == best and run["results"].keys() == GRAPHS.keys()
    assert run["provenance"]["threads"] == 2
    del given[:]
    like = ["--like", str(tmp_path / "a.json"), "--no-peers"]
    pipeline.main([*like, *small, "--out", str(tmp_path / "b.json")])
    assert {(settings.threads, settings.hw_decoder_load) for settings in given} == {(2, 0.35)}


def test_batches_are_as_the_graphs_make_them(photos):
    task, settings = step.Task(str(photos), 4, 32, "float32", "cpu", 0), step.Settings(1)
    first = step.jpeg_pipeline(task, settings, GRAPHS["dali_mix mixup"])
    x, target = step.fed(step.jpeg_pipeline(task, settings, GRAPHS["dali_mix mixup"]))
    expected = [np.asarray(batch.as_tensor()) for batch in first.run()]
    np.testing.assert_array_equal(x, expected[0])
    for found, told in zip((target.y1, target.y2, target.lam), expected[1:], strict=True):
        np.testing.assert_array_equal(found, told.ravel())
    assert step.fed(step.jpeg_pipeline(task, settings, GRAPHS[UNMIXED]))[1].dtype == torch.int64


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "none"], "none does not exist; name a folder with one folder of images"),
        (["--data", "."], ". must hold one folder of images for each class"),
        (["--rounds", "1"], "argument --rounds: must be at least 2, for an interval, got 1"),
        (["--step"], "--step needs the ResNet-50 of torchvision, which cannot be imported ("),
        (["--device", "gpu"], "--device gpu needs a GPU that torch can use, and there is none"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(pipeline.timing, "keep_freed_memory", lambda: None)
    with pytest.raises(SystemExit) as stop:
        pipeline.main([*arguments, "--synthetic", "8", "--threads", "1", "--size", "32"])
    message = capsys.readouterr().err
    assert stop.value.code == 2 and message.count("\n") == 1
    assert message.startswith(f"python -m bench.pipeline: {sentence}")

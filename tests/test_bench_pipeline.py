"""bench/pipeline.py: what a run measures and writes, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")
pytest.importorskip("torch")

PROGRAM = Path(__file__).parent.parent / "bench" / "pipeline.py"
sys.path.insert(0, str(PROGRAM.parent.parent))

from bench import pipeline, pipeline_peers, pipeline_sweep, report  # noqa: E402
from dali_mix.measure import jpegs  # noqa: E402
from dali_mix.measure.graphs import GRAPHS  # noqa: E402


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
    changed["pipeline-here"]["comparisons"][-1]["cpu"]["ratio"] *= 2
    assert report.generate(changed) != files


def test_runs_of_one_benchmark_share_a_section_that_begins_with_the_fullest(record):
    fewer = json.loads(json.dumps(record))
    del fewer["results"]["DALI unmixed"]
    page = report.generate({"a": fewer, "b": record})["README.md"]
    assert page.count("## ") == page.count("Decoded, random resized crop") == 1
    assert page.index("results/b.json") < page.index("results/a.json")
    assert page.count("images/s (quartiles)") == 2


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "none"], "argument --data: none does not exist; name a folder with one folder"),
        (["--data", "."], "argument --data: . must hold one folder of images for each class"),
        (["--rounds", "1"], "argument --rounds: must be at least 2, for an interval, got 1"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pipeline.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        pipeline.main()
    message = capsys.readouterr().err
    assert stop.value.code == 2 and message.count("\n") == 1
    assert message.startswith(f"pipeline.py: {sentence}")

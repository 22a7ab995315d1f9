"""bench/train_step.py: what it measures between the steps, and what a run writes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")
torch = pytest.importorskip("torch")

PROGRAM = Path(__file__).parent.parent / "bench" / "train_step.py"
sys.path.insert(0, str(PROGRAM.parent.parent))

from bench import report, resnet, train_step  # noqa: E402
from dali_mix.measure import jpegs  # noqa: E402
from dali_mix.measure.segments import Loader  # noqa: E402


class Hands:
    """A clock that only moves when it is told to."""

    now = 0.0

    def record(self):
        self.at = Hands.now

    def elapsed_time(self, later):
        return later.at - self.at


def test_the_wait_between_steps_is_from_end_to_start(monkeypatch):
    monkeypatch.setattr(train_step, "Clock", Hands)

    def passing(milliseconds):
        Hands.now += milliseconds

    waits = iter([1, 30, 50])
    trained = train_step.Trained(
        lambda: (passing(next(waits)), None), lambda x, target: passing(100), on_gpu=False
    )
    for _ in range(3):
        trained.next()
    trained.settle()
    trained.settle()
    assert trained.waits == [40, 0]


def test_the_waits_of_the_timed_segments_are_the_later_ones_of_each_pair():
    trained = train_step.Trained(None, None, on_gpu=False)
    trained.waits = [9, 1, 9, 2, 9, 3]  # draining, timed, three times; the first warms up
    assert trained.timed_waits(2) == [2, 3]


def test_the_own_resnet_50_has_as_many_parameters_as_the_paper_s():
    network = resnet.ResNet((3, 4, 6, 3), width=64, classes=1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_557_032
    assert network.eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 1000)


def test_a_training_step_is_measured_for_every_feed(tmp_path):
    out = tmp_path / "train.json"
    small = "--device cpu --model tiny --batch 4 --size 32 --steps 2 --rounds 2 --threads 1".split()
    photos = jpegs.synthetic(tmp_path / "photos", count=5, classes=2, seed=1)
    command = [sys.executable, PROGRAM, *small, "--data", photos, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    there = record["results"].keys() | record["missing"].keys()
    assert there == {"random tensors", "DALI unmixed", "dali_mix mixup", "DataLoader + Mixup"}
    assert record["settings"]["GOMP_SPINCOUNT"] == os.environ.get("GOMP_SPINCOUNT", "1000")
    assert all(len(result["wait_ms"]["samples"]) == 2 for result in record["results"].values())
    assert "| random tensors | " in report.generate({"train": record})["README.md"]


def test_whose_batches_come_in_bursts_is_measured_in_bursts(tmp_path, monkeypatch):
    photos = jpegs.synthetic(tmp_path, count=5, classes=2, seed=1)
    peer = Loader(lambda: None, batch=4, ahead=9, burst=3)
    found = {train_step.PEER: peer}, {}
    monkeypatch.setattr(train_step.pipeline_peers, "loaders", lambda *_: found)
    seen = {}

    def compare(loaders, **_):
        seen.update(loaders)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_step, "compare_loaders", compare)
    options = {"device": "cpu", "model": "tiny", "batch": 4, "size": 32, "steps": 2, "rounds": 2}
    options |= {"threads": 1, "prefetch": 2, "hw_decoder_load": 0.65, "seed": 1}
    with pytest.raises(KeyboardInterrupt):
        train_step.measure(photos, SimpleNamespace(**options))
    assert {name: (one.ahead, one.burst) for name, one in seen.items()} == {
        "random tensors": (0, 1),
        "DALI unmixed": (3, 1),
        "dali_mix mixup": (3, 1),
        train_step.PEER: (9, 3),
    }
    for loader in seen.values():
        assert isinstance(loader.next.__self__, train_step.Trained)
        assert loader.synchronize.__self__ is loader.next.__self__


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(monkeypatch, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(sys, "argv", ["train_step.py"])
    with pytest.raises(SystemExit) as stop:
        train_step.main()
    sentence = "--device gpu needs a GPU that torch can use, and there is none"
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"train_step.py: {sentence}. Try --help.\n"

"""bench/training.py: what a run records, that it is deterministic, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import report, training_claims, training_run  # noqa: E402
from bench.training_data import digits  # noqa: E402
from bench.training_graph import VARIANTS, Graph  # noqa: E402
from dali_mix import _harness  # noqa: E402

TINY = ("--epochs", "1", "--train-images", "20", "--batch", "10", "--seeds", "2", "--workers", "1")


def program(*arguments):
    command = [sys.executable, ROOT / "bench" / "training.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "tiny.json"
    done = program(*TINY, "--variants", "none", "mixup", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "mixup raises accuracy" in done.stdout
    return json.loads(out.read_text())


def test_every_seed_of_every_variant_is_recorded(record):
    found = [(run["variant"], run["seed"]) for run in record["runs"]]
    assert found == [("none", 0), ("none", 1), ("mixup", 0), ("mixup", 1)]
    assert all(0 <= run["accuracy"] <= 1 and run["nll"] > 0 for run in record["runs"])
    assert {"date", "command", "commit", "cpu", "threads"} <= record["provenance"].keys()


def test_a_variant_and_a_seed_fix_the_result(record, data):
    settings = training_run.Settings(epochs=1, batch=10, train_images=20, level=0.9)
    run = training_run.run("mixup", 1, data, settings)
    assert _harness.shortened(run) == record["runs"][3]


def test_the_report_shows_the_run(record):
    text, charts = report.training("tiny", record)
    assert "| mixup | " in text and "mixup raises accuracy" in text
    assert set(charts) == {"tiny.svg", "tiny-curves.svg"}


def test_no_image_is_trained_and_tested_on(data):
    assert not {path for path, _ in data.train} & {path for path, _ in data.test}
    drawn = data.drawn(40, seed=1)
    assert set(drawn) < set(data.train)
    assert np.bincount([label for _, label in drawn]).tolist() == [4] * 10
    assert drawn == data.drawn(40, seed=1) != data.drawn(40, seed=2)


def outputs(pipeline):
    return [np.stack([np.array(t) for t in part]) for part in pipeline.run()]


@pytest.mark.parametrize("name", ["two readers", "two readers per batch"])
def test_two_readers_mix_sample_by_sample(name, data):
    files, graph = data.drawn(20, seed=3), Graph(data, 10, seed=3)
    with graph._pipeline() as streams:
        own, partners = graph._read(files, "Reader"), graph._read(files, "Partner")
        streams.set_outputs(*own, *partners)
    mixed = graph.training(VARIANTS[name], files)
    for _ in range(3):
        a, y_a, b, y_b = outputs(streams)
        x, y1, y2, lam, _ = outputs(mixed)
        assert (y1 == y_a).all() and (y2 == y_b).all()
        lam = lam.reshape(-1, 1, 1, 1)
        expected = ((lam * a + (1 - lam) * b) - 127.5) / 127.5
        np.testing.assert_allclose(x, expected.transpose(0, 3, 1, 2), atol=1e-5)
        assert (len(np.unique(lam)) == 1) == name.endswith("per batch")


def test_nominal_and_counted_cutmix_differ_in_the_weight_alone(data):
    files, graph = data.drawn(20, seed=0), Graph(data, 10, seed=0)
    counted, nominal = (
        outputs(graph.training(VARIANTS[name], files)) for name in ("cutmix", "cutmix, nominal lam")
    )
    for part in (0, 1, 2, 4):
        np.testing.assert_array_equal(counted[part], nominal[part])
    # Clipping only makes the box smaller; its sides are whole pixels, rounded down.
    assert (counted[3] >= nominal[3] - 1e-6).all() and (counted[3] > nominal[3] + 0.01).any()


def test_the_network_learns_from_the_graph(data):
    settings = training_run.Settings(epochs=8, batch=20, train_images=200, level=0.5)
    figures = training_run.run("manifold", 0, data, settings)
    assert figures["accuracy"] > 0.6 and figures["train_loss"][-1] < figures["train_loss"][0]


def test_holm_multiplies_the_smallest_p_by_all_and_never_decreases():
    assert training_claims.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_the_paired_test_is_of_the_differences():
    mean, low, high, p = training_claims.paired(np.array([1.0, 12, 23]), np.array([0.0, 10, 20]))
    assert mean == pytest.approx(2) and (low + high) / 2 == pytest.approx(2)
    assert p == pytest.approx(0.0742, abs=1e-4)  # t = 2 sqrt(3), 2 degrees of freedom


def test_calibration_error_by_hand():
    torch = training_run.torch
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    error = training_run.calibration_error(p, torch.tensor([0, 1, 1]))
    assert error == pytest.approx((abs(2 * 0.9 - 1) + abs(0.6 - 1)) / 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0"], "argument --seeds: must be an integer of at least 1, got 0"),
        (["--level", "2"], "argument --level: must be a number in (0, 1], got 2"),
        (["--batch", "15"], "argument --batch: must be even and at most 200, got 15"),
        (["--data", "nowhere"], "argument --data: must be a folder that holds train and val, "
                                "got nowhere"),
        (["--train-images", "25"], "argument --train-images: must be a multiple of the 10 classes "
                                   "up to 860, or all 898, got 25"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence, monkeypatch, capsys):
    from bench import training

    monkeypatch.setattr(sys, "argv", ["training.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        training.main()
    assert capsys.readouterr().err == f"training.py: {sentence}. Try --help.\n"

"""More of the programs in pipelines/, as someone runs them, on data made here."""

import csv
import importlib.util
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numbered
import numpy as np
import pytest
from programs import FOLDER, ONE_THREAD, SMALL, jpeg, run_here

pytest.importorskip("torch")

NAMES = ("existing_pipeline", "webdataset", "multilabel", "regression", "manifold")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Training and validation folders of two classes, 6 and 5 images each: dark and light."""
    for part, count in (("train", 6), ("val", 5)):
        for name, level in (("dark", 20), ("light", 220)):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f"{index}.jpg").write_bytes(jpeg((level, level, level + index)))
    return tmp_path / "photos"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder of 40 images and list.csv: which of red and blue are strong, how light the rest."""
    chance = np.random.default_rng(0)
    rows = []
    for index in range(40):
        red, blue = chance.integers(0, 2, 2)
        green = int(chance.integers(0, 256))
        (tmp_path / f"{index}.jpg").write_bytes(jpeg((220 * red, green, 220 * blue)))
        labels = " ".join(name for name, has in (("red", red), ("blue", blue)) if has)
        rows.append({"file": f"{index}.jpg", "labels": labels, "value": green})
    with open(tmp_path / "list.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


@pytest.mark.parametrize("program", [*NAMES, "lightning_module"])
def test_help_says_what_the_program_does_and_it_fits_on_a_few_screens(program, monkeypatch):
    source = (FOLDER / f"{program}.py").read_text()
    monkeypatch.setitem(sys.modules, "lightning", None)  # slow to import, and full of warnings
    status, out, _ = run_here(program, "--help")
    assert status == 0
    assert "".join(source[3:].partition("\n")[0].split()) in "".join(out.split())
    assert len(source.splitlines()) <= 150


@pytest.mark.parametrize(
    ("program", "arguments", "sentence"),
    [
        ("existing_pipeline", ["nowhere"], "DIR must be a folder, got nowhere"),
        ("existing_pipeline", ["PHOTOS/train", "--batch-size", 99, *SMALL], "at most the images"),
        ("existing_pipeline", ["PHOTOS", "--epochs", 0], "must be at least 1"),
        ("webdataset", ["nowhere"], "SHARDS must be tars, folders of tars or s3:// URLs, got nowh"),
        ("webdataset", ["PHOTOS"], "SHARDS must be tars, folders of tars or s3:// URLs, got "),
        ("multilabel", ["nowhere.csv", "PHOTOS"], "No such file or directory: 'nowhere.csv'"),
        ("multilabel", ["EMPTY", "PHOTOS"], "LIST must have columns file and labels and some rows"),
        ("multilabel", ["EMPTY", "PHOTOS", "--validation", 1], "must lie in (0, 1), got 1.0"),
        ("regression", ["EMPTY", "PHOTOS"], "LIST must have columns file and value and some rows"),
        ("regression", ["EMPTY", "PHOTOS", "--mix", "both"], "invalid choice: 'both'"),
        ("manifold", ["nowhere"], "DIR must be a folder, got nowhere"),
        ("manifold", ["PHOTOS", "--batch-size", 4, "--layers", "nope", *SMALL], "got 'nope'"),
        ("manifold", ["PHOTOS", "--batch-size", 4, "--layers", *SMALL], "at least one layer"),
    ],
)
def test_wrong_arguments_are_one_sentence(photos, program, arguments, sentence):
    (photos / "empty.csv").write_text("file\n")
    places = {"PHOTOS": str(photos), "EMPTY": str(photos / "empty.csv")}
    arguments = [places.get(a, str(a).replace("PHOTOS", str(photos))) for a in arguments]
    status, _, err = run_here(program, *arguments)
    assert status == 2
    assert sentence in err and err.startswith(f"{program}.py: ") and err.count("\n") == 1


@pytest.mark.parametrize("mix", ["--mix", "--no-mix"])
def test_existing_pipeline_runs_before_and_after_the_change(photos, mix):
    arguments = [photos / "train", mix, "--batch-size", 4, "--epochs", 2, *SMALL]
    status, out, err = run_here("existing_pipeline", *arguments)
    assert status == 0, err
    assert re.fullmatch(r"(epoch \d: loss \d\.\d{4}, \d+ images/s\n){2}", out)


def test_existing_pipeline_marks_three_changed_lines_beside_the_import():
    changed = [
        line
        for line in (FOLDER / "existing_pipeline.py").read_text().splitlines()
        if line.endswith("# CHANGED")
    ]
    assert len(changed) == 3


def test_multilabel_learns_which_colours_are_there(listed):
    arguments = [listed / "list.csv", listed, "--batch-size", 8, "--epochs", 12, "--lr", 0.03]
    status, out, err = run_here("multilabel", *arguments, *SMALL)
    assert status == 0, err
    assert "validation on 8 images" in out
    scores = dict(re.findall(r"(red|blue) +F1 (\d\.\d+)", out))
    assert scores.keys() == {"red", "blue"} and all(float(f1) > 0.8 for f1 in scores.values())


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_regression_has_both_meanings(listed, loss):
    printed = {}
    for mix in ("losses", "labels"):
        arguments = [listed / "list.csv", listed, "--batch-size", 32, "--epochs", 1]
        arguments += ["--mix", mix, "--loss", loss, *SMALL]
        status, out, err = run_here("regression", *arguments)
        assert status == 0, err
        assert re.search(r"validation on 8 images: mean absolute error \d+\.\d{4}\n$", out)
        printed[mix] = float(re.search(r"last batch (\d+\.\d+)", out)[1])
    # In the one batch of this epoch the model is the same, and both losses are convex.
    assert printed["losses"] > printed["labels"]


@pytest.mark.parametrize(
    ("program", "row", "sentence"),
    [
        ("regression", "1.jpg", "a file and a finite value, got '1.jpg' and None in line 4 of "),
        ("regression", "1.jpg,", "a file and a finite value, got '1.jpg' and '' in line 4 of "),
        ("regression", "1.jpg,old", "a file and a finite value, got '1.jpg' and 'old' in line 4"),
        ("regression", "1.jpg,nan", "a file and a finite value, got '1.jpg' and 'nan' in line 4"),
        ("regression", "1.jpg,-inf", "a file and a finite value, got '1.jpg' and '-inf' in line 4"),
        ("regression", ",3", "a file and a finite value, got '' and '3' in line 4 of "),
        ("multilabel", ",red", "a file, got '' in line 4 of "),
    ],
)
def test_a_row_that_lacks_something_is_named(tmp_path, program, row, sentence):
    column = {"regression": "value", "multilabel": "labels"}[program]
    (tmp_path / "list.csv").write_text(f"file,{column}\n0.jpg,1\n\n{row}\n2.jpg,2\n")
    status, _, err = run_here(program, tmp_path / "list.csv", tmp_path)
    assert status == 2
    assert err.startswith(f"{program}.py: rows of LIST must have {sentence}")
    assert str(tmp_path) in err and err.count("\n") == 1


def test_multilabel_takes_a_row_without_labels(tmp_path):
    read_list = runpy.run_path(str(FOLDER / "multilabel.py"))["read_list"]
    (tmp_path / "list.csv").write_text("file,labels\n0.jpg,red blue\n1.jpg\n2.jpg,\n3.jpg,red\n")
    files, names, table = read_list(tmp_path / "list.csv")
    assert files == [f"{k}.jpg" for k in range(4)] and names == ["blue", "red"]
    assert table.tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]


def test_manifold_mixes_the_layers_that_are_named(photos):
    arguments = [photos, "--layers", "stem", "block2", "--include-input", "--batch-size", 3]
    status, out, err = run_here("manifold", *arguments, "--epochs", 5, "--per", "batch", *SMALL)
    assert status == 0, err
    counts = re.findall(r"(stem|block1|block2|input) (\d+)", out)
    assert {layer for layer, _ in counts} == {"stem", "block2", "input"}
    assert sum(int(count) for _, count in counts) == 5 * 4  # 12 images an epoch, in threes
    assert out.count("validation accuracy") == 5


def lightning(folder, *arguments):
    """What it prints, name by name."""
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    command = [sys.executable, FOLDER / "lightning_module.py", folder, "--accelerator", "cpu"]
    options = ["--size", "16", "--threads", "1", *arguments]
    line = [str(argument) for argument in [*command, *options]]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(.+): (\d+\.\d{4})$", done.stdout, re.MULTILINE)
    metrics = dict(found)
    assert len(found) == len(metrics)
    assert metrics.keys() == {"loss", "training accuracy", "validation accuracy", "validation loss"}
    return {name: float(value) for name, value in metrics.items()}


def test_lightning_trains_with_the_loader_the_loss_and_the_metrics(photos):
    lightning(photos, "--batch-size", 4, "--epochs", 2)


def test_lightning_averages_the_validation_loss_over_the_images_of_all_ranks(tmp_path):
    numbered.write(tmp_path / "train", 17)
    numbered.write(tmp_path / "val", 5)  # 2 and 3 for two ranks: one batch and two
    metrics = lightning(tmp_path, "--batch-size", 2, "--epochs", 1, "--lr", 1e-9, "--devices", 2)
    # A model that has not learnt yet gives each of 17 classes about the same weight.
    assert metrics["validation loss"] == pytest.approx(math.log(17), rel=0.1)


def test_without_lightning_one_sentence_says_how_to_get_it(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    status, _, err = run_here("lightning_module", photos)
    sentence = "lightning is not installed; run `pip install lightning`."
    assert (status, err) == (2, f"lightning_module.py: {sentence}\n")

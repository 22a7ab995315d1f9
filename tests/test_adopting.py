"""pipelines/adopt/: what changes in a program that one has is short, and both versions train alike."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from programs import FOLDER, ONE_THREAD, with_constants

pytest.importorskip("torch")

DIFFS = sorted((FOLDER / "adopt").glob("*.diff"))
SMALL = {"SIZE": 16, "EPOCHS": 6}
CONSTANTS = {
    "dali": {"BATCH_SIZE": 8, **SMALL},
    "fastai": {"BATCH": 8, **SMALL},
    "lightning": {
        "BATCH_SIZE": 8,
        "SIZE": 16,
        "WORKERS": 0,
        "TRAINER": {"max_epochs": 6, "logger": False, "enable_checkpointing": False},
    },
    "torchvision": {"BATCH_SIZE": 8, "WORKERS": 0, **SMALL},
}
BEFORE, AFTER = " -", " +"


def side(diff, signs):
    """The whole program before or after; the diff holds all of its lines."""
    lines = diff.read_text().splitlines()[3:]
    return "".join(f"{line[1:]}\n" for line in lines if line[0] in signs)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Dark, middle and light images with some noise, 32 and 16 of each: easy to tell apart."""
    root, chance = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, count in (("train", 32), ("val", 16)):
        for name, level in (("dark", 30), ("light", 220), ("middle", 120)):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = level + chance.integers(-20, 21, (24, 24, 3))
                Image.fromarray(np.uint8(pixels)).save(root / part / name / f"{index}.jpg")
    return root


def test_there_is_one_for_each_way_to_train():
    assert [diff.stem for diff in DIFFS] == sorted(CONSTANTS)


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_at_most_eight_lines_change(diff):
    lines = diff.read_text().splitlines()[2:]
    assert 0 < sum(line[0] in "+-" for line in lines) <= 8
    assert sum(line.startswith("@@") for line in lines) == 1  # the program is whole


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_before_it_knows_nothing_of_dali_mix(diff):
    assert "dali_mix" not in side(diff, BEFORE)
    assert "MixLoss(" in side(diff, AFTER) and "MixLoader" in side(diff, AFTER)


def missing(name):
    """Why the program cannot run here. A process of its own: a broken library stays broken."""
    needs = {"dali": "nvidia.dali", "fastai": "fastai.vision.all"}.get(name, name)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import {needs}"], capture_output=True, text=True
    )
    return done.returncode and done.stderr.splitlines()[-1]


def accuracy(path):
    command = [sys.executable, "-W", "ignore", path]
    done = subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD, cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return float(re.findall(r"validation accuracy (\d\.\d{4})", done.stdout)[-1])


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_before_and_after_reach_the_same_validation_accuracy(diff, photos, tmp_path):
    if reason := missing(diff.stem):
        pytest.skip(f"{diff.stem} cannot be imported: {reason}")
    reached = []
    for name, signs in (("before", BEFORE), ("after", AFTER)):
        program = tmp_path / f"{name}.py"
        constants = {"FOLDER": photos, **CONSTANTS[diff.stem]}
        program.write_text(with_constants(side(diff, signs), constants))
        reached.append(accuracy(program))
    assert min(reached) > 0.9 and abs(reached[0] - reached[1]) < 0.1

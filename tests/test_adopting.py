"""pipelines/adopt/: few lines change in a program that one has, and both versions train alike."""

import importlib.util
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


BOTH = """
import runpy
for name in ("before", "after"):
    print(name)
    runpy.run_path(f"{name}.py", run_name="__main__")
"""


def python(source, place):
    """In a process of its own: frameworks import much, and warn; broken ones stay broken."""
    command = [sys.executable, "-W", "ignore", "-c", source]
    return subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD, cwd=place)


def skip_without(name, place):
    if name == "dali":
        return
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if (tried := python(f"import {name}", place)).returncode:
        pytest.skip(f"{name} cannot be imported: {tried.stderr.splitlines()[-1]}")


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_before_and_after_reach_the_same_validation_accuracy(diff, photos, tmp_path):
    skip_without(diff.stem, tmp_path)
    constants = {"FOLDER": photos, **CONSTANTS[diff.stem]}
    for name, signs in (("before", BEFORE), ("after", AFTER)):
        program = with_constants(side(diff, signs), constants)
        (tmp_path / f"{name}.py").write_text(program)
    done = python(BOTH, tmp_path)
    assert done.returncode == 0, done.stderr
    reached = [
        float(re.findall(r"validation accuracy (\d\.\d{4})", said)[-1])
        for said in done.stdout.split("after\n")
    ]
    assert len(reached) == 2 and min(reached) > 0.9 and abs(reached[0] - reached[1]) < 0.1

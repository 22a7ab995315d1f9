"""The programs in pipelines/ for other labels, without labels, and inside of frameworks."""

import csv
import importlib.util
import math
import re
import subprocess
import sys

import numbered
import numpy as np
import pytest
from PIL import Image
from programs import ONE_THREAD, changed, jpeg, namespace, photos_in, run_here

torch = pytest.importorskip("torch")

from dali_mix import MixLoss  # noqa: E402

SMALL = {"SIZE": 16, "BATCH_SIZE": 8}


@pytest.fixture
def photos(tmp_path):
    return photos_in(tmp_path / "photos")


def write_list(place, rows):
    with open(place / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file", "labels"), *rows])
    return {"LIST": place / "list.csv", "FOLDER": place}


@pytest.fixture
def colours(tmp_path):
    """Of 40 images: which of red and blue are strong, and how light green is."""
    chance, words, numbers = np.random.default_rng(0), [], []
    for index in range(40):
        red, blue = chance.integers(0, 2, 2)
        green = int(chance.integers(0, 256))
        (tmp_path / f"{index}.jpg").write_bytes(jpeg((220 * red, green, 220 * blue)))
        labels = " ".join(name for name, has in (("red", red), ("blue", blue)) if has)
        words.append((f"{index}.jpg", labels))
        numbers.append((f"{index}.jpg", green / 255))
    return words, numbers


# label_vectors


def test_label_vectors_learn_which_colours_are_there(colours, tmp_path):
    places = write_list(tmp_path, colours[0])
    out, _ = run_here(tmp_path, "label_vectors", **places, **SMALL, EPOCHS=20)
    assert out.startswith("validation on 8 images: loss 0.")
    errors = dict(re.findall(r"(red|blue) +mean absolute error (\d\.\d+)", out))
    assert errors.keys() == {"red", "blue"}
    assert all(float(error) < 0.2 for error in errors.values())


@pytest.mark.parametrize("mix", ["losses", "labels"])
def test_label_vectors_learn_a_number_by_either_meaning(colours, tmp_path, mix):
    places = write_list(tmp_path, colours[1])
    text = changed(tmp_path, "label_vectors", **places, **SMALL, EPOCHS=30, TASK="number")
    source = re.sub(
        r"^CRITERION = .*$",
        f'CRITERION = MixLoss(nn.L1Loss(), mix="{mix}")',
        text.read_text(),
        flags=re.MULTILINE,
    )
    program = {"__name__": "number"}
    exec(compile(source, "number.py", "exec"), program)
    errors = []
    program["print"] = lambda line: errors.append(float(line.split()[-1]))
    program["main"]()
    assert errors[-1] < 0.2  # a guess of 0.5 is off by a quarter


def test_label_vectors_reads_rows_without_labels(tmp_path):
    rows = [("0.jpg", "red blue"), ("1.jpg",), ("2.jpg", ""), ("3.jpg", "red")]
    program = namespace(tmp_path, "label_vectors", **write_list(tmp_path, rows))
    files, words, table = program["read_list"]()
    assert files == tuple(f"{k}.jpg" for k in range(4)) and words == ["blue", "red"]
    assert table.tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]


@pytest.mark.parametrize("row", [("1.jpg",), ("1.jpg", ""), ("1.jpg", "nan"), ("1.jpg", "-inf")])
def test_label_vectors_name_a_row_without_a_number(tmp_path, row):
    places = write_list(tmp_path, [("0.jpg", "1"), row])
    program = namespace(tmp_path, "label_vectors", **places, TASK="number")
    with pytest.raises(ValueError, match=r"labels of '1.jpg' in .* must be a finite number"):
        program["read_list"]()


def test_the_two_meanings_differ_as_the_program_says():
    own, partner, lam = (torch.rand(64, 1) for _ in range(3))
    p = torch.rand(64, 1)
    for criterion in (torch.nn.MSELoss(), torch.nn.L1Loss()):
        losses, labels = (
            MixLoss(criterion, mix=mix)(p, own, partner, lam) for mix in ("losses", "labels")
        )
        difference = lam * (1 - lam) * (own - partner) ** 2
        if isinstance(criterion, torch.nn.MSELoss):
            torch.testing.assert_close(losses - labels, difference.mean())
        else:
            assert losses > labels  # convex


# mean_teacher


def discs(place, part, count, maps=True):
    """Photographs of noise with one light disc each, and maps in which the disc is class 1."""
    chance = np.random.default_rng(count)
    for kind in ("images", "maps") if maps else ("images",):
        (place / part / kind).mkdir(parents=True)
    y, x = np.mgrid[:40, :48]
    for k in range(count):
        at = chance.integers(10, 30, 2)
        disc = (y - at[0]) ** 2 + (x - at[1]) ** 2 < 80
        image = np.where(disc, 200, 40)[..., None] + chance.integers(-30, 30, (40, 48, 3))
        Image.fromarray(image.astype(np.uint8)).save(place / part / "images" / f"{k}.png")
        if maps:
            Image.fromarray(disc.astype(np.uint8)).save(place / part / "maps" / f"{k}.png")


def test_mean_teacher_learns_from_few_maps(tmp_path):
    discs(tmp_path, "train", 3)
    discs(tmp_path, "val", 5)
    discs(tmp_path, "more", 12, maps=False)
    small = {"FOLDER": tmp_path, "CLASSES": 2, "SIZE": 32, "BATCH_SIZE": 4, "EPOCHS": 20}
    out, err = run_here(tmp_path, "mean_teacher", **small, DECAY=0.8, SURE=0.7)
    shares = [float(share) for share in re.findall(r"([\d.]+)% of the pixels", out)]
    assert len(shares) == 20 and not err
    assert shares[-1] > 95  # the ground alone is 87 %


def test_mean_teacher_gives_the_student_what_the_teacher_says_of_its_pixels(tmp_path):
    """A teacher that answers with what it sees: the mixed answers are the mixed pixels."""
    discs(tmp_path, "train", 4)
    discs(tmp_path, "more", 8, maps=False)
    program = namespace(tmp_path, "mean_teacher", FOLDER=tmp_path, SIZE=32, BATCH_SIZE=4)
    options = {"reader_name": "more images", "mixed": False, "plan": True}
    with program["MixLoader"](program["training_pipeline"](), **options) as batches:
        for x, (maps, weak, strong), plan in batches:
            assert x.shape == weak.shape == strong.shape == (4, 3, 32, 32)
            assert set(maps.unique().tolist()) == {0, 1}  # in the order of the images
            assert ((x.mean(1) > 0) == (maps == 1)).float().mean() > 0.95
            said = (weak.mean(1) > 0).long()
            (mixed,) = program["training"].apply_mask(said, plan, count=1)
            seen = strong.mean(1) > 0
            assert (seen == mixed).float().mean() > 0.9
            assert (mixed != said).any()


# lightning_module and fastai_learner


def alone(place, name, **constants):
    """What it prints in a process of its own: frameworks import much, and warn."""
    path = changed(place, name, **constants)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", path],
        capture_output=True,
        text=True,
        env=ONE_THREAD,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lightning(place, folder, batch_size, **trainer):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    quiet = {"logger": False, "enable_checkpointing": False, "log_every_n_steps": 1}
    constants = {
        "FOLDER": folder,
        "LOADER": {"batch_size": batch_size, "size": 16, "num_threads": 1},
        "TRAINER": {"accelerator": "cpu", **quiet, **trainer},
        "LEARNING_RATE": 1e-9,
    }
    out = alone(place, "lightning_module", **constants)
    found = re.findall(r"^(.+): (\d+\.\d{4})$", out, re.MULTILINE)
    metrics = {name: float(value) for name, value in found}
    assert len(found) == len(metrics)
    assert metrics.keys() == {"loss", "training accuracy", "validation accuracy", "validation loss"}
    return metrics


def test_lightning_averages_the_validation_loss_over_the_images_of_all_ranks(tmp_path):
    numbered.write(tmp_path / "train", 17)
    numbered.write(tmp_path / "val", 5)  # 2 and 3 for two ranks: one batch and two
    metrics = lightning(tmp_path, tmp_path, 2, max_epochs=1, devices=2, num_sanity_val_steps=0)
    # A model that has not learnt yet gives each of 17 classes about the same weight.
    assert metrics["validation loss"] == pytest.approx(math.log(17), rel=0.1)


def test_fastai_trains_and_validates(photos, tmp_path):
    if importlib.util.find_spec("fastai") is None:
        pytest.skip("fastai is not installed")
    loader = {"batch_size": 4, "size": 16, "num_threads": 1}
    out = alone(tmp_path, "fastai_learner", FOLDER=photos, LOADER=loader, EPOCHS=2)
    assert re.search(r"validation loss \d\.\d{4}, accuracy [01]\.\d{4}\n", out)

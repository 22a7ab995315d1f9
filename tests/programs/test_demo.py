"""The demo in short: files with wrong labels, a table, pictures, and numbers that fit them."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from programs import run_here

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from dali_mix.measure import wrong_labels  # noqa: E402


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Where it wrote, and what it printed."""
    place = tmp_path_factory.mktemp("demo")
    small = {"EPOCHS": 6, "SEEDS": 2, "TRAIN": 400}
    out, _ = run_here(place, "demo", OUTPUT=place / "demo", **small)
    return place / "demo", out


def label_and_digit(path):
    return path.parent.name, path.stem[-1]


def test_the_share_that_is_said_has_wrong_labels_and_the_test_images_have_none(demo):
    pairs = {
        part: [label_and_digit(path) for path in (demo[0] / "data" / part).glob("*/*.jpg")]
        for part in ("train", "test")
    }
    assert {part: len(files) for part, files in pairs.items()} == {"train": 400, "test": 1397}
    wrong = [label != digit for label, digit in pairs["train"]]
    assert sum(wrong) == 160 and all(label == digit for label, digit in pairs["test"])
    # Wrong labels are of any class, and no digit is spared.
    mistaken = [pair for pair, is_wrong in zip(pairs["train"], wrong, strict=True) if is_wrong]
    assert {label for label, _ in mistaken} == {digit for _, digit in mistaken} == {*"0123456789"}


def test_the_file_holds_what_the_table_says(demo):
    results = json.loads((demo[0] / "results.json").read_text())
    assert [result["mixing"] for result in results] == ["none", "mixup", "cutmix"]
    for result in results:
        assert result.keys() == {"mixing", "accuracy", "wrong_labels_learnt", "nll", "seeds"}
        assert 0 <= result["accuracy"] <= 1 and 0 <= result["wrong_labels_learnt"] <= 1
        assert result["nll"] > 0 and result["seeds"] == 2
        number = r" +(\d+\.\d+) ± \d+\.\d+"
        row = re.search(rf"^{result['mixing']}{4 * number}$", demo[1], re.MULTILINE)
        said = [float(row[1]) / 100, float(row[2]) / 100, float(row[3])]
        found = [result["accuracy"], result["wrong_labels_learnt"], result["nll"]]
        assert said == pytest.approx(found, abs=0.006)
        assert 10 <= float(row[4]) <= 100
    told = " ".join(demo[1].split())
    assert "With clean labels, and digits as easy as these, mixing gains nothing" in told
    assert "standard deviation of 2 seeds, after 6 epochs" in told


def test_it_draws_the_curves_and_what_the_networks_saw(demo):
    for name in ("curves", "mixup", "cutmix"):
        with Image.open(demo[0] / f"{name}.png") as picture:
            assert picture.width > 1000 and np.array(picture.convert("L")).std() > 10


class Sure(torch.nn.Module):
    """Guesses the class that an image names, with this confidence."""

    def __init__(self, confidence):
        super().__init__()
        self.logit = np.log(confidence / ((1 - confidence) / 9))

    def forward(self, images):
        return self.logit * torch.nn.functional.one_hot(images.long(), 10)


def test_evaluate_counts_what_is_right_and_what_is_learnt_by_heart():
    # Of 6 training images two have right labels; of the others the network has learnt three.
    labels, digits = torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([1, 2, 0, 0, 0, 0])
    training = torch.tensor([1, 2, 3, 4, 5, 0]), labels, digits
    test = torch.tensor([7, 7, 7, 7]), torch.tensor([7, 7, 7, 8]), torch.tensor([7, 7, 7, 8])
    accuracy, learnt, nll, confidence = wrong_labels.evaluate(Sure(0.9), training, test)
    assert accuracy == 0.75 and learnt == 0.75
    assert confidence == pytest.approx(0.9)
    assert nll == pytest.approx(-(3 * np.log(0.9) + np.log(0.1 / 9)) / 4, rel=1e-5)


def test_without_wrong_labels_none_is_learnt():
    images = torch.arange(10)
    found = wrong_labels.evaluate(Sure(0.9), (images, images, images), (images, images, images))
    assert found[:2] == (1.0, 0.0)

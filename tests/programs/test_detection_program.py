"""pipelines/detection.py: it makes a data set, mixes it, and trains; and what its batches hold."""

import json
import re

import numpy as np
import pytest
from programs import namespace, run_here

torch = pytest.importorskip("torch")

from dali_mix import BoxTarget, MixLoader  # noqa: E402

SMALL = {"IMAGES": 21, "BATCH_SIZE": 5, "EPOCHS": 3}


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = namespace(tmp_path, "detection", **SMALL)
    program["make_set"]()
    return program


def test_it_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, err = run_here(tmp_path, "detection", **SMALL)
    losses = re.fullmatch("".join(rf"epoch {k}: loss (\S+)\n" for k in range(3)), out).groups()
    assert not err and float(losses[-1]) < float(losses[0])


def test_the_set_is_of_coco(program, tmp_path):
    told = json.loads((tmp_path / "rectangles.json").read_text())
    assert len(told["images"]) == 21 and 21 <= len(told["annotations"]) <= 63
    assert len({(row["height"], row["width"]) for row in told["images"]}) > 15


def test_boxes_lie_around_what_the_images_show(program):
    """Rectangles have one colour, far from the noise: of boxes that are mixed with nothing, the
    pixels have the colour of the label."""
    mean, std = (
        torch.tensor(program["recipes"].__dict__[f"IMAGENET_{n}"]) for n in ("MEAN", "STD")
    )
    right, weights = [], []
    with MixLoader(program["pipeline"](seed=4)) as loader:
        assert len(loader) == 4
        for x, target in [batch for _ in range(5) for batch in loader]:
            assert isinstance(target, BoxTarget) and len(target) == len(x) == 5
            assert x.shape == (5, 3, 128, 128)
            pixels = x.permute(0, 2, 3, 1) * std + mean
            for image, row in zip(pixels, target.scaled(128, 128), strict=True):
                weights += row["weights"].tolist()
                for box, label, weight in zip(*row.values(), strict=True):
                    left, top, right_, bottom = box.round().int().tolist()
                    inside = image[top + 2 : bottom - 2, left + 2 : right_ - 2]
                    if weight == 1 and inside.numel():
                        color = inside.flatten(0, 1).median(0).values.numpy()
                        distance = np.abs(np.array(program["COLORS"]) - color).sum(1)
                        right.append(distance.argmin() == label - 1 and distance.min() < 60)
    # A rectangle may hide most of another one.
    assert len(right) > 150 and np.mean(right) > 0.9
    weights = np.array(weights)
    assert ((weights < 0.56) | (weights == 1)).all() and (weights >= 0.45 - 1e-6).all()
    assert 0.1 < np.mean(weights < 1) < 0.7


def test_a_loader_goes_on_where_it_was_saved(program):
    with MixLoader(program["pipeline"](seed=1)) as loader:
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        expected = [(x, target) for x, target in batches]
    with MixLoader(program["pipeline"](seed=1)) as other:
        other.load_state_dict(state)
        for (x, target), (right, row) in zip(other, expected, strict=True):
            assert torch.equal(x, right)
            for one, two in zip(target.flat(), row.flat(), strict=True):
                assert torch.equal(one, two)

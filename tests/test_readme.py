"""The README: its code runs in the order given, and its numbers are right."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dali_mix import reference

README = (Path(__file__).parent.parent / "README.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the examples read: 40 noisy images in 4 classes, beside the process."""
    chance = np.random.default_rng(0)
    for index in range(40):
        folder = tmp_path / "photos" / f"class{index % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = chance.integers(0, 256, (40, 48 + index, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_every_block_of_code_runs_and_gives_what_its_comment_says(photos):
    pytest.importorskip("torch")
    names: dict = {}
    outputs = {}
    for place, code in enumerate(CODE):
        exec(compile(code, f"README.md, block {place}", "exec"), names)
        outputs[place] = dict(names)
    assert len(CODE) == 8
    assert outputs[0]["x"].as_tensor().shape() == [32, 3, 224, 224]
    assert outputs[0]["y1"].as_tensor().shape() == [32, 1]
    assert outputs[0]["lam"].as_tensor().shape() == [32]
    assert np.isclose(np.array(outputs[1]["lam"].as_tensor()), 1).any()
    assert "FLOAT16" in str(outputs[2]["x"].dtype)
    assert outputs[6]["raw"].as_tensor().shape() == [32, 224, 224, 3]
    assert outputs[6]["box"].as_tensor().shape() == [32, 4]
    assert tuple(outputs[7]["x"].torch().shape[1:]) == (3, 224, 224)
    check_torch_blocks(*(outputs[place] for place in (3, 4, 5)))


def check_torch_blocks(loop, folder, manifold):
    x, target = loop["x"], loop["target"]
    assert x.shape == (32, 3, 224, 224)
    assert [part.shape for part in target] == [(32,)] * 3
    assert [str(part.dtype) for part in target] == ["torch.int64", "torch.int64", "torch.float32"]
    assert loop["loss"].isfinite() and len(loop["loader"]) == 1
    assert len(folder["loader"]) == len(folder["validation"]) == 2  # 40 images
    assert folder["target"].batch_size == 8  # of the second batch
    assert manifold["loss"].isfinite() and manifold["target"].partner.shape == (32,)


def test_every_program_is_in_the_table_and_none_else():
    listed = re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE)
    there = [path.name for path in (Path(__file__).parent.parent / "pipelines").glob("*.py")]
    assert sorted(listed) == sorted(there)


def test_the_mean_of_folded_lam_is_as_the_table_says():
    rows = re.search(r"^\| alpha \|(.*)\|$\n.*\n^\| mean of .*? \|(.*)\|$", README, re.MULTILINE)
    alphas, means = ([float(cell) for cell in row.split("|")] for row in rows.groups())
    assert len(alphas) == 5
    chance = np.random.default_rng(0)
    for alpha, mean in zip(alphas, means, strict=True):
        measured = reference.fold(chance.beta(alpha, alpha, 2_000_000)).mean()
        assert measured == pytest.approx(mean, abs=1e-3)


def test_the_box_law_is_as_the_limits_say():
    stated = re.search(r"32 by 32 pixels, at alpha 1,\s+(\d+) %\s+against\s+(\d+) %", README)
    assert stated
    covered = np.zeros((2, 1000))
    for place, t in enumerate((np.arange(1000) + 0.5) / 1000):  # Beta(1, 1) is uniform
        for center in range(32):
            y0, _, y1, _ = reference.cut_box(t, (center, 0), (32, 32))
            covered[:, place] += [y0 <= 16 < y1, y0 <= 0 < y1]
    # Rows and columns are drawn apart, from one t.
    middle, corner = 100 * ((covered / 32) ** 2).mean(1)
    assert (round(middle), round(corner)) == tuple(int(number) for number in stated.groups())

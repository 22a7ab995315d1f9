"""README and METHODS.md: code and commands run as they stand there, and numbers are right."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dali_mix import reference
from dali_mix.commands import cli
from dali_mix.methods import METHODS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CARDS = (ROOT / "METHODS.md").read_text()


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


def names_after_each_block(text: str) -> list[dict]:
    """Runs the blocks of code one after the other; what there is after each."""
    names: dict = {}
    after = []
    for code in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(code, f"block {len(after)}", "exec"), names)
        after.append(dict(names))
    return after


def test_every_block_of_code_runs_and_gives_what_its_comment_says(photos):
    pytest.importorskip("torch")
    outputs = names_after_each_block(README)
    first, varied, recipe, loop, folder, manifold, maps, schedule, salient, dynamic, timm = outputs
    assert first["x"].as_array().shape == (32, 3, 224, 224)
    assert first["y1"].as_array().shape == (32, 1) and first["lam"].as_array().shape == (32,)
    assert np.isclose(varied["lam"].as_array(), 1).any()
    assert "FLOAT16" in str(recipe["x"].dtype)
    assert maps["small"].as_array().shape == (32, 3, 96, 96)
    assert (maps["y1"].as_array() == maps["y2"].as_array()).all()
    assert maps["y1"].as_array().shape == (32, 224, 224)
    assert schedule["target"].ys.shape == schedule["target"].weights.shape == (32, 4)
    assert schedule["loss"].isfinite()
    assert ((lam := salient["lam"].as_array()) > 0.1).all() and (lam < 0.9).all()
    assert len(np.unique(timm["lam"].as_array())) > 16
    assert tuple(dynamic["x"].torch().shape[1:]) == (3, 224, 224)
    check_torch_blocks(loop, folder, manifold)


def check_torch_blocks(loop, folder, manifold):
    x, target = loop["x"], loop["target"]
    assert x.shape == (32, 3, 224, 224)
    assert [part.shape for part in target] == [(32,)] * 3
    assert [str(part.dtype) for part in target] == ["torch.int64", "torch.int64", "torch.float32"]
    assert loop["loss"].isfinite() and len(loop["loader"]) == 1
    assert len(folder["loader"]) == len(folder["validation"]) == 2  # 40 images
    assert folder["target"].batch_size == 8  # of the second batch
    assert manifold["loss"].isfinite() and manifold["target"].partner.shape == (32,)


def test_every_card_runs_and_gives_what_its_comment_says(photos):
    definitions, *cards, several = names_after_each_block(CARDS)
    assert len(cards) == len(METHODS) and "mixed_by" in definitions
    for kind, names in zip(METHODS, cards, strict=True):
        images = kind().images
        shares = names["weights" if images > 2 else "lam"].as_array()
        assert ((shares >= 0) & (shares <= 1)).all() and (shares.reshape(32, -1)[:, 0] < 1).any()
        assert shares.shape == ((32, images) if images > 2 else (32,))
        labels = names["ys" if images > 2 else "y2"].as_array()
        assert labels.shape == ((32, images, 1) if images > 2 else (32, 1))
        assert names["x"].as_array().shape == (32, 3, 224, 224)
    assert several["weights"].as_array().shape == (32, 4)


def test_every_method_has_a_card_and_a_row_in_both_tables():
    names = [kind.__name__ for kind in METHODS]
    assert re.findall(r"^## (\w+)$", CARDS, re.MULTILINE) == names
    assert re.findall(r"^\| \[(\w+)\]\(#\w+\) \|", CARDS, re.MULTILINE) == names
    listed = r"^\| \[`(\w+)`\]\(METHODS\.md#(\w+)\) \|"
    assert re.findall(listed, README, re.MULTILINE) == [(n, n.lower()) for n in names]


@pytest.mark.parametrize(
    "command", re.findall(r"^    dali-mix (preview .*)$", CARDS + README, re.M)
)
def test_every_picture_can_be_made(photos, command):
    words = shlex.split(command, comments=True)
    assert cli.main([*words, "--size", "32"]) == 0
    with Image.open(words[words.index("-o") + 1]) as picture:
        assert picture.width > 500


def test_every_program_is_in_the_table_and_none_else():
    listed = re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE)
    there = [path.name for path in (Path(__file__).parents[2] / "pipelines").glob("*.py")]
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

"""Examples of the pages on folders of their kind: classes with few images, images of any size."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import jpeg

DOCS = Path(__file__).parents[2] / "docs"
COUNTS = [40, 7, 2]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for label, count in enumerate(COUNTS):
        folder = tmp_path / "photos" / "train" / f"class{label}"
        folder.mkdir(parents=True)
        for k in range(count):
            # DALI shares open files by their paths, and other tests read photos/train/class0/0.jpg.
            (folder / f"red{k}.jpg").write_bytes(jpeg((80 * label, 0, 0)))
    monkeypatch.chdir(tmp_path)


def example(page, name):
    """What the block of the page that defines `name` defines, without its last line."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (code,) = (code for code in blocks if f"def {name}(" in code)
    names = {"code": code}
    exec(code.rpartition("\nx, ")[0], names)
    return names


def test_balanced_mixup_is_as_the_page_says(photos):
    names = example("recipes.md", "balanced")
    pipeline = names["balanced"](seed=1)
    outputs = [[np.array(part.as_array()) for part in pipeline.run()] for _ in range(15)]
    x, y1, y2, lam = (np.concatenate(part) for part in zip(*outputs, strict=True))
    own, partners = (np.bincount(y.ravel(), minlength=3) / y.size for y in (y1, y2))
    np.testing.assert_allclose(own, np.array(COUNTS) / sum(COUNTS), atol=0.05)
    np.testing.assert_allclose(partners, 1 / 3, atol=0.05)
    stated = float(re.search(r"the mean of lam is ([\d.]+)", names["code"])[1])
    assert abs(lam.mean() - stated) < 4 * np.sqrt(0.063 / lam.size)  # its variance
    assert stated == round(1 - 0.2 / 1.2, 2)
    # Red tells the class; JPEG and the decoder may miss a level by a little.
    red = (lam * y1.ravel() + (1 - lam) * y2.ravel()) * 80 / 255
    np.testing.assert_allclose(x[:, 0].mean((1, 2)), red, atol=0.02)


def test_pairs_of_different_sizes_are_as_the_page_says(tmp_path, monkeypatch):
    """Each image is of one level and of its own size; files are in one class each."""
    sizes = [(11, 31), (23, 7), (17, 17), (40, 13), (5, 29)]
    for k, size in enumerate(sizes):
        path = tmp_path / "photos" / "train" / str(k) / "0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((*size, 3), 40 * k + 5, np.uint8)).save(path)
    monkeypatch.chdir(tmp_path)
    pipeline = example("travel.md", "of_any_size")["of_any_size"](batch_size=5, seed=2)
    mixed = 0
    for _ in range(20):
        x, size, y1, y2, lam = (np.array(part.as_array()) for part in pipeline.run())
        assert x.shape == (5, 3, max(size[:, 0]), max(size[:, 1]))
        for image, (h, w), own, partner, share in zip(x, size, y1, y2, lam, strict=True):
            height, width = sizes[own.item()]
            assert 160 <= max(h, w) <= 480 and abs(h / w - height / width) < 0.15
            assert own != partner or share == 1
            level = share * (40 * own.item() + 5) + (1 - share) * (40 * partner.item() + 5)
            assert abs(255 * image[0, :h, :w].mean() - level) < 0.01
            mixed += share < 0.9
    assert mixed > 30

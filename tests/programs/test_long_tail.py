"""What docs/recipes.md says of classes with few images, on a folder that has such classes."""

import re
from pathlib import Path

import numpy as np
import pytest
from programs import jpeg

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
COUNTS = [40, 7, 2]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for label, count in enumerate(COUNTS):
        folder = tmp_path / "photos" / "train" / f"class{label}"
        folder.mkdir(parents=True)
        for k in range(count):
            (folder / f"{k}.jpg").write_bytes(jpeg((80 * label, 0, 0)))
    monkeypatch.chdir(tmp_path)


def test_balanced_mixup_is_as_the_page_says(photos):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = (code for code in blocks if "def balanced" in code)
    names = {}
    exec(code.rpartition("\nx, y1")[0], names)
    pipeline = names["balanced"](seed=1)
    outputs = [[np.array(part.as_array()) for part in pipeline.run()] for _ in range(15)]
    x, y1, y2, lam = (np.concatenate(part) for part in zip(*outputs, strict=True))
    own, partners = (np.bincount(y.ravel(), minlength=3) / y.size for y in (y1, y2))
    np.testing.assert_allclose(own, np.array(COUNTS) / sum(COUNTS), atol=0.05)
    np.testing.assert_allclose(partners, 1 / 3, atol=0.05)
    stated = float(re.search(r"the mean of lam is ([\d.]+)", code)[1])
    assert abs(lam.mean() - stated) < 4 * np.sqrt(0.063 / lam.size)  # its variance
    assert stated == round(1 - 0.2 / 1.2, 2)
    # Red tells the class; JPEG and the decoder may miss a level by a little.
    red = (lam * y1.ravel() + (1 - lam) * y2.ravel()) * 80 / 255
    np.testing.assert_allclose(x[:, 0].mean((1, 2)), red, atol=0.02)

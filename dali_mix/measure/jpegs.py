"""Photographs to measure with: a folder of the user's, or synthetic ones."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((500, 375), (375, 500), (500, 333), (640, 480), (400, 400), (480, 640), (333, 500))
"""Widths and heights of the synthetic photographs: the most frequent ones of ImageNet."""
TEXTURE = 20.0
"""Standard deviation of the finest detail, in grey levels. It gives files of about 100 kB."""


@contextlib.contextmanager
def photographs(folder: Path | None, count: int, seed: int) -> Iterator[Path]:
    """`folder`, which must hold images in class folders; None: a temporary folder of `count`
    synthetic photographs."""
    if folder is not None:
        images_of(folder)
        yield folder
        return
    with tempfile.TemporaryDirectory() as made:
        yield synthetic(Path(made), count=count, classes=8, seed=seed)


def synthetic(folder: Path, *, count: int, classes: int, seed: int) -> Path:
    """Write `count` JPEG files of about 100 kB, in `classes` folders. Like photographs, they have
    much variation at large scales and less at small ones. A seed always gives the same files."""
    from PIL import Image

    chance = np.random.default_rng(seed)
    for index in range(count):
        target = folder / f"class{index % classes}"
        target.mkdir(parents=True, exist_ok=True)
        photo = Image.fromarray(_photo(chance, *SIZES[index % len(SIZES)]))
        photo.save(target / f"{index:05}.jpg", quality=90)
    return folder


def _photo(chance: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: noise at every scale, the coarser the stronger."""
    from PIL import Image

    pixels = np.full((height, width, 3), 128.0)
    cells, strength = 2, 48.0
    while cells < max(width, height):
        coarse = chance.standard_normal((cells, cells, 3)).astype(np.float32)
        planes = [
            Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC)
            for c in range(3)
        ]
        pixels += strength * np.stack([np.asarray(plane) for plane in planes], -1)
        cells, strength = 2 * cells, max(strength * 0.7, TEXTURE)
    return pixels.clip(0, 255).astype(np.uint8)


def images_of(folder: str | os.PathLike[str]) -> list[Path]:
    """The images in the class folders of `folder`; a ValueError if there are none."""
    from dali_mix.images.class_folders import class_folders, fault_of, listed

    root = Path(folder)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise ValueError(f"{root} {what}; name a folder with one folder of images for each class.")
    if all(fault_of(root / name) is not None for name in class_folders(root)):
        raise ValueError(
            f"{root} must hold one folder of images for each class, got none with an image in it."
        )
    return [root / name for name in listed(root).names]


def described(files: list[Path]) -> dict[str, Any]:
    """Number of files, and their mean size in kB."""
    return {
        "files": len(files),
        "mean_kb": float(np.mean([path.stat().st_size for path in files])) / 1e3,
    }

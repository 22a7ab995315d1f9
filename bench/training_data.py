"""The images of bench/training.py, which are trained on and which are tested on. No DALI here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

Files = list[tuple[str, int]]
"""Paths of images, and their labels."""


@dataclass(frozen=True)
class Data:
    """A data set and how its images are read."""

    name: str
    train: Files
    """What every seed draws its training images from."""
    test: Files
    classes: int
    size: int
    """Height and width that the network sees."""
    channels: int
    area: tuple[float, float]
    """Of the random crop, as a share of the image."""
    aspect: tuple[float, float]
    mirror: float
    """Probability of a horizontal flip."""

    @property
    def smallest_class(self) -> int:
        """How many training images there are of the rarest class."""
        return int(np.bincount([label for _, label in self.train], minlength=self.classes).min())

    def can_draw(self, count: int) -> bool:
        each, rest = divmod(count, self.classes)
        return count == len(self.train) or (rest == 0 and each <= self.smallest_class)

    def drawn(self, count: int, seed: int) -> Files:
        """`count` training images: all there are, or the same number of every class."""
        if count == len(self.train):
            return self.train
        random = np.random.default_rng(seed)
        each, files = count // self.classes, []
        for label in range(self.classes):
            of_class = [file for file in self.train if file[1] == label]
            files += [of_class[i] for i in random.permutation(len(of_class))[:each]]
        return files


def digits(folder: Path) -> Data:
    """The 1,797 handwritten digits of scikit-learn as JPEG files: the first half to train on.

    They are 8 x 8 pixels, enlarged to 16 x 16 with a margin. They are not shuffled before the
    split: neighbours in the file are often of one hand, and the test is to be on other hands.
    """
    source = load_digits()
    files: Files = []
    for index, (pixels, label) in enumerate(zip(source.images, source.target, strict=True)):
        path = folder / f"{index:04}.jpg"
        digit = Image.fromarray(np.uint8(pixels * (255 / 16)))
        digit = digit.resize((16, 16), Image.Resampling.BICUBIC)
        ImageOps.expand(digit, border=4).save(path, quality=95)
        files.append((str(path), int(label)))
    half = len(files) // 2
    return Data("digits", files[:half], files[half:], 10, 24, 1, (0.7, 1.0), (0.85, 1.18), 0.0)


def image_folder(root: Path, size: int) -> Data:
    """root/train and root/val, each with one folder of images for each class."""
    from dali_mix import recipes  # loads DALI

    for part in ("train", "val"):
        if not (root / part).is_dir():
            raise ValueError(f"must be a folder that holds train and val, got {root}")
    classes = recipes.class_names(root / "train")
    if recipes.class_names(root / "val") != classes:
        raise ValueError(f"must hold the same classes in train and val, got {root}")
    parts = [
        [
            (str(path), label)
            for label, name in enumerate(classes)
            for path in sorted((root / part / name).iterdir())
            if recipes.is_image(path.name)
        ]
        for part in ("train", "val")
    ]
    if not all(parts):
        raise ValueError(f"must hold images in its class folders, got {root}")
    return Data(root.name, *parts, len(classes), size, 3, (0.25, 1.0), (3 / 4, 4 / 3), 0.5)

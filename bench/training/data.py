"""Writes training and test images as folders with one folder for each class, and wrong labels."""

import os
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

WRONG = "wrong-"
"""Names of files in the folder of a wrong class begin with this."""
RULE = (
    "a NumPy archive of x_train, y_train, x_test and y_test, or a tar of NAME/train/CLASS/FILE and "
    "NAME/test/CLASS/FILE"
)


class Data(NamedTuple):
    """A data set in two folders. `size` is the height and width in pixels."""

    name: str
    train: Path
    test: Path
    size: int
    classes: int


def unpacked(path: Path, folder: Path, only: tuple[int, ...] = ()) -> Data:
    """Write the images of a file into `folder`. `only`: take these classes of a NumPy archive.

    ValueError: the file is not of the kind in RULE.
    """
    try:
        if path.suffix == ".tar":
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
            (root,) = folder.iterdir()
        else:
            root = folder / path.stem
            _write(path, root, only)
        with Image.open(next(root.glob("train/*/*"))) as image:
            size = image.height
        classes = len(list((root / "test").iterdir()))
    except (tarfile.TarError, OSError, KeyError, ValueError, StopIteration) as error:
        raise ValueError(f"{path} must be {RULE}, got: {error or 'other names'}") from error
    return Data(root.name, root / "train", root / "test", size, classes)


def _write(path: Path, root: Path, only: tuple[int, ...]) -> None:
    """Write the images of a NumPy archive as PNG files, which are lossless."""
    with np.load(path, allow_pickle=False) as archive:
        for part in ("train", "test"):
            pairs = zip(archive[f"x_{part}"], archive[f"y_{part}"].tolist(), strict=True)
            for index, (pixels, label) in enumerate(pairs):
                if not only or label in only:
                    place = root / part / str(label)
                    place.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(place / f"{index:05}.png", compress_level=1)


def corrupted(data: Data, folder: Path, share: float, seed: int) -> Data:
    """The same files, but a share of them is in the folder of another class, drawn evenly."""
    names = sorted(path.name for path in data.train.iterdir())
    files = [path for name in names for path in sorted((data.train / name).iterdir())]
    chance = np.random.default_rng(seed)
    wrong = set(chance.permutation(len(files))[: round(share * len(files))].tolist())
    for name in names:
        (folder / name).mkdir(parents=True)
    for index, path in enumerate(files):
        own = place = path.parent.name
        if index in wrong:
            place = str(chance.choice([name for name in names if name != own]))
        mark = WRONG if index in wrong else ""
        os.link(path, folder / place / f"{mark}{own}-{path.name}")
    return data._replace(train=folder)


def wrong_files(data: Data) -> list[str]:
    """Names of the files in a wrong folder, relative to the training folder."""
    return sorted(str(path.relative_to(data.train)) for path in data.train.glob(f"*/{WRONG}*"))

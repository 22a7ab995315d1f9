"""Draw a contact sheet of mixed images of a folder: own, partners, mixed, lam and labels.

batch.py mixes the images; sheet.py draws.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dali_mix.commands.limits import check_pixels
from dali_mix.commands.output_file import check_writable
from dali_mix.commands.preview.annotations import boxes_of
from dali_mix.images.names import shown
from dali_mix.methods import Method
from dali_mix.methods.words import KINDS, method_of, words_of

if TYPE_CHECKING:
    import numpy as np

    from dali_mix.commands.preview.sheet import Row

_OF_ALL = 2
"""Rows for each method if all methods are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="images, or one folder of images for each class")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("preview.png"), help="file to write (%(default)s)"
    )
    parser.add_argument(
        "--method",
        choices=(*KINDS, "all"),
        default="all",
        help=f"all: each on the same {_OF_ALL} images (%(default)s)",
    )
    parser.add_argument("--alpha", help="the same as --option alpha=ALPHA")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the method, such as place=inside or scope=0.2,0.5; may be repeated",
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="ANNOTATIONS",
        help="JSON file in COCO's format: draw the bounding boxes, and what is left of them",
    )
    parser.add_argument(
        "--wide", action="store_true", help="draw one row for each method and no title"
    )
    parser.add_argument("--count", type=int, default=6, help="images to mix (%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="chooses files and draw (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Write the sheet and say where it is; 0."""
    try:
        from dali_mix.commands.preview.sheet import contact_sheet
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ImportError(
            "preview needs Pillow, which is not installed; run `pip install pillow`."
        ) from error
    if args.count < 2:
        raise ValueError(
            f"--count must be at least 2, for an image mixes with another, got {args.count}."
        )
    if args.size < 1:
        raise ValueError(f"--size must be at least 1 pixel, got {args.size}.")
    check_pixels(args, "count")
    methods = _methods(args)
    _check_output(args.output)
    files = choose_files(args.folder, args.count, args.seed)
    labels = _labels(files, args.folder)

    most = 1 if args.wide else len(files) if len(methods) == 1 else _OF_ALL
    boxes = None if args.boxes is None else boxes_of(args.boxes, files)
    rows = mixed_rows(
        files, labels, methods, size=args.size, seed=args.seed, most=most, boxes=boxes
    )
    settings = words_of(methods[0]) if len(methods) == 1 else "all methods"
    sheet = contact_sheet(rows, "" if args.wide else f"dali_mix: {settings}")
    try:
        sheet.save(args.output)
    except Exception as error:  # beyond its format's size each of Pillow's writers has its own
        reason = getattr(error, "strerror", None)
        reason = reason or f"the sheet has {sheet.width} x {sheet.height} pixels; try a .png"
        raise ValueError(f"--output {shown(args.output)} cannot be written: {reason}.") from error
    wrong = max(
        abs(share - counted)
        for row in rows
        for share, counted in zip(row.shares, row.counted, strict=True)
    )
    said = f"{len(rows)} images, whose lam is off the counted share by {wrong:.1g}"
    print(f"{shown(args.output)}: {said}")
    return 0


def mixed_rows(
    files: Sequence[Path],
    labels: Sequence[str],
    methods: Sequence[Method],
    *,
    size: int,
    seed: int,
    most: int,
    boxes: Sequence[np.ndarray] | None = None,
) -> list[Row]:
    """Mix the images with each other, as one batch for each method.

    files:   N images of any size
    labels:  N names
    boxes:   N arrays of bounding boxes to draw, as `annotations.boxes_of` gives them
    returns: the first `most` rows of each method
    """
    from dali_mix.commands.preview.batch import rows_of

    return [
        row
        for method in methods
        for row in rows_of(files, labels, method, size=size, seed=seed, boxes=boxes)[:most]
    ]


def choose_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Up to `count` images, from as many classes as possible. A seed always gives the same ones."""
    from dali_mix.images.class_folders import class_folders, class_names, fault_of

    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"{shown(folder)} {what}; name a folder of images.")
    chance = random.Random(seed)
    if all(fault_of(folder / name) for name in class_folders(folder)):
        files = _images(folder, chance)[:count]
    else:
        classes = [folder / name for name in class_names(folder)]
        chance.shuffle(classes)
        files = list(_one_of_each(classes, count, chance))
    if len(files) < 2:
        raise ValueError(
            f"{shown(folder)} must hold at least two images, in itself or in one folder per class, "
            f"got {len(files)}."
        )
    return files


def _one_of_each(classes: Sequence[Path], count: int, chance: random.Random) -> Iterator[Path]:
    """Images in turn from each class, `count` at most; folders are listed only when needed."""
    listed: dict[Path, list[Path]] = {}
    found = 0
    turn = 0
    while found < count and (turn == 0 or any(listed.values())):
        for folder in classes:
            if turn == 0:
                listed[folder] = _images(folder, chance)
            if listed[folder] and found < count:
                found += 1
                yield listed[folder].pop()
            if found == count:
                return
        turn += 1


def _images(folder: Path, chance: random.Random) -> list[Path]:
    """Images in a folder, shuffled."""
    from dali_mix.images.class_folders import image_files

    files = [folder / name for name in image_files(folder)]
    chance.shuffle(files)
    return files


def _labels(files: Sequence[Path], folder: Path) -> list[str]:
    """Names of the class folders, or of the files if there are no class folders."""
    names = [file.stem if file.parent == folder else file.parent.name for file in files]
    return [shown(name) for name in names]


def _methods(args: argparse.Namespace) -> list[Method]:
    options = args.option if args.alpha is None else [f"alpha={args.alpha}", *args.option]
    if args.method != "all":
        return [method_of(args.method, options, args.size)]
    if options:
        raise ValueError("--alpha and --option are of one method: add --method.")
    return [method_of(name, (), args.size) for name in KINDS]


def _check_output(output: Path) -> None:
    """A ValueError, before the work begins, if the file cannot be written."""
    if not _is_written(output.suffix.lower()):
        raise ValueError(
            "--output must end in .png, .jpg or another ending that Pillow writes in color, got "
            f"{output.name!r}; take preview.png."
        )
    check_writable("output", output)


def _is_written(suffix: str) -> bool:
    """Whether Pillow can write this format, tried with one pixel. Pillow lists formats that it only
    reads, whose writer is not installed, or that take two colors only."""
    from PIL import Image

    try:
        kind = Image.registered_extensions()[suffix]
        Image.new("RGB", (1, 1)).save(io.BytesIO(), format=kind)
    except (KeyError, OSError, ValueError):
        return False
    return True

"""Draw a contact sheet of mixed images of a folder: own, partner, mixed, lam and both labels.

The images go through DALI and the operators of dali_mix; the drawing is in `dali_mix.sheet`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dali_mix._names import shown
from dali_mix.methods import CutMix, Method, MixUp

if TYPE_CHECKING:
    from dali_mix.sheet import Row

_METHODS: dict[str, Any] = {"mixup": MixUp, "cutmix": CutMix}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="images, or one folder of images for each class")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("preview.png"), help="file to write (%(default)s)"
    )
    parser.add_argument(
        "--method",
        choices=(*_METHODS, "both"),
        default="both",
        help="both: every image takes one of the two (%(default)s)",
    )
    parser.add_argument("--alpha", type=float, help="of Beta(alpha, alpha); default: the method's")
    parser.add_argument("--count", type=int, default=6, help="images to mix (%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of files and draw (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Write the sheet and say where it is; 0."""
    try:
        from dali_mix.sheet import contact_sheet
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ImportError(
            "preview needs Pillow, which is not installed; run `pip install pillow`."
        ) from error
    methods = _methods(args.method, args.alpha)
    if args.count < 2:
        raise ValueError(
            f"--count must be at least 2, for an image mixes with another, got {args.count}."
        )
    if args.size < 1:
        raise ValueError(f"--size must be at least 1 pixel, got {args.size}.")
    _check_output(args.output)
    files = choose_files(args.folder, args.count, args.seed)
    labels = _labels(files, args.folder)
    rows = mixed_rows(files, labels, methods, size=args.size, seed=args.seed)
    settings = " or ".join(f"{method.name}, alpha {method.alpha:g}" for method in methods)
    sheet = contact_sheet(rows, f"dali_mix: {settings}")
    try:
        sheet.save(args.output)
    except OSError as error:
        raise ValueError(
            f"--output {shown(args.output)} cannot be written: {error.strerror or error}."
        ) from error
    print(f"{shown(args.output)}: {len(rows)} images")
    return 0


def mixed_rows(
    files: Sequence[Path],
    labels: Sequence[str],
    methods: Sequence[Method],
    *,
    size: int,
    seed: int,
) -> list[Row]:
    """Mix the images with each other, as one batch, with the operators of dali_mix.

    files:  N images of any size
    labels: N names
    """
    import numpy as np

    from dali_mix.sheet import Row

    try:
        own, mixed, partner, box, lam = _run(files, methods, size, seed)
    except RuntimeError:
        _name_undecodable(files)
        raise
    rows = []
    for i, j in enumerate(partner.tolist()):
        edges = tuple(box[i].tolist())
        method = "cutmix" if any(edges) else "mixup" if j != i and lam[i] < 1 else "unmixed"
        row = Row(
            own=own[i],
            partner=own[j],
            mixed=mixed[i],
            lam=float(np.clip(lam[i], 0, 1)),
            own_label=labels[i],
            partner_label=labels[j],
            box=edges,
            method=method,
        )
        rows.append(row)
    return rows


def _run(files: Sequence[Path], methods: Sequence[Method], size: int, seed: int) -> list[Any]:
    """Own images, mixed images, partner, box and lam, as NumPy arrays."""
    import numpy as np

    import dali_mix.fn as dmix
    from dali_mix.recipes import header_checked

    # isort: split
    from nvidia.dali import Pipeline, fn, types

    with Pipeline(batch_size=len(files), num_threads=2, device_id=None, seed=seed) as pipeline:
        # Not by DALI's reader, which takes names in UTF-8 only.
        encoded = fn.external_source(source=[[np.fromfile(file, np.uint8) for file in files]])
        images = fn.decoders.image(header_checked(encoded), output_type=types.RGB)
        images = fn.resize(images, size=size, mode="not_smaller")
        output = {"dtype": types.UINT8, "output_layout": "HWC", "crop": (size, size)}
        mixed, plan = dmix.mix(images, None, methods, **output)
        unmixed = dmix.Plan(partner=None, blend=None, box=None, lam=None, size=None)
        own = dmix.apply(images, unmixed, **output)
        pipeline.set_outputs(own, mixed, plan.partner, plan.box, plan.lam)
    return [np.array(batch.as_tensor()) for batch in pipeline.run()]


def _name_undecodable(files: Sequence[Path]) -> None:
    """DALI does not say which file it was, so each is tried alone."""
    import numpy as np

    # isort: split
    from nvidia.dali import Pipeline, fn

    for file in files:
        with Pipeline(batch_size=1, num_threads=1, device_id=None) as pipeline:
            encoded = fn.external_source(source=[[np.fromfile(file, np.uint8)]])
            pipeline.set_outputs(fn.decoders.image(encoded))
        try:
            pipeline.run()
        except RuntimeError as error:
            raise ValueError(
                f"{shown(file)} cannot be decoded as an image; mend it or take it out of the "
                "folder."
            ) from error


def choose_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Up to `count` images, from as many classes as there are; the same ones for the same seed."""
    from dali_mix._image_list import class_names

    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"{shown(folder)} {what}; name a folder of images.")
    chance = random.Random(seed)
    classes = [folder / name for name in class_names(folder)]
    chance.shuffle(classes)
    files = list(_one_of_each(classes, count, chance)) or _images(folder, chance)[:count]
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
    from dali_mix._image_list import is_image

    files = sorted(path for path in folder.iterdir() if is_image(path.name) and path.is_file())
    chance.shuffle(files)
    return files


def _labels(files: Sequence[Path], folder: Path) -> list[str]:
    """The class folder, or the name of the file where there are no class folders."""
    names = [file.stem if file.parent == folder else file.parent.name for file in files]
    return [shown(name) for name in names]


def _methods(name: str, alpha: float | None) -> list[Method]:
    chosen = list(_METHODS) if name == "both" else [name]
    return [_METHODS[each]() if alpha is None else _METHODS[each](alpha=alpha) for each in chosen]


def _check_output(output: Path) -> None:
    """Before the work is done rather than after it."""
    from PIL import Image

    if not output.parent.is_dir():
        raise ValueError(
            f"--output {shown(output)} cannot be written: {shown(output.parent)} is not a folder."
        )
    if output.suffix.lower() not in Image.registered_extensions():
        raise ValueError(
            f"--output must end in .png, .jpg or the like, got {output.name!r}; take preview.png."
        )

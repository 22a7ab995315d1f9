"""Find images that cannot be decoded, are damaged, or are not what they seem.

Images are decoded with the decoder of training. Each finding is a line `kind: path: what it is;
what to do`; counts come last. The classes of several folders, such as training and validation, are
compared. Exit status: 0, all images that were checked can be used; 1, some cannot; 2, nothing was
checked, for the reason given.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from dali_mix.commands import doctor
from dali_mix.commands.check.findings import BAD, UNREAD, UNUSUAL, Finding
from dali_mix.commands.output_file import check_writable

if TYPE_CHECKING:
    from dali_mix.commands.check.findings import Item
    from dali_mix.commands.check.sources import Source

_PATIENCE = 60.0
"""Seconds for one image."""
_ON_GPU = 8
"""Processes that use one GPU; each takes some of its memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="folder|tar|image",
        help="folders with one folder of images for each class, whose classes are compared; "
        "folders of images; tar shards; images",
    )
    parser.add_argument(
        "--fix-list",
        type=Path,
        metavar="good.txt",
        help="write the good files of the folder, with labels: for MixLoader.from_imagefolder("
        "files=…), and for DALI's readers.file(file_list=…)",
    )
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=100_000_000,
        metavar="N",
        help="refuse larger images without decoding them (%(default)s)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where to decode; auto: on a GPU if there is one (%(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"processes that decode; default: one for each processor, on a GPU {_ON_GPU} at most",
    )


def run(args: argparse.Namespace) -> int:
    """Check, print, write the list; 0 if all can be used, else 1."""
    for option, value in (("jobs", args.jobs), ("max-pixels", args.max_pixels)):
        if value is not None and value < 1:
            raise ValueError(f"--{option} must be at least 1, got {value}.")
    _check_installed()
    from dali_mix.commands.check import sources as _check_sources
    from dali_mix.images.class_folders import ImageList
    from dali_mix.images.image_list import write_list

    if args.fix_list is not None:
        check_writable("fix-list", args.fix_list)
    sources = [_check_sources.opened(source) for source in args.sources]
    if all(source.is_void for source in sources):
        raise ValueError("the tar files hold no images; their names must end in .jpg or the like.")
    labels = _labels(args.fix_list, sources)
    kinds: Counter[str] = Counter()
    good, images, bad = ImageList([], []), 0, 0
    differing = ((item, item.findings) for item in _check_sources.differing_classes(sources))
    for item, findings in chain(differing, _examined(sources, args)):
        for finding in findings:
            _print(f"{finding.kind}: {item.title}: {finding}")
        kinds.update({finding.kind for finding in findings})
        is_bad = any(finding.bad for finding in findings)
        images, bad = images + item.counts, bad + (item.counts and is_bad)
        if args.fix_list is not None and item.encoded and not is_bad:
            good.names.append(item.name)
            good.labels.append(labels[item.name])
    _print(_summary(images, bad, kinds))
    if args.fix_list is not None and not good.names:
        _print(f"{args.fix_list}: not written, because no image can be used")
    elif args.fix_list is not None:
        write_list(args.fix_list, good)
        _print(f"{args.fix_list}: {len(good.names)} good files")
    return 1 if set(kinds) & set(BAD) else 0


def _examined(
    sources: Sequence[Source], args: argparse.Namespace
) -> Iterator[tuple[Item, Sequence[Finding]]]:
    """Each image with its findings, in order. Shows a progress bar."""
    from tqdm import tqdm

    from dali_mix.commands.check.image import examiner
    from dali_mix.commands.check.workers import Died, survive

    device_id = _device_id(args.device)
    processors = len(os.sched_getaffinity(0))
    jobs = args.jobs or (processors if device_id is None else min(processors, _ON_GPU))
    prepare = partial(examiner, device_id, args.max_pixels)
    total = sum(map(len, sources))
    results = survive(chain(*sources), prepare, jobs, _PATIENCE)
    with closing(results), tqdm(total=total, unit="image", disable=None, leave=False) as bar:
        for item, result in results:
            bar.update()
            if isinstance(result, Died):
                result = [*item.findings, Finding("crash", f"it {result.how}")]
            yield item, result


def _summary(images: int, bad: int, kinds: Counter[str]) -> str:
    unread = kinds[UNREAD]  # whether these can be used is not known
    first = f"{images} images, {images - bad - unread} can be used, {bad} cannot"
    rows = [f"{first}, {unread} were not looked at" if unread else first]
    for kind in (*BAD, *UNUSUAL):
        use = "cannot be used" if kind in BAD else "can be used"
        if kinds[kind]:
            rows.append(f"  {kind:12}{kinds[kind]:7}  {'not looked at' if kind == UNREAD else use}")
    return "\n".join(rows)


def _print(line: str) -> None:
    """Print a line without breaking the progress bar, which is on the error output."""
    from tqdm import tqdm

    encoding = sys.stdout.encoding or "utf-8"
    tqdm.write(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stdout)
    sys.stdout.flush()


def _device_id(device: str) -> int | None:
    driver = doctor.driver()
    there = driver is not None and bool(driver.gpus)
    if device == "gpu" and not there:
        raise ValueError("--device gpu needs a GPU, and there is none; take --device cpu.")
    return 0 if there and device != "cpu" else None


def _labels(fix_list: Path | None, sources: Sequence[Source]) -> dict[str, int]:
    """The label of each name, for --fix-list."""
    if fix_list is None:
        return {}
    if len(sources) != 1 or sources[0].images is None:
        raise ValueError(
            "--fix-list is for one folder, whose files it lists, got tar files, images or several "
            "sources; write a tar anew, without the members that are named."
        )
    return dict(zip(*sources[0].images, strict=True))


def _check_installed() -> None:
    for module, package in (("PIL", "pillow"), ("tqdm", "tqdm")):
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"check needs {package}, which is not installed; run `pip install {package}`."
            )
    importlib.import_module("dali_mix.fn")  # says in a sentence if DALI is missing

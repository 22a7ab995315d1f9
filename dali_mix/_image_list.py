"""The images of a folder with one folder for each class: listed as DALI's reader lists them, or
taken from a list of good ones.

Such a list is what `dali-mix check --fix-list` writes and what `fn.readers.file(file_list=…)`
reads: a name, relative to the folder, and a label in each line. A name that this format cannot
hold, with a line break in it for example, stands in double quotes, as JSON has it.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from dali_mix._names import shown

IMAGE_FILES = (
    *("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.tif", "*.tiff"),
    *("*.pnm", "*.ppm", "*.pgm", "*.pbm", "*.jp2", "*.webp"),
)
"""File names that count as images, in upper or lower case. DALI's reader would also take sound."""


class ImageList(NamedTuple):
    """Images that are there, in the order of the reader."""

    names: list[str]
    """Relative to the folder: class/file."""
    labels: list[int]
    """Place of the class in `class_names`."""


Names: TypeAlias = str | os.PathLike[str] | Sequence[str] | ImageList
"""A list of images: the path of one, names relative to the folder, or one that was checked."""


def class_names(root: str | os.PathLike[str]) -> list[str]:
    """Names of the class folders in `root`; the place in this list is the label."""
    with os.scandir(root) as entries:
        return sorted((entry.name for entry in entries if entry.is_dir()), key=os.fsencode)


def is_image(name: str) -> bool:
    """Whether a file of this name counts as an image."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in IMAGE_FILES)


def image_files(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the images in one folder, sorted as DALI sorts them: by their bytes."""
    with os.scandir(folder) as entries:
        return sorted(
            (e.name for e in entries if is_image(e.name) and _is_file(e)), key=os.fsencode
        )


def listed(root: str | os.PathLike[str]) -> ImageList:
    """What DALI's reader would read."""
    names, labels = [], []
    for label, folder in enumerate(class_names(root)):
        files = image_files(os.path.join(root, folder))
        names += [f"{folder}/{file}" for file in files]
        labels += [label] * len(files)
    return ImageList(names, labels)


def chosen(files: Names, root: str | os.PathLike[str]) -> ImageList:
    """The images of a list, as it orders them; a ValueError names one that is not there."""
    if isinstance(files, ImageList):
        return files
    if isinstance(files, (str, os.PathLike)):
        where = f"the list {os.fspath(files)}"
        names = _names_of(files, where, root)
    else:
        where, names = "files", list(files)
    if not names:
        raise ValueError(f"{where} must name at least one image, got none.")
    known = dict(zip(*listed(root), strict=True))
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where} must name images of {os.fspath(root)}, but {_why(name, root)}"
            )
    check_utf8(names, where)
    return ImageList(names, [known[name] for name in names])


def check_utf8(names: Iterable[str], where: str) -> None:
    for name in names:
        if not is_utf8(name):
            raise ValueError(
                f"{where} must hold names in UTF-8, because DALI takes no others in a list, got "
                f"{shown(name)}; rename it."
            )


def is_utf8(name: str) -> bool:
    """False of a name with bytes that Python carries as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_list(path: str | os.PathLike[str], images: ImageList) -> None:
    """Write all of it, or nothing."""
    beside = f"{os.fspath(path)}.{os.getpid()}"
    try:
        with open(beside, "wb") as file:
            for name, label in zip(*images, strict=True):
                file.write(os.fsencode(f"{_quoted(name)} {label}\n"))
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def read_list(path: str | os.PathLike[str]) -> ImageList:
    """Exactly what `write_list` was given; a ValueError names a line of another format."""
    names, labels = [], []
    for number, line in _lines(path):
        name, _, label = line.rstrip().rpartition(" ")
        name = name.rstrip()
        if name.startswith('"'):
            try:
                name = json.loads(name, strict=False)
            except json.JSONDecodeError:
                name = ""
        if not name or not label.isascii() or not label.isdigit():
            raise ValueError(
                f"line {number} of the list {os.fspath(path)} must be a name and a label, such as "
                f"'dog/1.jpg 3', got {shown(line)!r}."
            )
        names.append(name)
        labels.append(int(label))
    return ImageList(names, labels)


def needs_quotes(name: str) -> bool:
    """Whether DALI would read another name from its list, or none."""
    return "\n" in name or name != name.rstrip() or name.startswith('"')


def _is_file(entry: os.DirEntry[str]) -> bool:
    # As DALI: a link counts, wherever it leads, for a link that leads nowhere must not be missed.
    return entry.is_symlink() or entry.is_file()


def _names_of(path: str | os.PathLike[str], where: str, root: str | os.PathLike[str]) -> list[str]:
    """The names in a list whose labels agree with the folder."""
    labels = {folder: label for label, folder in enumerate(class_names(root))}
    images = read_list(path)
    for name, label in zip(*images, strict=True):
        folder = name.partition("/")[0]
        if labels.get(folder, label) != label:
            raise ValueError(
                f"{where} must have the labels of {os.fspath(root)}, but gives {shown(name)} label "
                f"{label}, where {shown(folder)} is class {labels[folder]}; write it anew."
            )
    return images.names


def _why(name: str, root: str | os.PathLike[str]) -> str:
    """What is wrong with a name that the folder does not have."""
    said = shown(name)
    if os.path.isabs(name) or ".." in name.split("/"):
        return f"{said} lies outside; names are relative to the folder."
    if not os.path.lexists(os.path.join(root, name)):
        return f"{said} does not exist; write the list anew, or leave it out."
    if name.count("/") != 1:
        return f"{said} lies in no class folder; names are class/file."
    return f"{said} is no file with the name of an image, such as *.jpg; leave it out."


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Those with something in them, and their numbers from 1."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, os.fsdecode(line.removesuffix(b"\n"))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if needs_quotes(name) else name


def checked_root(root: str | os.PathLike[str]) -> str:
    """`root` for DALI, which would say "No files found" whatever is wrong."""
    path, name = Path(root), shown(root)
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"root must be a path in UTF-8, as DALI takes no other, got {name}; rename the folder, "
            "or name a link to it. What lies in it may have any name."
        ) from error
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise ValueError(f"root must be a folder with one folder per class; {name} {what}.")
    classes = class_names(path)
    if not classes:
        found = "images but no class folders" if image_files(path) else "neither folders nor images"
        raise ValueError(
            f"root must hold one folder per class, but {name} holds {found}; "
            "put the images of each class in a folder named after it."
        )
    if not any(image_files(path / label) for label in classes):
        raise ValueError(
            f"root must hold images in its class folders, but there are none in {name}/*, such "
            f"as {shown(path / classes[0])}; if the classes lie deeper, name the folder directly "
            "above them."
        )
    return os.fspath(path)

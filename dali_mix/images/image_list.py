"""Lists of the images of a folder: all of them, or those that a file names.

`dali-mix check --fix-list` writes such a file, and `fn.readers.file(file_list=…)` reads it. Each
line has a name, relative to the folder, and a label. A name that this format cannot hold, such as
one with a line break, is a JSON string in double quotes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from dali_mix.images.class_folders import ImageList, class_names, is_hidden, listed
from dali_mix.images.names import shown

Names: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ImageList
"""A list of images: the path of its file, names relative to the folder, or a checked list."""


def chosen(
    files: Names | None, root: str | os.PathLike[str], classes: Sequence[str] | None = None
) -> ImageList:
    """The images of a list, in its order; None: all images of `root`.

    classes: as in `listed`

    ValueError: the list names an image that the folder does not have.
    """
    if isinstance(files, ImageList):
        return files
    images = listed(root, classes)
    if files is None:
        return images
    if isinstance(files, (str, os.PathLike)):
        where = f"the list {os.fspath(files)}"
        names = _names_of(files, where, root, classes)
    else:
        where, names = "files", [_name(file) for file in files]
    if not names:
        raise ValueError(f"{where} must name at least one image, got none.")
    known = dict(zip(*images, strict=True))
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where} must name images of {os.fspath(root)}, but {_why(name, root)}"
            )
    return ImageList(names, [known[name] for name in names])


def write_list(path: str | os.PathLike[str], images: ImageList) -> None:
    """Write the whole list, or nothing if that fails."""
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
    """The list that `write_list` wrote. A ValueError names a line of another format."""
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


def _name(file: Any) -> str:
    try:
        return os.fsdecode(file)
    except TypeError:
        raise TypeError(
            f"files must be names of images, such as 'dog/1.jpg', got {file!r} among them."
        ) from None


def _names_of(
    path: str | os.PathLike[str],
    where: str,
    root: str | os.PathLike[str],
    classes: Sequence[str] | None,
) -> list[str]:
    """The names in a list. Unless `classes` are given, its labels must be those of the folder."""
    images = read_list(path)
    if classes is not None:
        return images.names
    labels = {folder: label for label, folder in enumerate(class_names(root))}
    for name, label in zip(*images, strict=True):
        folder = name.partition("/")[0]
        if labels.get(folder, label) != label:
            raise ValueError(
                f"{where} must have the labels of {os.fspath(root)}, but gives {shown(name)} label "
                f"{label}, where {shown(folder)} is class {labels[folder]}; write it anew."
            )
    return images.names


def _why(name: str, root: str | os.PathLike[str]) -> str:
    """Why the folder does not have this name, and what to do."""
    said = shown(name)
    if os.path.isabs(name) or ".." in name.split("/"):
        return f"{said} lies outside; names are relative to the folder."
    if not os.path.lexists(os.path.join(root, name)):
        return f"{said} does not exist; write the list anew, or leave it out."
    if name.count("/") != 1:
        return f"{said} lies in no class folder; names are class/file."
    if any(map(is_hidden, name.split("/"))):
        return f"{said} is hidden, because its name begins with a dot; leave it out."
    return f"{said} is no file with the name of an image, such as *.jpg; leave it out."


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, os.fsdecode(line.removesuffix(b"\n"))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if needs_quotes(name) else name

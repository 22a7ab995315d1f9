"""Folders to check: with one folder of images for each class, or with images only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from dali_mix.commands.check.archives import folder_of_what
from dali_mix.commands.check.findings import Finding, Item
from dali_mix.images.class_folders import (
    EMPTY,
    IMAGE_FILES,
    ImageList,
    class_folders,
    fault_of,
    image_files,
    is_hidden,
)
from dali_mix.images.names import is_utf8, shown

_ENDINGS = tuple(pattern.removeprefix("*") for pattern in IMAGE_FILES)
_OTHER_ENDINGS = (
    *(".gif", ".jfif", ".jpe", ".jif", ".j2k", ".jpx", ".jpf", ".jxl"),
    *(".avif", ".heic", ".heif", ".tga", ".exr", ".hdr"),
)
"""Endings of images that no reader of image folders takes."""


class Folder:
    """A folder with one folder of images for each class, or with images only."""

    images: ImageList
    classes: Sequence[str]
    is_void = False

    def __init__(self, root: str) -> None:
        self.root = root
        folders = class_folders(root)
        faults = {name: fault_of(os.path.join(root, name)) for name in folders}
        own = image_files(root)
        flat = bool(own) and None not in faults.values()
        self.classes = [] if flat else folders
        self._folders = [] if flat else [*_faulty(faults), *_hidden(root)]
        if flat:
            self.images = ImageList(own, [0] * len(own))
        else:
            self.images = ImageList([], [])
            for label, name in enumerate(folders):
                if faults[name] is None:
                    files = image_files(os.path.join(root, name))
                    self.images.names.extend(f"{name}/{file}" for file in files)
                    self.images.labels.extend([label] * len(files))
        inside = set(self.images.names)  # a set, since there may be a million names
        self._outside = [item for item in _images_below(root) if item not in inside]
        if not self.images.names and set(faults.values()) <= {EMPTY}:
            raise ValueError(
                f"{shown(root)} holds no images, neither in itself nor in one folder per class; "
                f"{folder_of_what(root)}name the folder directly above the classes, or the tar "
                "files."
            )

    def __len__(self) -> int:
        return len(self._folders) + len(self.images.names) + len(self._outside)

    def __iter__(self) -> Iterator[Item]:
        for name, finding in self._folders:
            path = os.path.join(self.root, name)
            yield Item(name, shown(path), path, (finding,), encoded=False, counts=False)
        inside = os.path.realpath(self.root)
        for name in self.images.names:
            path = os.path.join(self.root, name)
            yield Item(name, shown(path), path, tuple(_of_name(name, path, inside)))
        for name in self._outside:
            path = os.path.join(self.root, name)
            finding = Finding("unread", _why_unread(name))
            yield Item(name, shown(path), path, (finding,), encoded=False)


def _of_name(name: str, path: str, inside: str) -> Iterator[Finding]:
    if not is_utf8(name):
        yield Finding("name", "its name is not UTF-8")
    real = os.path.realpath(path) if _linked(name, path) else inside
    if os.path.commonpath([real, inside]) != inside:
        yield Finding("link", f"it is a link that leads out of the folder, to {shown(real)}")


def _linked(name: str, path: str) -> bool:
    return os.path.islink(path) or ("/" in name and os.path.islink(os.path.dirname(path)))


def _images_below(root: str) -> Iterator[str]:
    """All files that may be meant as images, except in hidden folders of the root, such as .git."""
    for folder, folders, files in os.walk(root):
        place = os.path.relpath(folder, root)
        if place == ".":
            folders[:] = [name for name in folders if not is_hidden(name)]
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(_ENDINGS + _OTHER_ENDINGS):
                yield os.path.normpath(os.path.join(place, file))


def _faulty(faults: dict[str, str | None]) -> Iterator[tuple[str, Finding]]:
    for name, why in faults.items():
        if why is not None:
            kind = "empty" if why == EMPTY else "unreadable"
            yield name, Finding(kind, f"the class folder {why}")


def _hidden(root: str) -> list[tuple[str, Finding]]:
    finding = Finding("hidden", "it is no class, because its name begins with a dot")
    with os.scandir(root) as entries:
        names = [e.name for e in entries if is_hidden(e.name) and os.path.isdir(e.path)]
    return [(name, finding) for name in sorted(names)]


def _why_unread(name: str) -> str:
    if any(map(is_hidden, name.split("/"))):
        return "it is hidden, because its name begins with a dot"
    if not name.lower().endswith(_ENDINGS):
        return "its ending is none that readers of images take"
    return "it lies in no class folder, where nothing reads it"

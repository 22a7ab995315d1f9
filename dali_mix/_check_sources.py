"""The images that `dali-mix check` looks at: in class folders, in one folder, in tar shards."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from dali_mix._findings import Finding
from dali_mix._image_list import (
    ImageList,
    class_names,
    image_files,
    is_image,
    is_utf8,
    listed,
)
from dali_mix._names import shown


class Item(NamedTuple):
    """One image, and what is known of it without reading it."""

    name: str
    """Relative to its folder or tar."""
    title: str
    """For people: the path, or shard.tar:member."""
    path: str
    """Of the file that it is in."""
    findings: tuple[Finding, ...] = ()
    offset: int = 0
    size: int = -1
    """In bytes; -1: to the end of the file."""
    encoded: bool = True
    """Whether there is anything to decode."""


class Folder:
    """A folder with one folder of images for each class, or with images alone."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.images = listed(root)
        self._outside = list(_outside_of_classes(root))
        if not self.images.names:
            own = image_files(root)
            self.images = ImageList(own, [0] * len(own))
            inside = set(own)  # of a million names, a list would be searched for hours
            self._outside = [name for name in self._outside if name not in inside]
        if not self.images.names:
            raise ValueError(
                f"{shown(root)} holds no images, neither in itself nor in one folder per class; "
                "name the folder directly above the classes, or the tar files."
            )

    def __len__(self) -> int:
        return len(self.images.names) + len(self._outside)

    def __iter__(self) -> Iterator[Item]:
        inside = os.path.realpath(self.root)
        for name in self.images.names:
            path = os.path.join(self.root, name)
            yield Item(name, shown(path), path, tuple(_of_name(name, path, inside)))
        for name in self._outside:
            path = os.path.join(self.root, name)
            finding = Finding("unread", "it lies in no class folder, where nothing reads it")
            yield Item(name, shown(path), path, (finding,), encoded=False)


class Tar:
    """A shard of images, as WebDataset writes them."""

    def __init__(self, path: str) -> None:
        self._items: list[Item] = []
        try:
            with tarfile.open(path, "r:", errors="surrogateescape") as tar:
                for member in tar:  # one by one: what precedes a fault is checked all the same
                    if is_image(member.name):
                        self._items.append(_item(path, member))
        except (tarfile.TarError, OSError, EOFError) as error:
            said = shown(str(getattr(error, "strerror", None) or error)).rstrip(".")
            finding = Finding("unreadable", f"it is no whole tar file: {said}")
            self._items.append(Item("", shown(path), path, (finding,), encoded=False))

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)


def opened(source: str) -> Folder | Tar:
    """What the command was given."""
    if os.path.isdir(source):
        return Folder(source)
    if os.path.isfile(source):
        return Tar(source)
    what = "is neither a folder nor a file" if os.path.lexists(source) else "does not exist"
    raise ValueError(f"{shown(source)} {what}; name a folder of images, or tar files.")


def _of_name(name: str, path: str, inside: str) -> Iterator[Finding]:
    if not is_utf8(name):
        yield Finding("name", "its name is not UTF-8, and DALI takes no others in a list")
    real = os.path.realpath(path) if _linked(name, path) else inside
    if os.path.commonpath([real, inside]) != inside:
        yield Finding("link", f"it is a link that leads out of the folder, to {shown(real)}")


def _linked(name: str, path: str) -> bool:
    return os.path.islink(path) or ("/" in name and os.path.islink(os.path.dirname(path)))


def _outside_of_classes(root: str) -> Iterator[str]:
    """Images that the class folders do not hold directly."""
    classes = set(class_names(root))
    for folder, _, files in os.walk(root):
        place = os.path.relpath(folder, root)
        if place not in classes:
            yield from sorted(
                os.path.normpath(os.path.join(place, file)) for file in files if is_image(file)
            )


def _item(path: str, member: tarfile.TarInfo) -> Item:
    title = shown(f"{path}:{member.name}")
    if not member.isfile() or member.issparse():
        finding = Finding("unreadable", "it is no plain file in the tar")
        return Item(member.name, title, path, (finding,), encoded=False)
    return Item(member.name, title, path, offset=member.offset_data, size=member.size)

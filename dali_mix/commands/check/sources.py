"""The sources that `dali-mix check` is given: folders, tar shards and single images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from dali_mix.commands.check.findings import Finding, Item
from dali_mix.commands.check.folder import Folder
from dali_mix.commands.check.tar import Tar
from dali_mix.images.class_folders import ImageList, is_image
from dali_mix.images.names import shown


class Source(Protocol):
    """Yields the items to check."""

    root: str
    is_void: bool
    """Whether it can be read, but holds no images."""

    @property
    def images(self) -> ImageList | None:
        """The images of a folder; None if it is not a folder."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes; empty if there are none."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


class Single:
    """One image whose path was given."""

    images = None
    classes = ()
    is_void = False

    def __init__(self, path: str) -> None:
        self.root = path

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Item]:
        yield Item(os.path.basename(self.root), shown(self.root), self.root)


class Closed:
    """A folder that cannot be listed, as one finding."""

    images = None
    classes = ()
    is_void = False

    def __init__(self, path: str, why: str) -> None:
        self.root = path
        self._finding = Finding("unreadable", f"the folder cannot be listed ({why})")

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Item]:
        yield _of_folder(shown(self.root), self.root, self._finding)


def opened(source: str) -> Source:
    """The source of a path that the command was given."""
    if os.path.isdir(source):
        try:
            return Folder(source)
        except OSError as error:
            return Closed(source, error.strerror or str(error))
    if os.path.isfile(source):
        name = os.path.basename(source).lstrip(".")  # a hidden file is checked if it is named
        return Single(source) if is_image(name) else Tar(source)
    what = "is neither a folder nor a file" if os.path.lexists(source) else "does not exist"
    raise ValueError(f"{shown(source)} {what}; name a folder of images, or tar files.")


def differing_classes(sources: Sequence[Source]) -> Iterator[Item]:
    """Folders whose classes differ from those of the first one, such as training and validation."""
    with_classes = [source for source in sources if source.classes]
    if not with_classes:
        return
    first, *others = with_classes
    label = {name: place for place, name in enumerate(first.classes)}
    for other in others:
        title = shown(other.root)
        for place, name in enumerate(other.classes):
            if label.get(name) != place:
                there = f"label {label[name]}" if name in label else "no such class"
                what = (
                    f"its class {shown(name)} has label {place}, and {shown(first.root)} has "
                    f"{there}"
                )
                yield _of_folder(title, other.root, Finding("classes", what))
                break
        else:
            absent = first.classes[len(other.classes) :]
            if absent:
                more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
                what = (
                    f"it has no folder for {shown(absent[0])}{more}, which {shown(first.root)} has"
                )
                yield _of_folder(title, other.root, Finding("fewer", what))


def _of_folder(title: str, path: str, finding: Finding) -> Item:
    return Item("", title, path, (finding,), encoded=False, counts=False)

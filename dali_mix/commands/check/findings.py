"""The items that `dali-mix check` checks, the kinds of its findings, and what to do about each."""

from __future__ import annotations

from typing import NamedTuple

BAD = {
    "unreadable": "mend its storage or permissions, or remove it",
    "undecodable": "repair, convert or remove it",
    "damaged": "fetch it again, or remove it",
    "pixels": "convert it to 8 bits for each of red, green and blue",
    "huge": "shrink or remove it, or raise --max-pixels",
    "crash": "remove it",
    "archive": "unpack it into a folder or a plain tar to have its images checked",
    "incomplete": "write the tar anew with what it lacks, or without the sample",
    "duplicate": "write the tar anew with one of each, and files of a sample side by side",
    "empty": "fill or remove it",
    "classes": "name the classes alike, or give one loader the classes of the other: classes=…",
}
"""Kinds of images that cannot be used, and what to do. The list of good files leaves them out."""

UNREAD = "unread"
"""The kind of files that are not opened."""

UNUSUAL = {
    "misnamed": "DALI goes by the content; rename it for readers that go by the name",
    "warning": "it can be used",
    "deep": "DALI makes 8 bits of them",
    "alpha": "DALI drops it, and shows the colours below",
    "frames": "DALI reads the first",
    "cmyk": "DALI makes it RGB",
    "grayscale": "DALI makes it RGB",
    "rotated": "DALI turns it upright, torchvision does not",
    "shape": "look whether it is meant to be an image",
    "link": "copy the file if the folder is to be moved",
    "name": "rename it for programs that give DALI a list of names",
    "fewer": "the labels of its own classes are the same",
    "hidden": "remove it, because DALI's own listing and torchvision take it for a class",
    UNREAD: "put it in a class folder if it is to be read",
}
"""Kinds of images that can be used, and what to know. Of UNREAD it is not known."""


class Finding(NamedTuple):
    """What was found about one image."""

    kind: str
    what: str

    @property
    def bad(self) -> bool:
        return self.kind in BAD

    def __str__(self) -> str:
        return f"{self.what}; {(BAD | UNUSUAL)[self.kind]}"


class Item(NamedTuple):
    """One image, or another thing with findings, such as a folder."""

    name: str
    """Path relative to its folder or tar."""
    title: str
    """What the command prints: the path, or shard.tar:member."""
    path: str
    """Path of the file that holds it."""
    findings: tuple[Finding, ...] = ()
    """What is known without reading it."""
    offset: int = 0
    """Where it begins in the file, in bytes."""
    size: int = -1
    """Size in bytes; -1: to the end of the file."""
    encoded: bool = True
    """Whether there is something to decode."""
    counts: bool = True
    """Whether it counts as an image. A class folder does not."""

"""What `dali-mix check` may find in an image: the kinds, and what to do about each."""

from __future__ import annotations

from typing import NamedTuple

BAD = {
    "unreadable": "mend its storage or permissions, or remove it",
    "undecodable": "repair, convert or remove it",
    "damaged": "fetch it again, or remove it",
    "huge": "shrink or remove it, or raise --max-pixels",
    "crash": "remove it",
    "name": "rename it",
}
"""Left out of the list of good files: kind, and what to do."""

UNREAD = "unread"
"""The kind of those that are not opened."""

UNUSUAL = {
    "misnamed": "DALI goes by the content; rename it for readers that go by the name",
    "warning": "it can be used",
    "cmyk": "DALI makes it RGB",
    "grayscale": "DALI makes it RGB",
    "rotated": "DALI turns it upright, torchvision does not",
    "shape": "look whether it is meant to be an image",
    "link": "copy the file if the folder is to be moved",
    UNREAD: "put it in a class folder if it is to be read",
}
"""Usable, but for those that are unread: kind, and what to know."""


class Finding(NamedTuple):
    """Of one image."""

    kind: str
    what: str

    @property
    def bad(self) -> bool:
        return self.kind in BAD

    def __str__(self) -> str:
        return f"{self.what}; {(BAD | UNUSUAL)[self.kind]}"

"""DALI's reader of files, given the list of them: it lists no folder by itself."""

from __future__ import annotations

import os
import weakref
from typing import Any

from nvidia.dali import fn

from dali_mix._class_folders import ImageList
from dali_mix._names import is_utf8, shown


def read(root: str | os.PathLike[str], images: ImageList, **options: Any) -> tuple[Any, Any]:
    """Encoded images and labels, as `fn.readers.file` puts them out.

    root:    of the names in `images`
    options: of the reader

    DALI takes names as Python's text, which must be UTF-8, or in a file, which holds any bytes but
    the ends of lines.
    """
    names, labels = images
    if all(map(is_utf8, names)):
        encoded, labels = fn.readers.file(
            file_root=os.fspath(root), files=names, labels=labels, **options
        )
        return encoded, labels
    for name in names:
        if "\n" in name or name != name.rstrip():
            odd = next(name for name in names if not is_utf8(name))
            raise ValueError(
                "files must have names that DALI can take in one list: all in UTF-8, or none with "
                f"a line break or a blank at its end, got {shown(odd)} and {shown(name)}; rename "
                "one of the two."
            )
    descriptor = os.memfd_create("images")
    with open(descriptor, "wb", closefd=False) as file:
        lines = (f"{name} {label}\n" for name, label in zip(names, labels, strict=True))
        file.writelines(map(os.fsencode, lines))
    encoded, labels = fn.readers.file(
        file_root=os.fspath(root), file_list=f"/proc/self/fd/{descriptor}", **options
    )
    weakref.finalize(encoded.source, os.close, descriptor)  # DALI may read it again until then
    return encoded, labels

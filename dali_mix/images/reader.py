"""DALI's file reader. It gets the list of files from us, and lists no folder itself."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any

from nvidia.dali import fn, types
from nvidia.dali import math as dali_math

from dali_mix.images.class_folders import ImageList
from dali_mix.images.image_list import Names, chosen
from dali_mix.images.names import is_utf8, shown
from dali_mix.methods.method import is_whole


def read(root: str | os.PathLike[str], images: ImageList, **options: Any) -> tuple[Any, Any]:
    """Encoded images and labels, as `fn.readers.file` returns them.

    root:    folder of the names in `images`
    options: further arguments of the reader

    DALI takes names as text, which must be UTF-8, or in a file, where they may hold any bytes
    except line breaks.
    """
    if not is_utf8(os.fspath(root)):
        raise ValueError(
            f"root must be a path in UTF-8, as DALI takes no other, got {shown(root)}; rename the "
            "folder, or name a link to it. What lies in it may have any name."
        )
    names, labels = images
    if all(map(is_utf8, names)):
        return tuple(
            fn.readers.file(file_root=os.fspath(root), files=names, labels=labels, **options)
        )
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


def shard_of(
    root: str | os.PathLike[str],
    files: Names | None,
    classes: Sequence[str] | None,
    shard_id: int,
    num_shards: int,
    **order: Any,
) -> tuple[Any, Any]:
    """Encoded images and labels of one shard."""
    if not (is_whole(shard_id) and is_whole(num_shards)):
        raise ValueError(
            f"shard_id and num_shards must be whole numbers, got {shard_id!r} and {num_shards!r}."
        )
    if not 0 <= shard_id < num_shards:
        raise ValueError(
            f"shard_id must lie in [0, num_shards), got {shard_id} with num_shards {num_shards}."
        )
    encoded, labels = read(
        root,
        chosen(files, root, classes),
        name="Reader",
        shard_id=shard_id,
        num_shards=num_shards,
        pad_last_batch=True,
        **order,
    )
    return header_checked(encoded), labels


def header_checked(encoded: Any) -> Any:
    """Read the headers of a whole batch of encoded images before they are decoded.

    encoded: images from a reader, on the CPU
    returns: the same images, to pass to a decoder

    A header that cannot be read fails the pipeline here, with an error that `MixLoader` can
    explain. The decoders of DALI 2.4 fail as well, but their other threads go on with freed memory:
    with more than about four images per thread, the process often ends in a segmentation fault.
    """
    shape = fn.peek_image_shape(encoded, dtype=types.INT32)
    # -1 keeps the length. The decoder waits for this number, and so for all headers.
    return fn.reshape(encoded, shape=dali_math.clamp(shape[:1], -1, -1))

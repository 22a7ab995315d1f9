"""Reads from the header of an encoded image how many bits a value has, and which value is white.

Knows only the formats whose values may have another number of bits than 8.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _FLOATS = 258, 339, 3  # of TIFF
_SHORT = 3  # the type of both


class Depth(NamedTuple):
    """How one value of one pixel is stored."""

    bits: int
    floats: bool = False
    white: int | None = None
    """The value that is white, if the header gives it."""


def depth_of(encoded: bytes) -> Depth | None:
    """The depth of an image; None if it has 8 bits or fewer, or its header is not known here."""
    try:
        if encoded.startswith(b"\x89PNG"):
            found = Depth(encoded[24])
        elif encoded[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            found = _of_tiff(encoded)
        elif match := re.match(rb"P[2356](?:\s|#[^\n]*\n)+\d+\s+\d+\s+(\d+)\s", encoded[:200]):
            white = int(match[1])
            found = Depth(8 if white < 256 else 16, white=white)
        elif encoded.startswith(b"\0\0\0\x0cjP  "):
            # The box of the header: height, width, number of channels, bits - 1 and a sign.
            found = Depth((encoded[encoded.index(b"ihdr") + 14] & 127) + 1)
        else:
            return None
    except (IndexError, ValueError, struct.error):
        return None
    is_plain = found.bits <= 8 and not found.floats and found.white in (None, 255)
    return None if is_plain else found


def _of_tiff(encoded: bytes) -> Depth:
    order = "<" if encoded.startswith(b"II") else ">"
    big = encoded[2:4] in (b"+\0", b"\0+")
    # Where the offset of the list of tags is, types of its count and of a tag, bytes of a value.
    start, count, entry, fits = (8, "Q", "HHQ8s", 8) if big else (4, "H", "HHI4s", 4)
    offset_type = "Q" if big else "I"
    (at,) = struct.unpack_from(order + offset_type, encoded, start)
    (tags,) = struct.unpack_from(order + count, encoded, at)
    at += struct.calcsize(order + count)
    values = {_BITS_PER_SAMPLE: 1, _SAMPLE_FORMAT: 1}
    for _ in range(tags):
        tag, kind, number, value = struct.unpack_from(order + entry, encoded, at)
        at += struct.calcsize(order + entry)
        if tag in values and kind == _SHORT:
            if 2 * number > fits:  # the tag holds the offset of its values
                (place,) = struct.unpack(order + offset_type, value)
                value = encoded[place : place + 2]
            values[tag] = struct.unpack(order + "H", value[:2])[0]
    return Depth(values[_BITS_PER_SAMPLE], values[_SAMPLE_FORMAT] == _FLOATS)

"""Checks one image: its header, and what DALI's decoder makes of it.

This runs in a process of its own, with limited memory. The error output of the process is read,
because decoders print their warnings there.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from nvidia.dali import fn, types
from PIL import Image

from dali_mix.commands.check.depth import depth_of
from dali_mix.commands.check.findings import Finding, Item
from dali_mix.commands.check.workers import limit_memory
from dali_mix.images.decoding import Single, Undecodable, decoder, shape_reader

_SMALLEST = 8
"""The shorter side of an ordinary image has at least so many pixels."""
_LONGEST = 20
"""The longer side of an ordinary image is at most so many times the shorter one."""
_DARK = 1 / 4
"""Share of white. An image that is nowhere brighter does not use the upper two of its bits."""
_ORIENTATION = 0x0112  # the tag of EXIF
_HARM = re.compile(r"corrupt|premature|truncat|crc|not enough|unexpected end|error", re.IGNORECASE)
"""Words of a warning that say that pixels are wrong or missing."""
_SPARE_MEMORY = 1 << 30
_HEARD = 1 << 16  # bytes of the error output that are read


class Header(NamedTuple):
    """What Pillow reads without decoding."""

    format: str
    mode: str
    orientation: int


def examiner(device_id: int | None, max_pixels: int) -> Callable[[Item], list[Finding]]:
    """Prepare this process, and return the function that checks an item."""
    Image.MAX_IMAGE_PIXELS = None  # sizes are checked here
    Image.init()
    decode, shape = decoder(device_id), shape_reader()
    for use in (decode, shape):
        use.ready(_small_image())
    if device_id is None:  # CUDA reserves more memory than it uses, so a limit would fail there
        limit_memory(12 * max_pixels + _SPARE_MEMORY)  # 4 bytes for each of R, G and B
    return partial(_examined, decode=decode, shape=shape, said=_Said(), max_pixels=max_pixels)


@cache
def _small_image() -> np.ndarray:
    encoded = io.BytesIO()
    Image.new("RGB", (16, 16)).save(encoded, "JPEG")
    return np.frombuffer(encoded.getvalue(), np.uint8)


def _examined(
    item: Item, decode: Single, shape: Single, said: _Said, max_pixels: int
) -> list[Finding]:
    findings = list(item.findings)
    if not item.encoded:
        return findings
    try:
        encoded = np.fromfile(item.path, np.uint8, count=item.size, offset=item.offset)
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "it is larger than the memory"
        return [*findings, Finding("unreadable", f"it cannot be read: {reason}")]
    header = header_of(encoded)
    for use in (decode, shape):
        use.ready(_small_image())
    said.clear()  # Pillow warns as well
    try:
        height, width = np.array(shape(encoded)[0]).tolist()[:2]
        if height * width > max_pixels:
            what = f"its header says {width}x{height} pixels, more than {max_pixels:,}"
            return [*findings, Finding("huge", what)]
        decode(encoded)
    except Undecodable as error:
        kind = f"it is a {header.format}, which DALI cannot decode" if header else None
        known = kind if kind and "no image of a kind" in str(error) else str(error)
        heard = said.first_line()
        return [*findings, Finding("undecodable", f"{known} ({heard})" if heard else known)]
    findings += _of_pixels(encoded, header, said.first_line())
    findings += _of_values(encoded, header)
    if header is not None and header.format != "JPEG":  # a JPEG may hold previews
        findings += _of_layers(encoded)
    if min(height, width) < _SMALLEST or max(height, width) > _LONGEST * min(height, width):
        findings.append(Finding("shape", f"it has {width}x{height} pixels"))
    return findings + list(_of_header(header, item.name))


def header_of(encoded: np.ndarray) -> Header | None:
    """The header of an image; None if Pillow does not know the format."""
    try:
        with Image.open(io.BytesIO(encoded.tobytes())) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            # Pillow calls several JPEG images in one file MPO; all others call it JPEG.
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            return Header(kind, image.mode, orientation if isinstance(orientation, int) else 1)
    except Exception:  # a broken file may raise anything
        return None


def is_cut_off(encoded: np.ndarray) -> bool:
    """Whether a JPEG lacks its end marker. Decoders on the GPU do not report that."""
    data, at = encoded.tobytes(), 2
    while data[at : at + 1] == b"\xff":
        while data[at + 1 : at + 2] == b"\xff":  # any number of fill bytes
            at += 1
        if data[at + 1 : at + 2] == b"\xda":  # the pixels
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return b"\xff\xd9" not in data[at:]


def _of_pixels(encoded: np.ndarray, header: Header | None, heard: str) -> Iterator[Finding]:
    if heard:
        harm = _HARM.search(heard) is not None
        yield Finding("damaged" if harm else "warning", f"it decodes, with a warning ({heard})")
    elif header is not None and header.format == "JPEG" and is_cut_off(encoded):
        yield Finding("damaged", "it decodes, but its end is missing")


def _of_values(encoded: np.ndarray, header: Header | None) -> Iterator[Finding]:
    """Findings about an image that decodes, but perhaps to other pixels than were meant."""
    if header is not None and header.mode == "LAB":
        yield Finding("pixels", "it is stored as LAB, which DALI decodes to other colours")
    depth = depth_of(encoded.tobytes())
    if depth is None:
        return
    if depth.white not in (None, 255, 65535):
        taken = 255 if depth.bits == 8 else 65535
        what = f"its white is {depth.white}, and DALI takes {taken} for white"
        yield Finding("pixels", what)
        return
    try:
        values = np.array(decoder_of_values()(encoded)[0])
    except Undecodable:  # it could be decoded to 8 bits
        return
    low, high = float(values.min()), float(values.max())
    if depth.floats:
        if low >= 0 and high <= 1:  # and no NaN
            yield Finding("deep", "its values are floating-point numbers")
        else:
            what = f"its values go from {low:.4g} to {high:.4g}, of which DALI keeps 0 to 1"
            yield Finding("pixels", what)
    elif 0 < high <= _DARK:
        what = f"it has {depth.bits} bits, and its brightest value becomes {high * 255:.0f} of 255"
        yield Finding("pixels", what)
    else:
        yield Finding("deep", f"its values have {depth.bits} bits")


def _of_layers(encoded: np.ndarray) -> list[Finding]:
    """Findings about an image with more than one picture of three colours."""
    found = []
    with suppress(Exception), Image.open(io.BytesIO(encoded.tobytes())) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            found.append(Finding("frames", f"it holds {frames} pictures"))
        if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
            found.append(Finding("alpha", "it is transparent in places"))
    return found


@cache
def decoder_of_values() -> Single:
    """A decoder that maps integers to 0 to 1, and keeps floating-point numbers."""
    return Single(
        lambda encoded: fn.decoders.image(encoded, output_type=types.RGB, dtype=types.FLOAT)
    )


def _of_header(header: Header | None, name: str) -> Iterator[Finding]:
    if header is None:
        return
    ending = PurePosixPath(name).suffix.lower()
    if Image.registered_extensions().get(ending, header.format) != header.format:
        yield Finding("misnamed", f"it is a {header.format}")
    if header.mode == "CMYK":
        yield Finding("cmyk", "it has the four colours of print")
    if header.mode in ("1", "L", "LA", "F") or header.mode.startswith("I"):
        yield Finding("grayscale", "it has no colours")
    if 2 <= header.orientation <= 8:
        yield Finding("rotated", f"its EXIF orientation is {header.orientation}")


class _Said:
    """Catches what this process prints on its error output from now on."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)

    def clear(self) -> None:
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)

    def first_line(self) -> str:
        """The first line, without the colours and source locations that decoders add."""
        text = os.pread(2, _HEARD, 0).decode(errors="replace")
        text = re.sub("\x1b\\[[0-9;]*m", "", text)
        for line in text.splitlines():
            line = re.sub(r"^(\[[^\]]*\]\s*)+(global \S+ \S+ )?", "", line).strip()
            if line:
                return line[:200].rstrip(".")
        return ""

"""Images that are broken or unusual, as bytes, and folders that hold them."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


def encoded(kind="JPEG", pixels=PIXELS, mode=None, **options):
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def rotated(orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(exif=exif)


def resized_header(data, height, width):
    """A JPEG whose header states another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


JPEG = encoded(quality=95)
START = JPEG.index(b"\xff\xda")
"""Where the pixels begin."""
BAD = {
    "empty.jpg": (b"", "undecodable", "it is empty"),
    "zeros.jpg": (bytes(999), "undecodable", "no image of a kind that DALI decodes"),
    "text.jpg": (b"<html>404</html>", "undecodable", "no image of a kind that DALI decodes"),
    "cut header.jpg": (JPEG[:90], "undecodable", "broken or cut off"),
    "cut.jpg": (JPEG[: len(JPEG) // 2], "undecodable", "Premature end of JPEG data"),
    "cut.png": (encoded("PNG")[:-99], "undecodable", "it is broken or cut off"),
    "gif.jpg": (encoded("GIF"), "undecodable", "it is a GIF, which DALI cannot decode"),
    "too tall.jpg": (resized_header(JPEG, 75, 53), "damaged", "premature end of data segment"),
    "huge.jpg": (
        resized_header(JPEG, 65500, 65500),
        "huge",
        "its header says 65500x65500 pixels, more than 100,000,000",
    ),
}
"""For each file name: its bytes, the kind of the finding, and a part of its text."""
UNUSUAL = {
    "really a png.jpg": (encoded("PNG"), "misnamed", "it is a PNG"),
    "cmyk.jpg": (encoded(mode="CMYK"), "cmyk", "the four colours of print"),
    "gray.jpeg": (encoded(mode="L"), "grayscale", "it has no colours"),
    "turned.jpg": (rotated(), "rotated", "its EXIF orientation is 6"),
    "narrow.jpg": (encoded(pixels=PIXELS[:7]), "shape", "it has 53x7 pixels"),
}
GOOD = {
    "good.jpg": JPEG,
    "good.PNG": encoded("PNG"),
    "good.webp": encoded("WEBP"),
    "junk behind.jpg": JPEG + bytes(99),
}


def write(folder: Path, files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content[0])
    return folder

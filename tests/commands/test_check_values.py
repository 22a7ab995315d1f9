"""`dali-mix check`: images that decode, but not to what they were, or not wholly."""

import io
import struct
import zlib

import bad_images
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn, types
from PIL import Image

from dali_mix.commands import cli
from dali_mix.commands.check.depth import Depth, depth_of

RAMP = np.linspace(0, 1, 4096).reshape(64, 64)
WHITE, BLACK = (Image.new("RGB", (64, 64), color) for color in ("white", "black"))


def save(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of_bits(bits):
    return (RAMP * (2**bits - 1)).astype(np.uint16)


def png(pixels, colour):
    """16 bits for each channel, which Pillow does not write in colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def tiff(pixels, sample_format, order="<", big=False):
    """Of three channels, uncompressed, as Pillow does not write them."""
    pixels = pixels.astype(pixels.dtype.newbyteorder(order))
    height, width, channels = pixels.shape
    data, head = pixels.tobytes(), 16 if big else 8
    bits = struct.pack(order + "3H", *[8 * pixels.itemsize] * channels)
    formats = struct.pack(order + "3H", *[sample_format] * channels)
    word, wide = ("Q", 8) if big else ("I", 4)
    extra = head + len(data)  # where what does not fit stands
    values = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 3, bits), 259: (3, 1, 1)}
    values |= {262: (3, 1, 2), 273: (4, 1, head), 277: (3, 1, channels), 278: (4, 1, height)}
    values |= {279: (4, 1, len(data)), 339: (3, 3, formats)}
    entries, beside = b"", b""
    for tag, (kind, count, value) in values.items():
        if not isinstance(value, bytes):
            value = struct.pack(order + ("H" if kind == 3 else "I"), value)
        elif len(value) > wide:
            value, beside = struct.pack(order + word, extra + len(beside)), beside + value
        entries += struct.pack(order + "HH" + word, tag, kind, count) + value.ljust(wide, b"\0")
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    mark += struct.pack(order + "HH", 8, 0) if big else b""
    start = struct.pack(order + word, extra + len(beside))
    count = struct.pack(order + ("Q" if big else "H"), len(values))
    return mark + start + data + beside + count + entries + bytes(wide)


RGB = np.stack([RAMP] * 3, -1)
ALPHA = np.concatenate([(RGB * 255).astype(np.uint8), np.full((64, 64, 1), 128, np.uint8)], -1)
OPAQUE = ALPHA | np.uint8([0, 0, 0, 255])
PALETTE = Image.fromarray(OPAQUE[..., :3]).convert("P")
FRAMES = {"save_all": True, "append_images": [BLACK, BLACK]}
DARK = "its brightest value becomes"
PIXELS = {
    "png 12": (
        save(of_bits(12), "PNG"),
        "it has 16 bits, and its brightest value becomes 16 of",
    ),
    "png 10": (save(of_bits(10), "PNG"), "its brightest value becomes 4 of 255"),
    "png 14": (save(of_bits(14), "PNG"), "its brightest value becomes 64 of 255"),
    "png colour 12": (png(RGB * 4095, 2), "its brightest value becomes 16 of 255"),
    "tif 12": (save(of_bits(12), "TIFF"), "its brightest value becomes 16 of 255"),
    "tif colour 12": (tiff((RGB * 4095).astype("u2"), 1), "its brightest value becomes 16 of"),
    "jp2 12": (save(of_bits(12), "JPEG2000"), "its brightest value becomes 16 of 255"),
    "pgm 12": (
        b"P5 64 64 4095\n" + of_bits(12).astype(">u2").tobytes(),
        "its white is 4095, and DALI takes 65535 for white",
    ),
    "pgm 100": (
        b"P5\n# made by hand\n64 64\n100\n" + (RAMP * 100).astype("u1").tobytes(),
        "its white is 100, and DALI takes 255 for white",
    ),
    "float 255": (save((RAMP * 255).astype("f4"), "TIFF"), "its values go from 0 to 255, of which"),
    "float -1": (save((RAMP * 2 - 1).astype("f4"), "TIFF"), "its values go from -1 to 1, of which"),
    "float nan": (save((RAMP * np.nan).astype("f4"), "TIFF"), "its values go from nan to nan"),
    "float colour": (tiff((RGB * 300).astype("f4"), 3), "its values go from 0 to 300, of which"),
    "lab": (save(Image.new("LAB", (64, 64), (200, 128, 128)), "TIFF"), "it is stored as LAB"),
}
"""What cannot be used."""
TOLD = {
    "png 16": (
        save(of_bits(16), "PNG"),
        "deep",
        "its values have 16 bits; DALI makes 8 bits",
    ),
    "tif 16": (save(of_bits(16), "TIFF"), "deep", "16 bits"),
    "tif colour 16": (tiff((RGB * 65535).astype("u2"), 1), "deep", "16 bits"),
    "png colour 16": (png(RGB * 65535, 2), "deep", "16 bits"),
    "jp2 16": (save(of_bits(16), "JPEG2000"), "deep", "16 bits"),
    "ppm 16": (b"P5 64 64 65535\n" + of_bits(16).astype(">u2").tobytes(), "deep", "16 bits"),
    "float 1": (save(RAMP.astype("f4"), "TIFF"), "deep", "floating-point numbers; DALI makes 8"),
    "float colour 1": (tiff(RGB.astype("f4"), 3), "deep", "floating-point numbers"),
    "png alpha": (save(ALPHA, "PNG"), "alpha", "it is transparent in places; DALI drops it"),
    "tif alpha": (save(ALPHA, "TIFF"), "alpha", "transparent"),
    "webp alpha": (save(ALPHA, "WEBP"), "alpha", "transparent"),
    "png palette alpha": (save(PALETTE, "PNG", transparency=0), "alpha", "transparent"),
    "png gray alpha": (save(Image.fromarray(ALPHA).convert("LA"), "PNG"), "alpha", "transparent"),
    "tif pages": (save(WHITE, "TIFF", **FRAMES), "frames", "it holds 3 pictures; DALI reads the"),
    "webp animated": (save(WHITE, "WEBP", **FRAMES, lossless=True), "frames", "pictures"),
    "png animated": (save(WHITE, "PNG", **FRAMES), "frames", "pictures"),
    "cmyk tif": (save(BLACK.convert("CMYK"), "TIFF"), "cmyk", "DALI makes it RGB"),
}
"""What can be used, with something to know."""
PLAIN = {
    "png opaque": save(OPAQUE, "PNG"),
    "png palette": save(PALETTE, "PNG"),
    "tif": save(OPAQUE[..., :3], "TIFF", compression="tiff_lzw"),
    "bmp": save(OPAQUE[..., :3], "BMP"),
    "ppm": save(OPAQUE[..., :3], "PPM"),
    "jp2": save(OPAQUE[..., :3], "JPEG2000"),
}
ENDINGS = {"tif": "tif", "float": "tif", "lab": "tif", "pgm": "pgm", "cmyk": "tif"}


def file_of(name):
    first = name.partition(" ")[0]
    return f"{name}.{ENDINGS.get(first, first)}"


def test_what_decodes_to_something_else_is_told(tmp_path, capfd):
    files = {name: content for name, (content, *_) in (PIXELS | TOLD).items()} | PLAIN
    bad_images.write(tmp_path / "in", {file_of(name): content for name, content in files.items()})
    assert cli.main(["check", str(tmp_path / "in"), "--device=cpu", "--jobs=2"]) == 1
    lines = capfd.readouterr().out.splitlines()
    told = {name: [line for line in lines if f"/{file_of(name)}: " in line] for name in files}
    for name, (_, what) in PIXELS.items():
        assert any(line.startswith("pixels: ") and what in line for line in told[name]), told[name]
    for name, (_, kind, what) in TOLD.items():
        said = [line for line in told[name] if line.startswith(f"{kind}: ") and what in line]
        assert len(said) == 1, (name, told[name])
        assert not any(line.startswith("pixels: ") for line in told[name])
    for name in PLAIN:
        assert told[name] == []
    assert f"{len(files)} images, {len(files) - len(PIXELS)} can be used, {len(PIXELS)} " in str(
        lines
    )


@pytest.mark.parametrize("name", [name for name in PIXELS if DARK in PIXELS[name][1]])
def test_the_brightest_value_is_that_of_training(name):
    content, what = PIXELS[name]
    with Pipeline(batch_size=1, num_threads=1, device_id=None) as pipeline:
        encoded = fn.external_source(source=[[np.frombuffer(content, np.uint8)]])
        pipeline.set_outputs(fn.decoders.image(encoded, output_type=types.RGB))
    brightest = np.array(pipeline.run()[0].as_tensor()).max()
    assert f"becomes {brightest} of" in what


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("dtype", "kind", "depth"),
    [("u1", 1, None), ("u2", 1, Depth(16)), ("f4", 3, Depth(32, True)), ("f8", 3, Depth(64, True))],
)
def test_the_depth_of_a_tiff_is_read_in_every_form(order, big, dtype, kind, depth):
    content = tiff(np.zeros((4, 5, 3), dtype), kind, order, big)
    assert depth_of(content) == depth
    for end in range(0, len(content), 7):
        assert depth_of(content[:end]) in (None, depth, Depth(1))


def test_other_bytes_have_no_depth():
    rng = np.random.default_rng(0)
    for start in (b"", b"\x89PNG", b"II*\0", b"MM\0+", b"P5 1 1 ", b"\0\0\0\x0cjP  "):
        for size in (0, 3, 40, 400):
            depth_of(start + rng.bytes(size))  # raises nothing
    assert depth_of(bad_images.JPEG) is None and depth_of(b"") is None

"""Batches for the native pixel code, which ctypes calls without DALI. Images lie between pages that
must not be touched; NumPy computes the expected outputs."""

import ctypes
import mmap
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from kernel_structures import Box, Layers, Mask, Sample, Source, WalkCall

HERE = Path(__file__).resolve().parents[1] / "native"
NATIVE = HERE.parent.parent / "dali_mix/native"
IN_TYPES = (np.uint8, np.float32, np.float16)  # in the order of the enums in loops/dispatch.h
OUT_TYPES = (np.float32, np.float16, np.uint8, np.int8)
COPIED = len(IN_TYPES)  # copied values of 1, 2, 4 and 8 bytes come after the types
PAGE = mmap.PAGESIZE
NO_ACCESS = 0


def build(folder):
    """Build the library of walk.cc. Without g++ the test is skipped."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    library = folder / "walk.so"
    vector = "neon" if platform.machine() == "aarch64" else "avx512"
    loops = [NATIVE / f"loops/isa_{name}.cc" for name in ("baseline", vector)]
    sources = [HERE / "walk.cc", *loops]
    # Neither optimised nor inlined: compiling the vector loops would take more than a minute.
    flags = "-std=c++20 -O0 -fPIC -shared -ffp-contract=off -Wall -Wextra -Werror".split()
    flags += ["-DMIX_HD=inline", "-DMIX_INLINE="]
    paths = ["-Wno-psabi", f"-I{HERE / 'emulated'}", f"-I{NATIVE}"]
    subprocess.run([compiler, *flags, *paths, *sources, "-o", library], check=True)
    native = ctypes.CDLL(str(library))
    native.walk_kernel.restype = ctypes.c_char_p
    for name, mirrored in {"call": WalkCall, "sample": Sample, "layers": Layers}.items():
        assert native[f"size_of_{name}"]() == ctypes.sizeof(mirrored), name
    return native


def guarded(array, *, at_end):
    """A copy that ends right before, or begins right after, a page that cannot be touched."""
    pages = -(-max(array.nbytes, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for page in (first, first + (pages + 1) * PAGE):
        assert libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), NO_ACCESS) == 0
    offset = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[:] = array
    return copy


def aligned_zeros(shape, dtype):
    """Zeros that begin at a cache line, as DALI's buffers do."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


@dataclass
class Picture:
    """An input image, the place of its crop window, and its mirror flag."""

    array: np.ndarray
    place: tuple[int, int] = (0, 0)
    mirror: bool = False


@dataclass
class Mixed:
    """One sample: images, their weights, boxes with the image that each shows, a mask."""

    size: tuple[int, int]
    pictures: list
    weights: list
    boxes: list = field(default_factory=list)
    shows: list = field(default_factory=list)
    mask: np.ndarray | None = None
    shifts: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Offset of the images that have one: output (0, 0) shows this pixel of their window."""

    @property
    def layered(self):
        plain = len(self.pictures) == 2 and self.shows in ([], [1]) and self.mask is None
        return not plain

    def seen(self, k, interleaved):
        """(H, W, C): image k placed on the output. Pixels outside the image have any value."""
        picture = self.pictures[k]
        array = picture.array if interleaved else picture.array.transpose(1, 2, 0)
        (height, width), (y, x) = self.size, picture.place
        dy, dx = self.shifts.get(k, (0, 0))
        columns = np.arange(width) + dx
        columns = x + (width - 1 - columns if picture.mirror else columns)
        rows = y + dy + np.arange(height)
        return array[rows.clip(0, len(array) - 1)][:, columns.clip(0, array.shape[1] - 1)]

    def shares(self):
        """(K, H, W) float64: the weight of every image at every pixel."""
        height, width = self.size
        weights = np.array(self.weights, np.float32).astype(np.float64)
        shares = np.broadcast_to(weights[:, None, None], (len(weights), height, width)).copy()
        if self.mask is not None and weights[0] != 0:
            rows, columns = (
                np.arange(length) * cells // length
                for length, cells in zip(self.size, self.mask.shape, strict=True)
            )
            shares[0] *= self.mask[rows][:, columns] / 255
        if len(weights) == 2:
            shares[1] = 1 - shares[0]
        for (y0, x0, y1, x1), image in zip(self.boxes, self.shows, strict=True):
            shares[:, y0:y1, x0:x1] = 0
            shares[image, y0:y1, x0:x1] = 1
        return shares


class Case:
    """A call: samples that share types, layouts and normalization. Without `out_type`, values are
    copied. With `sequence`, the samples are the frames of one output, in which each channel has its
    planes frame by frame."""

    def __init__(
        self, mixes, in_type, out_type, channels, pad, interleaved, planar, seed=0, sequence=False
    ):
        self.copied = out_type is None
        self.mixes, self.out_type, self.pad = mixes, np.dtype(out_type or in_type), pad
        self.frames = len(mixes) if sequence else 1
        self.interleaved, self.planar, self.channels = interleaved, planar, channels
        self.out_channels = 2 ** (channels - 1).bit_length() if pad else channels
        self.images = max(2, *(len(mixed.pictures) for mixed in mixes))
        rng = np.random.default_rng(seed)
        self.mean = rng.uniform(50, 150, channels).astype(np.float32)
        self.std = rng.uniform(40, 80, channels).astype(np.float32)
        self.scale = 30.0 if np.issubdtype(self.out_type, np.integer) else 1.0
        self.k = np.float64(self.scale) / self.std.astype(np.float64)
        self.s = -self.mean.astype(np.float64) * self.k
        self.call = self.native_call(np.dtype(in_type))

    def source(self, mixed, k):
        picture, width, shift = mixed.pictures[k], mixed.size[1], mixed.shifts.get(k, (0, 0))
        array = picture.array
        rows, columns = array.shape[:2] if self.interleaved else array.shape[1:]
        column = self.channels if self.interleaved else 1
        y, x = picture.place[0] + shift[0], picture.place[1]
        x += width - 1 - shift[1] if picture.mirror else shift[1]
        first = (y * columns + x) * column * array.itemsize
        channel = 1 if self.interleaved else rows * columns
        stride = -column if picture.mirror else column
        return Source(array.ctypes.data + first, columns * column, stride, channel)

    def native_sample(self, mixed, layers):
        height, width = mixed.size
        box = mixed.boxes[0] if mixed.boxes else (0, 0, 0, 0)
        alone = [float(weight) == 1 for weight in mixed.weights]
        outside = 0 if alone[0] else 1 if alone[1] else 2
        place = -1
        if mixed.layered:
            place = len(layers)
            layers.append(self.native_layers(mixed))
        return Sample(
            0,
            self.source(mixed, 0),
            self.source(mixed, 1),
            *(height, width, height * width * self.frames),
            Box(*box),
            *(outside, place),
        )

    def native_layers(self, mixed):
        images = [self.source(mixed, k) for k in range(2, len(mixed.pictures))]
        mask = Mask()
        if mixed.mask is not None:
            mask = Mask(mixed.mask.ctypes.data, *mixed.mask.shape)
        return Layers(
            (Source * 6)(*images),
            len(mixed.pictures),
            (Box * 7)(*(Box(*box) for box in mixed.boxes[1:])),
            len(mixed.boxes),
            (ctypes.c_int32 * 8)(*mixed.shows),
            mask,
            mixed.weights[0],
            0,
        )

    def native_weights(self, mixed):
        """(channels, images): the weights as the operators compute them."""
        weights = np.zeros((self.channels, self.images))
        own = np.float64(np.float32(mixed.weights[0]))
        weights[:, :2] = np.stack([own * self.k, (1 - own) * self.k], -1)
        if len(mixed.pictures) > 2:
            factors = np.array(mixed.weights, np.float32).astype(np.float64)
            weights[:, : len(factors)] = factors * self.k[:, None]
        return weights.astype(np.float32)

    def native_call(self, in_type):
        layers = []
        samples = [self.native_sample(mixed, layers) for mixed in self.mixes]
        bytes_ = np.zeros((len(samples), self.images, 2), np.uintp)
        for i, mixed in enumerate(self.mixes):
            for k, picture in enumerate(mixed.pictures):
                begin = picture.array.ctypes.data
                bytes_[i, k] = begin, begin + picture.array.nbytes
        self.kept = {
            "singles": np.stack([self.k, self.s], -1).astype(np.float32),
            "factors": self.k,
            "weights": np.stack([self.native_weights(mixed) for mixed in self.mixes]),
            "bytes": bytes_,
            "out_bytes": np.array([self.output_bytes(mixed) for mixed in self.mixes], np.int64),
        }
        self.samples = (Sample * len(samples))(*samples)
        self.layers = (Layers * len(layers))(*layers)
        address = {name: array.ctypes.data for name, array in self.kept.items()}
        codes = [IN_TYPES.index(in_type), OUT_TYPES.index(self.out_type)] if not self.copied else []
        codes = codes or [COPIED + in_type.itemsize.bit_length() - 1, len(OUT_TYPES)]
        return WalkCall(
            *(*codes, self.channels, self.out_channels),
            *(self.interleaved, self.planar, False),
            *(address["singles"], address["factors"], address["weights"]),
            *(ctypes.addressof(self.layers) if layers else None,),
            *(self.channels, self.out_channels, self.images),
            self.planar,
            *(ctypes.addressof(self.samples), address["bytes"], address["out_bytes"]),
            len(samples),
        )

    def shape(self, mixed):
        if self.planar:
            return self.out_channels, *mixed.size
        return *mixed.size, self.out_channels

    def output_bytes(self, mixed):
        """Number of bytes from the first that is written to the last."""
        area, planes = mixed.size[0] * mixed.size[1], (self.out_channels - 1) * self.frames + 1
        return area * (planes if self.planar else self.out_channels) * self.out_type.itemsize

    def outputs(self):
        if self.frames == 1:
            return [aligned_zeros(self.shape(mixed), self.out_type) for mixed in self.mixes]
        channels, *size = self.shape(self.mixes[0])
        whole = aligned_zeros((channels, self.frames, *size), self.out_type)
        return [whole[:, frame] for frame in range(self.frames)]

    def counters(self):
        """A counter for each byte of the outputs, at the same place."""
        if self.frames == 1:
            return [np.zeros(self.output_bytes(mixed), np.int32) for mixed in self.mixes]
        channels, height, width = self.shape(self.mixes[0])
        whole = np.zeros((channels, self.frames, height, width * self.out_type.itemsize), np.int32)
        return [whole[:, frame] for frame in range(self.frames)]

    def exact(self, mixed):
        """(H, W, C) float64 before the cast, or the values themselves if they are copied."""
        seen = [mixed.seen(k, self.interleaved) for k in range(len(mixed.pictures))]
        shares = mixed.shares()[..., None]
        if self.copied:
            return np.where(shares[0] == 1, seen[0], seen[1])
        values = np.zeros(seen[0].shape)
        for share, image in zip(shares, seen, strict=True):
            values += np.where(share != 0, image.astype(np.float64), 0) * share
        return values * self.k + self.s

    def run_kernel(self, native):
        """The outputs of the kernel, and how many threads wrote each byte."""
        outs, writes = self.outputs(), self.counters()
        wrong = native.walk_kernel(ctypes.byref(self.call), pointers(outs), pointers(writes))
        assert wrong is None, wrong
        return outs, writes

    def run_rows(self, native, *, vector=False, stream=False):
        outs = self.outputs()
        native.walk_rows(ctypes.byref(self.call), pointers(outs), int(vector), int(stream))
        return outs


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))

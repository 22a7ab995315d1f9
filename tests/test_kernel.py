"""Native code on a processor that lacks what it is for: the CUDA kernel's own functions run on the
host for every (block, thread), and the AVX-512 loops over emulated instructions."""

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dali_mix import reference
from dali_mix.plan import Plan

NATIVE = Path(__file__).resolve().parent.parent / "dali_mix/native"
IN_TYPES = (np.uint8, np.float32, np.float16)  # in the order of the enums in rows.h
OUT_TYPES = (np.float32, np.float16, np.uint8, np.int8)


class Image(ctypes.Structure):
    _fields_ = (
        ("begin", ctypes.c_void_p),
        ("bytes", ctypes.c_int64),
        ("first", ctypes.c_int64),
        ("row", ctypes.c_int32),
        ("column", ctypes.c_int32),
        ("channel", ctypes.c_int32),
    )


class Sample(ctypes.Structure):
    _fields_ = (
        ("own", Image),
        ("partner", Image),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("box", ctypes.c_int32 * 4),
        ("outside", ctypes.c_int32),
        ("out_bytes", ctypes.c_int64),
    )


class Call(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("in_", "out", "channels", "out_channels")),
        ("interleaved", ctypes.c_int32),
        ("planar", ctypes.c_int32),
        ("singles", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("samples", ctypes.POINTER(Sample)),
        ("count", ctypes.c_int32),
    )


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    library = tmp_path_factory.mktemp("native") / "walk.so"
    here = Path(__file__).parent / "native"
    sources = [here / "walk.cc", NATIVE / "rows_baseline.cc", NATIVE / "rows_avx512.cc"]
    # Not optimised: compiling the vector loops would take half a minute.
    flags = "-std=c++20 -O0 -fPIC -shared -ffp-contract=off -Wall -Wextra -Werror".split()
    paths = [f"-I{here / 'emulated'}", f"-I{NATIVE}"]
    subprocess.run([compiler, *flags, *paths, *sources, "-o", library], check=True)
    return ctypes.CDLL(str(library))


def addressed(array):
    return ctypes.c_void_p(array.ctypes.data)


class Case:
    """A batch with crops, mirrors, boxes and weights, ready for the native functions."""

    def __init__(self, rng, in_type, out_type, channels, pad, interleaved, planar, size, shift=0):
        self.layouts = {
            "input_layout": "HWC" if interleaved else "CHW",
            "output_layout": "CHW" if planar else "HWC",
        }
        self.count, self.size, self.channels = 6, size, channels
        self.out_channels = 2 ** (channels - 1).bit_length() if pad else channels
        self.pad, self.out_type = pad, out_type
        margins = rng.integers(0, 4, (self.count, 2))
        self.places = [
            (int(rng.integers(0, m[0] + 1)), int(rng.integers(0, m[1] + 1))) for m in margins
        ]
        self.mirrors = rng.integers(0, 2, self.count).astype(bool)
        self.images = [self.draw(rng, in_type, size[0] + m[0], size[1] + m[1]) for m in margins]
        self.mean = rng.uniform(50, 150, channels).astype(np.float32)
        self.std = rng.uniform(40, 80, channels).astype(np.float32)
        self.scale = 30.0 if np.issubdtype(out_type, np.integer) else 1.0
        self.shift = shift
        self.plan = self.draw_plan(rng)
        self.call = self.native_call(in_type, out_type, interleaved, planar)

    def draw(self, rng, in_type, height, width):
        shape = (height, width, self.channels)
        if self.layouts["input_layout"] == "CHW":
            shape = (self.channels, height, width)
        return rng.integers(0, 256, shape).astype(in_type)

    def draw_plan(self, rng):
        height, width = self.size
        boxes = np.zeros((self.count, 4), np.int32)
        for i in range(self.count // 2):
            y, x = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
            boxes[i] = y[0], x[0], y[1], x[1]
        blend = np.array([1, 1, 0.3, 0.7, 0, 1], np.float32)
        partner = np.roll(np.arange(self.count), 1).astype(np.int32)
        return Plan(partner, blend, boxes, blend, np.tile(self.size, (self.count, 1)))

    def image(self, i):
        image = self.images[i]
        height, width = image.shape[:2] if self.interleaved else image.shape[1:]
        column = self.channels if self.interleaved else 1
        row, channel = width * column, 1 if self.interleaved else width * height
        y, x = self.places[i]
        mirrored = self.mirrors[i]
        first = y * row + (x + self.size[1] - 1 if mirrored else x) * column
        stride = -column if mirrored else column
        return Image(image.ctypes.data, image.nbytes, first, row, stride, channel)

    @property
    def interleaved(self):
        return self.layouts["input_layout"] == "HWC"

    def native_call(self, in_type, out_type, interleaved, planar):
        k = np.float64(self.scale) / self.std.astype(np.float64)
        s = self.shift - self.mean.astype(np.float64) * k
        w = self.plan.blend.astype(np.float64)[:, None]
        self.singles = np.stack([k, s], -1).astype(np.float32)
        self.weights = np.stack([w * k, (1 - w) * k], -1).astype(np.float32)
        bytes_out = self.size[0] * self.size[1] * self.out_channels * np.dtype(out_type).itemsize
        samples = (Sample * self.count)()
        for i, partner in enumerate(self.plan.partner):
            outside = {1.0: 0, 0.0: 1}.get(float(self.plan.blend[i]), 2)
            box = (ctypes.c_int32 * 4)(*map(int, self.plan.box[i]))
            samples[i] = Sample(
                self.image(i), self.image(int(partner)), *self.size, box, outside, bytes_out
            )
        return Call(
            IN_TYPES.index(in_type),
            OUT_TYPES.index(out_type),
            self.channels,
            self.out_channels,
            interleaved,
            planar,
            self.singles.ctypes.data,
            self.weights.ctypes.data,
            samples,
            self.count,
        )

    def outputs(self):
        height, width = self.size
        shape = (height, width, self.out_channels)
        if self.layouts["output_layout"] == "CHW":
            shape = (self.out_channels, height, width)
        return [aligned_zeros(shape, self.out_type) for _ in range(self.count)]

    def expected(self):
        height, width = self.size
        windows = []
        for image, (y, x), mirror in zip(self.images, self.places, self.mirrors, strict=True):
            rows, columns = image.shape[:2] if self.interleaved else image.shape[1:]
            slack = rows - height, columns - width
            position = tuple(p / m if m else 0.5 for p, m in zip((y, x), slack, strict=True))
            windows.append({"crop": self.size, "crop_pos": position, "mirror": bool(mirror)})
        return reference.apply(
            self.images,
            self.plan,
            mean=self.mean,
            std=self.std,
            scale=self.scale,
            shift=self.shift,
            dtype=self.out_type,
            pad_output=self.pad,
            windows=windows,
            **self.layouts,
        )


def aligned_zeros(shape, dtype):
    """Zeros that begin a cache line, as DALI's buffers do."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def cpu_rows(native, case, *, avx512=False, stream=False):
    outs = case.outputs()
    native.walk_rows(ctypes.byref(case.call), pointers(outs), int(avx512), int(stream))
    return outs


def walk(native, case):
    """Outputs of the kernel, and how many threads wrote each byte of them."""
    outs = case.outputs()
    writes = [np.zeros(out.nbytes, np.int32) for out in outs]
    native.walk_kernel(ctypes.byref(case.call), pointers(outs), pointers(writes))
    return outs, writes


CASES = [
    (in_type, out_type, channels, pad, interleaved, planar)
    for in_type, out_type, (channels, pad), interleaved, planar in itertools.product(
        IN_TYPES,
        OUT_TYPES,
        [(1, False), (2, True), (3, False), (3, True), (4, False), (5, False)],
        [True, False],
        [True, False],
    )
    if in_type is np.uint8 or channels in (1, 3)
]
# Widths that are whole tiles (aligned and wide loads), not, and below one tile.
SIZES = [(3, 16), (5, 13), (2, 3), (1, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_byte_of_the_output_is_written_by_exactly_one_thread(native, size):
    rng = np.random.default_rng(size)
    for settings in CASES:
        _, writes = walk(native, Case(rng, *settings, size))
        for sample in writes:
            assert (sample == 1).all(), settings


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_kernel_agrees_with_the_cpu_loop_to_the_bit(native, size):
    rng = np.random.default_rng(size)
    for settings in CASES:
        case = Case(rng, *settings, size)
        outs, _ = walk(native, case)
        for kernel, cpu in zip(outs, cpu_rows(native, case), strict=True):
            assert kernel.tobytes() == cpu.tobytes(), settings


# Around the block of 64 pixels; three rows, of which the outer ones are bounced; whole cache lines.
@pytest.mark.parametrize("size", [(3, 63), (3, 65), (4, 128), (3, 203), (2, 7)], ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["stored", "streamed"])
def test_the_avx512_loops_agree_with_the_portable_ones_to_the_bit(native, size, stream):
    rng = np.random.default_rng(size)
    for settings in CASES:
        if settings[0] is not np.uint8:
            continue
        case = Case(rng, *settings, size)
        portable = cpu_rows(native, case)
        for vector, expected in zip(
            cpu_rows(native, case, avx512=True, stream=stream), portable, strict=True
        ):
            assert vector.tobytes() == expected.tobytes(), settings


@pytest.mark.parametrize("shift", [3e9, -3e9, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("out_type", [np.uint8, np.int8])
def test_the_avx512_loops_saturate_as_the_portable_ones(native, out_type, shift):
    case = Case(
        np.random.default_rng(0), np.uint8, out_type, 3, False, True, True, (2, 130), shift=shift
    )
    limits = np.iinfo(out_type)
    limit = limits.max if shift > 0 else limits.min  # the least, too, for what is not a number
    for portable, vector in zip(
        cpu_rows(native, case), cpu_rows(native, case, avx512=True), strict=True
    ):
        assert (portable == limit).all()
        assert (vector == limit).all()


def test_the_kernel_agrees_with_the_reference(native):
    rng = np.random.default_rng(7)
    for settings in CASES:
        case = Case(rng, *settings, (5, 13))
        outs, _ = walk(native, case)
        for actual, expected in zip(outs, case.expected(), strict=True):
            difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
            # Values lie below 8: one place of float16, two of float32; no tie among the integers.
            limit = {np.float32: 2**-20, np.float16: 2**-8}.get(settings[1], 0)
            assert difference.max() <= limit, settings


def test_the_software_half_widens_every_value_as_numpy_does(native):
    halves = np.arange(2**16, dtype=np.uint16)
    floats = np.empty(halves.shape, np.float32)
    native.halves_to_floats(addressed(halves), addressed(floats), ctypes.c_int64(len(halves)))
    expected = halves.view(np.float16).astype(np.float32)
    assert np.array_equal(floats, expected, equal_nan=True)
    assert np.array_equal(np.signbit(floats), np.signbit(expected))


def test_the_software_half_rounds_as_numpy_does(native):
    rng = np.random.default_rng(0)
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(every[np.isfinite(every)])
    ties = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    near = np.concatenate([np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)])
    anything = rng.integers(0, 2**32, 10**6, dtype=np.uint32).view(np.float32)
    edges = np.array([65519.996, 65520.0, -65520.0], np.float32)
    floats = np.concatenate([every, ties, near, edges, anything])
    halves = np.empty(floats.shape, np.uint16)
    native.floats_to_halves(addressed(floats), addressed(halves), ctypes.c_int64(len(floats)))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = floats.astype(np.float16)
    assert np.array_equal(halves.view(np.float16), expected, equal_nan=True)

"""Native code on a processor that lacks what it is for: the CUDA kernel's own functions run on the
host for every (block, thread), and the AVX-512 loops over emulated instructions."""

import ctypes
import itertools

import numpy as np
import pytest
from kernel_batches import filling, layered, pairs, picture
from kernel_cases import IN_TYPES, OUT_TYPES, Case, Mixed, Picture, build, guarded

from dali_mix import reference
from dali_mix.plan import Plan


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native"))


def expected(case):
    """What dali_mix.reference makes of samples as `pairs` makes them."""
    windows, blend, box = [], [], []
    for mixed in case.mixes:
        own = mixed.pictures[0]
        rows, columns = own.array.shape[:2] if case.interleaved else own.array.shape[1:]
        slack = rows - mixed.size[0], columns - mixed.size[1]
        position = tuple(p / m if m else 0.5 for p, m in zip(own.place, slack, strict=True))
        windows.append({"crop": mixed.size, "crop_pos": position, "mirror": own.mirror})
        blend.append(mixed.weights[0])
        box.append(mixed.boxes[0] if mixed.boxes else (0, 0, 0, 0))
    partner = np.arange(len(case.mixes)) ^ 1
    blend = np.array(blend, np.float32)
    return reference.apply(
        [mixed.pictures[0].array for mixed in case.mixes],
        Plan(partner, blend, np.array(box), blend, None),
        mean=case.mean,
        std=case.std,
        scale=case.scale,
        dtype=np.float64,
        input_layout="HWC" if case.interleaved else "CHW",
        output_layout="CHW" if case.planar else "HWC",
        pad_output=case.pad,
        windows=windows,
    )


def agree(actual, exact, what):
    """Values lie below 8: one place of float16, two of float32. Integers saturate."""
    limit = {np.float32: 2**-20, np.float16: 2**-8}.get(actual.dtype.type, 0.5 + 1e-5)
    if np.issubdtype(actual.dtype, np.integer):
        exact = exact.clip(*(getattr(np.iinfo(actual.dtype), end) for end in ("min", "max")))
    assert np.abs(actual.astype(np.float64) - exact).max() <= limit, what


def check(native, case, what):
    """Every byte of every output is written once, with the bits of the CPU loop."""
    outs, writes = case.run_kernel(native)
    for sample in writes:
        assert (sample == 1).all(), what
    for kernel, cpu in zip(outs, case.run_rows(native), strict=True):
        assert kernel.tobytes() == cpu.tobytes(), what
    return outs


SETTINGS = [
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
UINT8 = [settings for settings in SETTINGS if settings[0] is np.uint8]
# Those of tiles of several pixels.
VECTOR = [settings for settings in UINT8 if settings[4] and settings[2] in (1, 3, 4)]
# Those for which there are AVX-512 loops.
ROWS = [settings for settings in VECTOR if settings[1:4] == (np.uint8, 3, False)]


@pytest.mark.parametrize("in_type", IN_TYPES)
def test_any_types_and_layouts_in_ragged_batches(native, in_type):
    rng = np.random.default_rng(IN_TYPES.index(in_type))
    for settings in SETTINGS:
        if settings[0] is in_type:
            case = pairs(rng, settings, [(3, 16), (5, 13), (1, 1), (2, 3)])
            for actual, value in zip(check(native, case, settings), expected(case), strict=True):
                agree(actual, value, settings)


def test_every_width_from_any_origin(native):
    """Widths around one and several tiles, windows at every column of 16."""
    rng = np.random.default_rng(5)
    for width, settings in itertools.product(range(1, 71), VECTOR):
        case = pairs(rng, settings, [(2, width), (3, 71 - width)])
        for actual, value in zip(check(native, case, settings), expected(case), strict=True):
            agree(actual, value, (width, settings))


@pytest.mark.parametrize("out_type", [np.float16, np.uint8])
@pytest.mark.parametrize("weight", [1, 0.7])
def test_every_box_in_a_tile(native, out_type, weight):
    """Where the partner shows in the box alone, it is no larger than the box, between pages that
    must not be touched."""
    settings = (np.uint8, out_type, 3, False, True, True)
    rng, size, mixes = np.random.default_rng(6), (3, 21), []
    weights = [np.float32(weight), np.float32(1) - np.float32(weight)]
    for x0, x1 in itertools.combinations(range(22), 2):
        box = (1, x0, 2, x1)
        own = picture(rng, settings, size)
        fitted = weight == 1
        other, shift = filling(rng, settings, size, box if fitted else (0, 0, *size))
        mixes.append(Mixed(size, [own, other], weights, [box], [1], shifts={1: shift}))
    case = Case(mixes, *settings)
    for mixed, actual in zip(mixes, check(native, case, settings), strict=True):
        agree(actual, laid_out(case, mixed), mixed.boxes)


def laid_out(case, mixed):
    values = case.exact(mixed)
    padding = case.out_channels - case.channels
    values = np.pad(values, ((0, 0), (0, 0), (0, padding)))
    return values.transpose(2, 0, 1) if case.planar else values


@pytest.mark.parametrize("size", [(3, 37), (2, 48), (5, 7)], ids=str)
def test_layers(native, size):
    rng = np.random.default_rng(size)
    for settings in VECTOR + SETTINGS[::29]:
        case = Case(list(layered(rng, settings, size)), *settings)
        for mixed, actual in zip(case.mixes, check(native, case, settings), strict=True):
            agree(actual, laid_out(case, mixed), (settings, mixed))


@pytest.mark.parametrize("size", [(3, 37), (2, 48)], ids=str)
def test_planes_of_sequences(native, size):
    """Between the planes of a frame lie those of the others."""
    rng = np.random.default_rng(size)
    for settings in SETTINGS:
        if settings[5]:
            mixes = (
                pairs(rng, settings, [size] * 2).mixes[:3] + list(layered(rng, settings, size))[::9]
            )
            case = Case(mixes, *settings, sequence=True)
            for mixed, actual in zip(mixes, check(native, case, settings), strict=True):
                agree(actual, laid_out(case, mixed), settings)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("planar", [False, True], ids=["HWC", "CHW"])
def test_copied_maps(native, dtype, planar):
    rng, size = np.random.default_rng(8), (4, 19)
    settings = (dtype, None, 2, False, True, planar)
    images = [picture(rng, settings, size) for _ in range(2)]
    f, boxes = np.float32, [(0, 3, 2, 19), (1, 0, 4, 8)]
    mask = rng.choice([0, 255], (2, 5)).astype(np.uint8)
    mixes = [
        Mixed(size, images, [f(1), f(0)]),
        Mixed(size, images, [f(1), f(0)], boxes[:1], [1]),
        Mixed(size, images, [f(1), f(0)], boxes, [1, 1], mask),
    ]
    case = Case(mixes, *settings)
    for mixed, actual in zip(mixes, check(native, case, mixes), strict=True):
        assert np.array_equal(actual, laid_out(case, mixed))


def test_more_blocks_than_one_for_a_sample_and_samples_without_any(native):
    settings = (np.uint8, np.float16, 3, False, True, True)
    rng = np.random.default_rng(9)
    case = pairs(rng, settings, [(0, 5), (47, 53), (4, 0), (9, 11), (0, 0)])
    outs = check(native, case, "ragged")
    for mixed, actual in zip(case.mixes, outs, strict=True):
        if actual.size:
            agree(actual, laid_out(case, mixed), mixed.size)


def test_a_read_outside_of_an_image_is_seen(native):
    settings = (np.uint8, np.float32, 1, False, True, True)
    case = Case(
        [
            Mixed(
                (5, 8),
                [Picture(guarded(np.ones((5, 8, 1), np.uint8), at_end=True))] * 2,
                [np.float32(1), np.float32(0)],
            )
        ],
        *settings,
    )
    check(native, case, "as it is")
    case.samples[0].height += 1
    with pytest.raises(AssertionError, match="memory that is not the image's"):
        case.run_kernel(native)


def test_rows_of_tiles_are_told_without_a_division(native):
    rng = np.random.default_rng(10)
    for per_row in [1, 2, 3, 5, 7, 28, 255, 256, 257, 65535, 65536, 65537, 2**30 + 1, 2**31 - 1]:
        near = np.arange(-2, 3) + per_row * rng.integers(0, 2**31 // per_row + 1, (2000, 1))
        tiles = np.concatenate([near.ravel(), rng.integers(0, 2**31, 2000), [2**31 - 1]])
        tiles = tiles.clip(0, 2**31 - 1).astype(np.int32)
        wrong = native.wrong_rows(per_row, ctypes.c_void_p(tiles.ctypes.data), len(tiles))
        assert wrong == 0, per_row


def test_every_block_finds_its_sample(native):
    rng = np.random.default_rng(11)
    for blocks in ([25] * 256, [1], [0, 0, 3, 0], rng.integers(0, 40, 300), [1000, *[1] * 70]):
        ends = np.cumsum(blocks)
        first = (ends - blocks).astype(np.int32)
        for block in range(ends[-1]):
            found = native.sample_of(pointer(first), len(first), int(ends[-1]), block)
            assert found == np.searchsorted(ends, block, "right"), (blocks, block)


def test_what_fits_the_kernel_parameters_is_not_uploaded(native):
    """They have room for 256 samples of 3 channels, whatever is mixed, and 4,096 bytes for 32 of
    them; layers are uploaded."""
    limits = {1: (32, 256), 2: (32, 256), 3: (32, 256), 4: (24, 192), 5: (0, 0)}
    for channels, (few, many) in limits.items():
        for samples in (1, 24, 25, 32, 33, 191, 192, 193, 255, 256, 257, 1000):
            size = native.inline_bytes(samples, channels, 2, False)
            limit = 4096 if samples <= few else 32764 if samples <= many else 0
            assert size <= limit and (size > 0) == (limit > 0), (channels, samples, size)
            assert native.inline_bytes(samples, channels, 2, True) == 0
    assert native.inline_bytes(170, 3, 3, False) and not native.inline_bytes(171, 3, 3, False)


# Around the block of 64 pixels; three rows, of which the outer ones are bounced; whole cache lines.
@pytest.mark.parametrize("size", [(3, 63), (3, 65), (4, 128), (3, 203), (2, 7)], ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["stored", "streamed"])
def test_the_vector_loops_agree_with_the_portable_ones_to_the_bit(native, size, stream):
    rng = np.random.default_rng(size)
    for settings in ROWS:
        case = pairs(rng, settings, [size] * 3)
        vector = case.run_rows(native, vector=True, stream=stream)
        for actual, portable in zip(vector, case.run_rows(native), strict=True):
            assert actual.tobytes() == portable.tobytes(), settings


# Beyond 16 bits; just within what the vector loops take, and just beyond; beyond 32 bits.
@pytest.mark.parametrize("shift", [65636, 1.05e9, 1.1e9, 3e9, np.inf, np.nan])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("planar", [True, False], ids=["CHW", "HWC"])
def test_the_vector_loops_saturate_as_the_portable_ones(native, planar, sign, shift):
    settings, shift = (np.uint8, np.uint8, 3, False, True, planar), sign * shift
    case = pairs(np.random.default_rng(0), settings, [(2, 130)] * 3)
    case.kept["singles"][:, 1] = shift
    limit = 255 if shift > 0 else 0  # 0, too, for what is not a number
    for outs in (case.run_rows(native), case.run_rows(native, vector=True)):
        assert all((out == limit).all() for out in outs)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def test_the_software_half_widens_every_value_as_numpy_does(native):
    halves = np.arange(2**16, dtype=np.uint16)
    floats = np.empty(halves.shape, np.float32)
    native.halves_to_floats(pointer(halves), pointer(floats), ctypes.c_int64(len(halves)))
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
    native.floats_to_halves(pointer(floats), pointer(halves), ctypes.c_int64(len(floats)))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = floats.astype(np.float16)
    assert np.array_equal(halves.view(np.float16), expected, equal_nan=True)

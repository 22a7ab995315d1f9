"""How `apply` rounds to the type of the output, and reads float16: bit for bit, on every path."""

import numpy as np
import pytest
from helpers import CPU_PATHS, DEVICES, UNMIXED, apply, random_images

from dali_mix.plan import Plan


@pytest.mark.parametrize("device", DEVICES)
def test_halves_are_rounded_to_even_and_integers_saturate(device):
    value = np.array(
        [-1e9, -129, -128.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 127.5, 254.5, 255.5, 1e9]
    )
    image = value.astype(np.float32).reshape(1, -1, 1)
    signed = apply([image], UNMIXED, dtype=np.int8, device=device)[0].ravel().tolist()
    assert signed == [-128, -128, -128, -2, 0, 0, 2, 2, 126, 127, 127, 127, 127]
    unsigned = apply([image], UNMIXED, dtype=np.uint8, device=device)[0].ravel().tolist()
    assert unsigned == [0, 0, 0, 0, 0, 0, 2, 2, 126, 128, 254, 255, 255]


@pytest.mark.parametrize("path", CPU_PATHS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize(
    ("scale", "std"),
    [(1e6, 1.0), (-1e6, 1.0), (1e8, 1.0), (-1e8, 1.0), (3e38, 1.0), (-3e38, 1e-30), (3e38, 1e-30)],
    ids=["large", "small", "beyond int32", "below int32", "infinite sums", "-infinity", "infinity"],
)
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_integers_saturate_however_large_the_values(monkeypatch, layout, scale, std, dtype, path):
    """A coefficient beyond float32 is infinite, and becomes the least value where the byte is 0."""
    monkeypatch.setenv("DALI_MIX_CPU", path)
    images = random_images(np.random.default_rng(0), [(5, 67, 3)] * 2)
    plan = Plan(np.int32([1, 0]), np.float32([1, 0.5]), np.zeros((2, 4), np.int32), None, None)
    out = apply(images, plan, dtype=dtype, scale=scale, mean=0.0, std=std, output_layout=layout)
    own, partner = (image.astype(np.float32) for image in images)
    with np.errstate(over="ignore", invalid="ignore"):
        k = np.float32(np.float64(np.float32(scale)) / np.float32(std))
        half = np.float32(0.5 * np.float64(np.float32(scale)) / np.float32(std))
        values = [own * k, own * half + partner * half]
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    for actual, value in zip(out, values, strict=True):
        expected = np.where(np.isnan(value), low, np.clip(value, low, high))
        if layout == "CHW":
            expected = expected.transpose(2, 0, 1)
        assert np.array_equal(actual, expected.astype(dtype))


@pytest.mark.parametrize("path", CPU_PATHS)
def test_float16_is_rounded_as_numpy_rounds(monkeypatch, path):
    monkeypatch.setenv("DALI_MIX_CPU", path)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20011, np.uint32)
    special = np.float32(
        [0.0, -0.0, 65504, 65520, 1e9, -1e9, np.inf, 2**-24, 2**-25, 2**-14, 1e-40]
    )
    image = np.concatenate([bits.view(np.float32), special])
    image = image[~np.isnan(image)].reshape(1, -1, 1)
    out = apply([image], UNMIXED, dtype=np.float16)[0]
    with np.errstate(over="ignore"):
        expected = (image + np.float32(0)).astype(np.float16)  # the shift makes -0 a 0
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("path", CPU_PATHS)
def test_every_float16_is_read_exactly(monkeypatch, path):
    monkeypatch.setenv("DALI_MIX_CPU", path)
    image = np.arange(2**16, dtype=np.uint16).view(np.float16)
    image = image[~np.isnan(image)].reshape(2, -1, 1)
    out = apply([image], UNMIXED)[0]
    np.testing.assert_array_equal(out.ravel(), image.astype(np.float32).ravel())

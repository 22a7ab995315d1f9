"""`apply` with masks: soft and hard, at full size and in cells, alone and with blend and boxes."""

import itertools

import numpy as np
import pytest
from helpers import CPU_PATHS, DEVICES, PerSample, fingerprints
from layered import NO_BOX, Batch, plan_for


def two(height, width, mask, **columns):
    """Two samples that are each other's partner, with one mask; values 10 and 210."""
    images = [np.full((height, width, 3), value, np.uint8) for value in (10, 210)]
    plan = plan_for(2, partner=PerSample([1, 0]), mask=PerSample([mask, mask]), **columns)
    return Batch(images, plan, output_layout="HWC")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("blend", [1.0, 0.5])
def test_every_level_is_the_own_weight_of_255(device, blend):
    levels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    out = two(4, 64, levels, blend=blend).run(device)
    weight = blend * levels[..., None] / 255
    np.testing.assert_allclose(out[0][..., :1], 10 * weight + 210 * (1 - weight), rtol=3e-7)
    np.testing.assert_allclose(out[1][..., :1], 210 * weight + 10 * (1 - weight), rtol=3e-7)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width"), [(7, 33), (13, 64), (5, 101)])
@pytest.mark.parametrize("cells", [(1, 1), (2, 3), (3, 7), (5, 32), (5, 33), (17, 150)])
def test_a_value_stands_for_a_cell(device, height, width, cells):
    """The cell of a pixel holds its upper left corner: row y is in cell y * h // H. Also of a mask
    that is larger than the output."""
    rng = np.random.default_rng(0)
    mask = rng.choice(np.uint8([0, 255, 100]), cells)
    out = two(height, width, mask).run(device)[0]
    for y, x in itertools.product(range(height), range(width)):
        row = max(r for r in range(cells[0]) if r * height <= y * cells[0])
        column = max(c for c in range(cells[1]) if c * width <= x * cells[1])
        weight = mask[row, column] / 255
        assert abs(out[y, x, 0] - (10 * weight + 210 * (1 - weight))) < 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_a_box_covers_the_mask(device):
    box = (1, 5, 3, 40)
    out = two(4, 65, np.full((4, 65), 128, np.uint8), box=box).run(device)[0][..., 0]
    assert (out[1:3, 5:40] == 210).all()
    out[1:3, 5:40] = 0
    assert (out == 210).sum() == 0 and ((out > 100) & (out < 110)).sum() == 4 * 65 - 2 * 35


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("blend", [0.0, 1.0, 0.4])
def test_an_empty_mask_is_none(device, blend):
    for empty in [(0, 0), (0, 5), (3, 0)]:
        with_mask = two(4, 40, np.zeros(empty, np.uint8), blend=blend)
        without = with_mask.but(plan=with_mask.plan._replace(mask=None))
        assert [x.tobytes() for x in with_mask.run(device)] == [
            x.tobytes() for x in without.run(device)
        ]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("blend", [0.0, 1.0, 0.4])
def test_a_full_mask_changes_nothing_to_the_bit(device, blend):
    images = fingerprints(2, 5, 71)
    plan = plan_for(2, partner=PerSample([1, 0]), blend=blend, box=(1, 2, 3, 40))
    batch = Batch(images, plan, normalization={"mean": 3.3, "std": 1.7})
    full = batch.but(plan=plan._replace(mask=[np.full((5, 71), 255, np.uint8)] * 2))
    assert [x.tobytes() for x in batch.run(device)] == [x.tobytes() for x in full.run(device)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_where_a_mask_is_hard_one_image_is_read(device, dtype):
    """NaN and infinity would show."""
    rng = np.random.default_rng(1)
    mask = rng.choice(np.uint8([0, 255]), (5, 70))
    own, partner = np.full((5, 70, 1), 3, dtype), np.full((5, 70, 1), 5, dtype)
    own[mask == 0], partner[mask == 255] = np.nan, np.inf
    plan = plan_for(2, partner=PerSample([1, 1]), mask=PerSample([mask, np.zeros((0, 0))]))
    out = Batch([own, partner], plan, output_layout="HWC").run(device)[0]
    np.testing.assert_array_equal(out[..., 0], np.where(mask, 3, 5))


@pytest.mark.parametrize("path", CPU_PATHS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_outputs_larger_than_the_cache(monkeypatch, dtype, path):
    """Rows that are stored around the cache, and pixels that are written again."""
    monkeypatch.setenv("DALI_MIX_CPU", path)
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (600, 512, 3), np.uint8) for _ in range(3)]
    masks = [rng.choice(np.uint8([0, 255, 9]), shape) for shape in [(600, 512), (7, 9), (0, 0)]]
    boxes = [(100, 33, 300, 490), NO_BOX]
    plan = plan_for(3, partner=PerSample([1, 2, 0]), box=boxes, mask=PerSample(masks))
    batch = Batch(images, plan, dtype=dtype, output_layout="HWC", pad_output=True)
    batch.assert_defined()


def test_a_very_wide_output_with_cells():
    """Wider than the row of a mask that is spread out on the stack."""
    width = (1 << 16) + 77
    images = [np.full((2, width, 1), value, np.uint8) for value in (10, 210)]
    mask = np.tile(np.uint8([0, 255, 51]), (1, 300))
    plan = plan_for(2, partner=PerSample([1, 0]), mask=PerSample([mask, mask]))
    Batch(images, plan).assert_defined()

"""`apply` with class maps, whose integers are copied, and with sequences and volumes, of which some
frames have the boxes."""

import itertools

import numpy as np
import pytest
from helpers import CPU_PATHS, DEVICES, PerSample, fingerprints
from layered import NO_BOX, Batch, plan_for
from random_batches import Seeded, random_batch

INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_maps_are_copied(device, dtype, layout):
    channels = 1 if layout == "HW" else 2
    for seed, images in itertools.product(range(3), (2, 3)):
        random_batch(
            Seeded(seed),
            images=images,
            copied=seed % 2,
            in_type=dtype,
            layout=layout,
            output_layout="HW" if layout == "HW" else "HWC",
            channels=channels,
            frames=None,
            pad_output=False,
        ).assert_defined(device)


@pytest.mark.parametrize("device", DEVICES)
def test_one_image_of_a_blend_is_copied(device):
    """The own one where the one asked for has no weight."""
    maps = [np.full((2, 40), 1000 + i, np.int32) for i in range(4)]
    weights = [[0.5, 0.3, 0.2], [0.5, 0.0, 0.5], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]]
    plan = plan_for(
        4,
        partner=PerSample([[1, 2], [2, 3], [3, 0], [0, 1]]),
        blend=PerSample(weights),
        box=[NO_BOX] * 2,
    )
    shown = {0: [0, 1, 2, 1], 1: [1, 1, 3, 1], 2: [2, 3, 0, 1]}
    for copied, images in shown.items():
        out = Batch(maps, plan, layout="HW", output_layout="HW", copied=copied).run(device)
        assert [int(x.flat[0]) - 1000 for x in out] == images
        assert all((x == x.flat[0]).all() for x in out)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("copied", [0, 1])
def test_a_map_shows_one_image_where_a_mask_is_soft(device, copied):
    maps = [np.full((2, 256), value, np.int64) for value in (7, 2**40)]
    mask = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    plan = plan_for(2, partner=PerSample([1, 0]), mask=PerSample([mask] * 2))
    out = Batch(maps, plan, layout="HW", output_layout="HW", copied=copied).run(device)[0]
    expected = np.full(256, (7, 2**40)[copied])
    expected[0], expected[255] = 2**40, 7
    np.testing.assert_array_equal(out, np.tile(expected, (2, 1)))


LAYOUTS = ["FHWC", "FCHW", "CFHW", "DHWC", "DCHW", "CDHW"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("output", ["HWC", "CHW", "C?HW"])
def test_sequences_and_volumes_are_the_definition(device, layout, output):
    output_layout = output.replace("?", layout.strip("CHW"))
    for seed, in_type in itertools.product(range(4), (np.uint8, np.float32)):
        random_batch(
            Seeded(seed),
            layout=layout,
            output_layout=output_layout,
            frames=3,
            in_type=in_type,
            size=(3, 33 + seed),
        ).assert_defined(device)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_instruction_sets_agree_to_the_bit(monkeypatch, layout):
    batches = [
        random_batch(Seeded(seed), layout=layout, frames=2, in_type=np.uint8) for seed in range(12)
    ]
    outputs = []
    for path in CPU_PATHS:
        monkeypatch.setenv("DALI_MIX_CPU", path)
        outputs.append([out.tobytes() for batch in batches for out in batch.run()])
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.parametrize("device", DEVICES)
def test_the_frames_of_the_box_and_no_others_show_the_partner(device):
    """Frame f of sample i is all (i, f)."""
    videos = [np.stack([np.full((3, 40, 2), (i, f), np.uint8) for f in range(5)]) for i in range(3)]
    begin_end = PerSample([(1, 4), (0, 5), (2, 2)])
    plan = plan_for(3, partner=PerSample([1, 2, 0]), box=(0, 7, 3, 39), frames=begin_end)
    batch = Batch(videos, plan, layout="FHWC", output_layout="HWC", dtype=np.uint8)
    for i, out in enumerate(batch.run(device)):
        begin, end = begin_end[i]
        for f in range(5):
            shown = (i + 1) % 3 if begin <= f < end else i
            assert (out[f, :, 7:39] == (shown, f)).all()
            assert (out[f, :, :7] == (i, f)).all() and (out[f, :, 39:] == (i, f)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_sequences_may_be_of_different_lengths(device):
    lengths = [1, 4, 4, 1, 2]
    videos = [np.stack(fingerprints(n, 4, 37)) for n in lengths]
    plan = plan_for(5, partner=PerSample([3, 2, 1, 0, 4]), blend=0.25)
    Batch(videos, plan, layout="FHWC").assert_defined(device)

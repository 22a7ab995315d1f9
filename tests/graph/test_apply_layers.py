"""`apply` with several boxes, several images, parts of images and images made for the box, against
the definition and against pixels that tell where they came from."""

import itertools

import numpy as np
import pytest
from helpers import CPU_PATHS, DEVICES, PerSample, arrays, feed, fingerprints, node_of
from layered import NO_BOX, Batch, plan_for
from nvidia.dali import fn, pipeline_def
from random_batches import Seeded, joined, random_batch

PLAIN = {
    "frames": None,
    "images": 2,
    "boxes": 1,
    "others": False,
    "offset": False,
    "fit": False,
    "mask": False,
    "blends_inside": False,
    "crop": False,
    "mirror": True,
    "count": 5,
}
KINDS = {
    "boxes": {"boxes": 3},
    "many boxes": {"boxes": 8, "crop": True},
    "part of the partner": {"boxes": 2, "offset": True, "others": True},
    "fitted": {"fit": True},
    "blend in boxes": {"boxes": 3, "blends_inside": True},
    "blend with a part": {"blends_inside": True, "offset": True, "others": True},
    "three": {"images": 3},
    "four, of two inputs": {"images": 4, "others": True, "crop": True},
    "four, in parts": {"images": 4, "others": True, "offset": True},
    "eight": {"images": 8},
    "four, one fitted": {"images": 4, "fit": True, "offset": True},
    "mask": {"mask": True},
    "mask and boxes": {"mask": True, "boxes": 2, "crop": True},
    "mask of four": {"mask": True, "images": 4},
    "everything": {"images": 4, "others": True, "offset": True, "fit": True, "mask": True},
}
# Input type, output type, layouts, padding, channels: every loop there is.
FORMS = [
    (np.uint8, np.float32, "HWC", "CHW", False, 3),
    (np.uint8, np.float16, "HWC", "HWC", False, 3),
    (np.uint8, np.uint8, "HWC", "CHW", True, 3),
    (np.uint8, np.int8, "HWC", "HWC", True, 3),
    (np.uint8, np.float32, "HWC", "HWC", False, 4),
    (np.uint8, np.uint8, "HWC", "CHW", False, 4),
    (np.uint8, np.float16, "HWC", "CHW", False, 1),
    (np.uint8, np.float32, "CHW", "CHW", True, 3),
    (np.uint8, np.uint8, "CHW", "HWC", False, 3),
    (np.uint8, np.float16, "HWC", "CHW", False, 5),
    (np.float32, np.float32, "HWC", "CHW", False, 3),
    (np.float16, np.float16, "CHW", "HWC", True, 3),
    (np.float32, np.uint8, "HWC", "HWC", False, 2),
]
NAMES = ["in_type", "dtype", "layout", "output_layout", "pad_output", "channels"]
SIZES = [(1, 1), (7, 31), (5, 32), (4, 65), (9, 100)]


def batches(kind, form):
    fixed = PLAIN | KINDS[kind] | dict(zip(NAMES, form, strict=True))
    for seed, size in enumerate(SIZES):
        yield random_batch(Seeded(seed), size=size, **fixed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form[2:])))
@pytest.mark.parametrize("kind", KINDS)
def test_apply_is_the_definition(device, kind, form):
    for batch in batches(kind, form):
        batch.assert_defined(device)


@pytest.mark.parametrize("form", FORMS[:8], ids=lambda form: "-".join(map(str, form[2:])))
@pytest.mark.parametrize("kind", ["boxes", "three", "mask and boxes", "mask of four"])
def test_every_width_up_to_a_hundred(kind, form):
    fixed = PLAIN | KINDS[kind] | dict(zip(NAMES, form, strict=True)) | {"count": 2, "crop": False}
    sizes = [(2 + width % 2, width) for width in range(1, 101)]
    joined([random_batch(Seeded(w), size=(h, w), **fixed) for h, w in sizes]).assert_defined()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form[2:])))
def test_instruction_sets_agree_to_the_bit(monkeypatch, form):
    kinds = "many boxes", "blend in boxes", "four, in parts", "mask of four", "everything"
    mixes = [batch for kind in kinds for batch in batches(kind, form)]
    outputs = []
    for path in CPU_PATHS:
        monkeypatch.setenv("DALI_MIX_CPU", path)
        outputs.append([out.tobytes() for batch in mixes for out in batch.run()])
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form[2:])))
@pytest.mark.parametrize("kind", KINDS)
def test_cpu_and_gpu_agree_to_the_bit(kind, form):
    for batch in batches(kind, form):
        cpu, gpu = ([out.tobytes() for out in batch.run(device)] for device in ("cpu", "gpu"))
        assert cpu == gpu


@pytest.mark.parametrize("device", DEVICES)
def test_four_quadrants_come_from_four_images(device):
    """A mosaic: nothing of the sample's own place is read but what shows."""
    height, width, y, x = 37, 70, 17, 33
    boxes = [(0, 0, y, x), (0, x, y, width), (y, 0, height, x)]
    plan = plan_for(
        4,
        partner=PerSample([[(i + 1) % 4, (i + 2) % 4, (i + 3) % 4] for i in range(4)]),
        blend=[1.0, 0.0, 0.0, 0.0],
        box=boxes,
    )
    batch = Batch(fingerprints(4, height, width), plan, output_layout="HWC")
    for i, out in enumerate(batch.run(device)):
        for r, c in itertools.product(range(height), range(width)):
            number = (1 if c < x else 2) if r < y else (3 if c < x else 0)
            assert tuple(out[r, c]) == ((i + number) % 4, r, c)


@pytest.mark.parametrize("device", DEVICES)
def test_later_boxes_cover_earlier_ones(device):
    boxes = [(0, 0, 5, 40), (2, 10, 6, 50), (3, 5, 4, 45)]
    plan = plan_for(4, partner=[1, 2, 3], blend=[1.0, 0.0, 0.0, 0.0], box=boxes)
    out = Batch(fingerprints(4, 7, 60), plan, output_layout="HWC").run(device)[0].astype(int)
    for r, c in itertools.product(range(7), range(60)):
        shown = 0
        for number, (y0, x0, y1, x1) in enumerate(boxes, 1):
            if y0 <= r < y1 and x0 <= c < x1:
                shown = number
        assert tuple(out[r, c]) == (shown, r, c)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("offset", [(-2, -3), (1, 40), (0, 0), (-1, 7)])
def test_an_offset_tells_which_pixels_of_the_partner_show(device, mirror, offset):
    """The partner is larger than the output: 11 x 90 behind 8 x 47, box of 6 x 37."""
    box, width = (2, 3, 8, 40), 90
    images = [fingerprints(1, 8, 47)[0]] * 2
    others = [fingerprints(i + 6, 11, width)[-1] for i in range(2)]
    plan = plan_for(2, partner=PerSample([3, 1]), box=box, offset=[offset])
    windows = [{}, {"mirror": mirror}]
    batch = Batch(images, plan, others=others, output_layout="HWC", windows=windows)
    out = batch.run(device)[0].astype(int)
    for r, c in itertools.product(range(8), range(47)):
        if 2 <= r < 8 and 3 <= c < 40:
            column = c + offset[1]
            seen = width - 1 - column if mirror else column
            assert tuple(out[r, c]) == (6, r + offset[0], seen)
        else:
            assert tuple(out[r, c]) == (0, r, c)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("box", [(1, 2, 5, 36), (0, 0, 6, 60), (5, 59, 6, 60), (2, 2, 2, 9)])
def test_a_fitted_image_shows_from_its_corner_mirrored_as_the_partner(device, mirror, box):
    y0, x0, y1, x1 = box
    fitted = [fingerprints(8, max(y1 - y0, 1), x1 - x0)[7], np.zeros((1, 1, 3), np.uint8)]
    plan = plan_for(2, partner=PerSample([1, 0]), box=box, fit=PerSample([1, 0]))
    windows = [{}, {"mirror": mirror}]
    batch = Batch(fingerprints(2, 6, 60), plan, fitted=fitted, output_layout="HWC", windows=windows)
    out = batch.run(device)[0].astype(int)
    for r, c in itertools.product(range(6), range(60)):
        if y0 <= r < y1 and x0 <= c < x1:
            column = x1 - 1 - c if mirror else c - x0
            assert tuple(out[r, c]) == (7, r - y0, column)
        else:
            assert tuple(out[r, c]) == (0, r, c)


@pytest.mark.parametrize("device", DEVICES)
def test_weights_that_are_zero_read_nothing(device):
    """NaN would show; partners of another size would be refused."""
    own, poison = np.full((3, 40, 1), 2.0, np.float32), np.full((5, 7, 1), np.nan, np.float32)
    plan = plan_for(
        3,
        partner=PerSample([[1, 0, 1], [0, 0, 0], [1, 1, 0]]),
        blend=PerSample([[0.5, 0, 0.5, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
        box=[(0, 0, 0, 0)] * 3,
    )
    out = Batch([own, poison, np.zeros_like(own)], plan).run(device)
    assert (out[0] == 2).all() and (out[2] == 2).all() and np.isnan(out[1]).all()


@pytest.mark.parametrize("device", DEVICES)
def test_weights_are_weighted_by_their_sum(device):
    """Thirds in three decimals: 0.999 in all."""
    images = [np.full((2, 33, 3), value, np.uint8) for value in (30, 60, 240)]
    partner = PerSample([[1, 2], [2, 0], [0, 1]])
    plan = plan_for(3, partner=partner, blend=[0.333] * 3, box=[NO_BOX] * 2)
    np.testing.assert_allclose(Batch(images, plan).run(device), 110, rtol=1e-6)


@pipeline_def(batch_size=2, num_threads=1, device_id=None, enable_conditionals=True)
def mixing_in_a_branch(taken):
    images = feed([fingerprints(2, 5, 33)], "HWC")
    masks = feed([[np.zeros((0, 0), np.uint8)] * 2])
    plan = plan_for(2, partner=[0, 0], blend=[1, 0, 0], box=[NO_BOX] * 2)
    columns = {
        name: node_of(PerSample(column))
        for name, column in plan._asdict().items()
        if column is not None
    }
    if feed([taken]):
        out = fn.dali_mix.apply(images, masks, inputs=["mask"], **columns)
    else:
        out = fn.dali_mix.apply(images)
    return out


@pytest.mark.parametrize("taken", [(False, False), (True, True), (False, True)])
def test_a_branch_without_samples_is_ordinary(taken):
    out = arrays(mixing_in_a_branch([np.bool_(t) for t in taken]).run()[0])
    np.testing.assert_array_equal(out, [x.transpose(2, 0, 1) for x in fingerprints(2, 5, 33)])

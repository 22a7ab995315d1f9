"""`apply` with images on a canvas, against the definition; and what it refuses."""

import numpy as np
import pytest
from canvases import random_canvas
from helpers import CPU_PATHS, DEVICES, PerSample, assert_refused, feed, node_of
from layered import NO_BOX, Batch, plan_for
from nvidia.dali import fn
from random_batches import Seeded

FORMS = {
    "uint8": {"in_type": np.uint8, "channels": 3, "layout": "HWC", "frames": None},
    "uint8 planes": {"in_type": np.uint8, "channels": 3, "layout": "CHW", "frames": None},
    "one channel": {"in_type": np.uint8, "channels": 1, "frames": None},
    "four channels": {"in_type": np.uint8, "channels": 4, "layout": "HWC", "frames": None},
    "float32": {"in_type": np.float32, "frames": None},
    "float16": {"in_type": np.float16, "frames": None},
    "sequences": {"frames": 3},
    "cropped": {"crop": True},
}
CLASSES = [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint64]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("form", FORMS)
def test_apply_on_a_canvas_is_the_definition(device, form):
    for seed in range(25):
        random_canvas(Seeded(seed), **FORMS[form]).assert_defined(device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("in_type", CLASSES)
def test_maps_on_a_canvas_are_the_definition(device, in_type):
    for seed in range(12):
        batch = random_canvas(Seeded(seed), in_type=in_type, copied=0)
        fill = [np.float32([seed if in_type != np.int8 else -seed])] * len(batch.images)
        batch.but(plan=batch.plan._replace(fill=fill)).assert_defined(device)


@pytest.mark.parametrize("form", ["uint8", "uint8 planes", "four channels"])
def test_instruction_sets_agree_to_the_bit_on_a_canvas(monkeypatch, form):
    outputs = []
    for path in CPU_PATHS:
        monkeypatch.setenv("DALI_MIX_CPU", path)
        batches = [random_canvas(Seeded(seed), **FORMS[form]) for seed in range(8)]
        outputs.append([out.tobytes() for batch in batches for out in batch.run()])
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fill", [[114], [1, 2, 250]])
def test_where_no_image_shows_the_fill_shows(device, fill):
    images = [np.full((5, 7, 3), 9, np.uint8)]
    boxes = [(2, 3, 4, 9), NO_BOX]
    plan = plan_for(1, partner=0, box=boxes, offset=[(-2, -3), (0, 0)], size=(11, 13), fill=fill)
    (out,) = Batch(images, plan, output_layout="HWC", dtype=np.uint8).run(device)
    expected = np.empty((11, 13, 3), np.uint8)
    expected[:] = fill
    expected[2:4, 3:9] = 9
    np.testing.assert_array_equal(out, expected)


GOOD = {
    "partner": [1, 2],
    "box": [(0, 0, 2, 3), NO_BOX, NO_BOX],
    "offset": [(0, 0)] * 3,
    "size": (9, 11),
    "fill": [114.0],
}


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"box": [NO_BOX] * 2}, "box must hold 12 values for each sample of a plan with fill, "
         "got 8."),
        ({"offset": [(0, 0)] * 2}, "offset must hold 6 values for each sample of a plan with "
         "fill, got 4."),
        ({"size": None}, "fill needs size, the height and width of the canvas."),
        ({"size": (0, 5)}, "size must be at least 1 x 1 pixels, got 0 x 5 for sample 0."),
        ({"fill": [1, 2]}, "fill must hold a value for all channels or one for each of the 3, got "
         "2 for sample 0."),
        ({"fill": [np.nan]}, "fill must be finite, got nan for sample 0."),
        ({"fit": [1, 1]}, "fill cannot be combined with fit."),
        ({"view": (6, 9)}, "the plan was drawn for 6 x 9 pixels of sample 0, got 6 x 8. Give plan "
         "the same images and crop."),
        ({"box": [(0, 0, 7, 3), NO_BOX, NO_BOX]}, r"offset must leave what shows in the box inside "
         r"the image of 6 x 8, got \(0, 0\) for sample 0."),
        ({"partner": [1] * 7}, "partner must hold 1 to 6 values for each sample, got 7."),
    ],
)  # fmt: skip
def test_bad_canvases_get_a_sentence(columns, sentence):
    def graph(images):
        plan = plan_for(4, **{k: v for k, v in (GOOD | columns).items() if v is not None})
        given = {n: node_of(PerSample(c)) for n, c in plan._asdict().items() if c is not None}
        return fn.dali_mix.apply(images, **given)

    assert_refused(sentence.replace(".", r"\."), graph)


def test_a_mask_on_a_canvas_is_refused():
    def graph(images):
        plan = plan_for(4, **GOOD)
        given = {n: node_of(PerSample(c)) for n, c in plan._asdict().items() if c is not None}
        masks = feed([[np.zeros((2, 2), np.uint8)] * 4])
        return fn.dali_mix.apply(images, masks, inputs=["mask"], **given)

    assert_refused(r"mask cannot be combined with fill, got both for sample 0\.", graph)

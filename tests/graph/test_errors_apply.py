"""Every plan and every argument that `apply` refuses, one by one, before a pixel is touched."""

import re

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import (
    UNMIXED,
    PerSample,
    assert_refused,
    fingerprints,
    node_of,
    per_sample,
    sentence_of,
)
from nvidia.dali import types

import dali_mix.fn as dmix
from dali_mix import dynamic
from dali_mix.plan import Plan

NAN, INF = float("nan"), float("inf")
IMAGES = fingerprints(4, 6, 8)

BOX = r"box must be \(y0, x0, y1, x1\) inside the output of 6 x 8, got \("
PLANS = [
    (r"partner must be an index into the batch of 4, got 4 for sample 2\.", {"partner": 4}),
    (r"partner must be an index into the batch of 4, got -1 for sample 2\.", {"partner": -1}),
    (r"partner must be .* got 2147483647 for sample 2\.", {"partner": 2**31 - 1}),
    (r"partner must be .* got -2147483648 for sample 2\.", {"partner": -(2**31)}),
    (r"blend must be in \[0, 1\], got -?nan for sample 2\.", {"blend": NAN}),
    (r"blend must be in \[0, 1\], got 1.001 for sample 2\.", {"blend": 1.001}),
    (r"blend must be in \[0, 1\], got -0.5 for sample 2\.", {"blend": -0.5}),
    (r"blend must be in \[0, 1\], got inf for sample 2\.", {"blend": INF}),
    (BOX + r"0, 0, 7, 8\) for sample 2\.", {"box": (0, 0, 7, 8)}),
    (BOX + r"0, 0, 6, 9\) for sample 2\.", {"box": (0, 0, 6, 9)}),
    (BOX + r"-1, 0, 6, 8\) for sample 2\.", {"box": (-1, 0, 6, 8)}),
    (BOX + r"0, -1, 6, 8\) for sample 2\.", {"box": (0, -1, 6, 8)}),
    (BOX + r"4, 0, 3, 8\) for sample 2\.", {"box": (4, 0, 3, 8)}),
    (BOX + r"0, 4, 6, 3\) for sample 2\.", {"box": (0, 4, 6, 3)}),
    (BOX + r".*2147483647\) for sample 2\.", {"box": (0, 0, 2**31 - 1, 2**31 - 1)}),
    (BOX + r"-2147483648.* for sample 2\.", {"box": (-(2**31), -(2**31), 0, 0)}),
    (
        r"the plan was drawn for 6 x 9 pixels, but the output of sample 2 is 6 x 8\. "
        r"Give plan the same crop or size\.",
        {"size": (6, 9)},
    ),
]


@pytest.mark.parametrize("partner", [(1, 2, 3, 0), (0, 1, 2, 3)], ids=["mixed", "unmixed"])
@pytest.mark.parametrize(("sentence", "given"), PLANS, ids=[s for s, _ in PLANS])
def test_apply_refuses_a_hostile_plan(sentence, given, partner):
    """Also where the sample is its own partner, so that nothing would be read."""
    ordinary = {"partner": 0, "blend": 0.5, "box": (0, 0, 0, 0), "size": (6, 8)}
    columns = {
        name: PerSample([value if i == 2 else ordinary[name] for i in range(4)])
        for name, value in given.items()
    }
    plan = Plan(PerSample(partner), *UNMIXED[1:])._replace(**columns)
    assert_refused(sentence, lambda x: dmix.apply(x, Plan(*(node_of(c) for c in plan))))


def test_two_images_of_different_shapes_are_not_mixed():
    images = [*fingerprints(3, 6, 8), fingerprints(1, 6, 9)[0]]
    sentence = (
        r"mixed samples must have equal shapes, got 6x8x3 \(HxWxC\) for sample 2 and 6x9x3 "
        r"\(HxWxC\) for its partner, sample 3\. Resize the images, or pass crop=\(H, W\)\."
    )
    partner = PerSample([1, 0, 3, 2])
    plan = UNMIXED._replace(blend=0.5)
    assert_refused(
        sentence, lambda x: dmix.apply(x, plan._replace(partner=node_of(partner))), images=images
    )


def test_a_plan_for_the_images_is_not_one_for_a_crop():
    sentence = r"the plan was drawn for 6 x 8 pixels, but the output of sample 0 is 3 x 4\. .*"
    assert_refused(sentence, lambda x: dmix.apply(x, dmix.plan(x), crop=(3, 4)))


ARGUMENTS = [
    (
        r"crop must lie inside the image, got a window of 7 x 8 for sample 0 of 6 x 8\. "
        r"Resize the images first, or pad them with fn\.crop\(images, crop=\(H, W\), "
        r"out_of_bounds_policy=\"pad\"\), or crop less\.",
        {"crop": (7, 8)},
    ),
    (r"crop must lie inside .* 6 x 9 for sample 0 of 6 x 8.*", {"crop_h": 6, "crop_w": 9}),
    (r"crop must be at least 1 x 1 pixels, got 0 x 0 for sample 0\.", {"crop": (0, 0)}),
    (r"crop must be at least 1 x 1 pixels, got -1 x 3 for sample 0\.", {"crop": (-1, 3)}),
    (r"crop must be at least 1 x 1 pixels, got inf x 3 for sample 0\.", {"crop": (INF, 3)}),
    (r"crop_h and crop_w must be given together, got only crop_w\.", {"crop_w": 3}),
    (r"crop cannot be combined with .*", {"crop": (3, 3), "crop_h": 3, "crop_w": 3}),
    (r"crop_pos_x must be in \[0, 1\], got 1.5 for sample 2\.", {"crop_pos_x": per_sample(1.5)}),
    (r"crop_pos_x must be in \[0, 1\], got -1 for sample 0\.", {"crop_pos_x": -1.0}),
    (r"crop_pos_y must be in \[0, 1\], got -?nan for sample 2\.", {"crop_pos_y": per_sample(NAN)}),
    (r"mean must have one value, or one for each of the 3 channels, got 2\.", {"mean": [1.0, 2.0]}),
    (r"std must have one value, or one for each of the 3 channels, got 4\.", {"std": [1.0] * 4}),
    (r"std must not be 0: it divides\.", {"std": [1.0, 0.0, 1.0]}),
    (r"std must not be 0: it divides\.", {"std": 0.0}),
    (r"dtype must be FLOAT, FLOAT16, UINT8 or INT8, got int32\.", {"dtype": types.INT32}),
    (r"dtype must be .* got double\.", {"dtype": types.FLOAT64}),
    (r'output_layout must be "CHW" or "HWC", got "WHC"\.', {"output_layout": "WHC"}),
    (r'output_layout must be "CHW" or "HWC", got ""\.', {"output_layout": ""}),
]


@pytest.mark.parametrize(("sentence", "given"), ARGUMENTS, ids=[s for s, _ in ARGUMENTS])
def test_apply_refuses(sentence, given):
    def graph(x):
        return dmix.apply(x, UNMIXED, **{k: node_of(v) for k, v in given.items()})

    assert_refused(sentence, graph)


@pytest.mark.parametrize("dtype", ["float32", np.float16, 3])
@pytest.mark.parametrize("place", [dmix, dynamic], ids=["graph", "dynamic"])
def test_dtypes_of_others_are_refused(place, dtype):
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in IMAGES])
    sentence = f"dtype must be one of DALI's, such as types.FLOAT16, got {dtype!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        place.apply(images, UNMIXED, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float64, np.int8])
def test_images_of_another_type_are_refused(dtype):
    sentence = r"images must be UINT8, FLOAT or FLOAT16, got \w+\."
    images = [image.astype(dtype) for image in IMAGES]
    assert_refused(sentence, lambda x: dmix.apply(x, UNMIXED), images=images)


def test_images_of_another_layout_are_refused():
    said = sentence_of(lambda x: dmix.apply(x, UNMIXED), layout="HCW")
    assert "HWC" in said and "CHW" in said and "HCW" in said


def test_images_of_other_dimensions_are_refused():
    said = sentence_of(
        lambda x: dmix.apply(x, UNMIXED), images=[np.zeros((3, 4), np.uint8)] * 2, layout=""
    )
    assert "HWC" in said and "CHW" in said


def test_images_of_different_channels_are_refused():
    images = [np.zeros((5, 6, 3), np.uint8), np.zeros((5, 6, 4), np.uint8)]
    sentence = (
        r"all images of a batch must have the same number of channels, got 3 for sample 0 and 4 "
        r"for sample 1\."
    )
    assert_refused(sentence, lambda x: dmix.apply(x, UNMIXED), images=images)


@pytest.mark.parametrize("column", ["box", "size"])
def test_columns_of_the_wrong_length_are_named(column):
    plan = UNMIXED._replace(**{column: PerSample([np.zeros(3, np.int32)] * 4)})
    said = sentence_of(
        lambda x: dmix.apply(x, Plan(*(node_of(c) for c in plan))), error=(ValueError, RuntimeError)
    )
    assert column in said

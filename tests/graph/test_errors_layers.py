"""Every plan of several images, boxes, masks or frames that `apply` refuses, before a pixel is
touched."""

import numpy as np
import pytest
from helpers import PerSample, assert_refused, feed, fingerprints, node_of
from layered import DTYPES, NO_BOX
from nvidia.dali import fn

IMAGES = fingerprints(4, 6, 8)
VIDEOS = [np.stack([image] * 3) for image in IMAGES]
CELLS = np.zeros((2, 2), np.uint8)
NAN, INF = float("nan"), float("inf")
SMALL = fingerprints(4, 3, 4)
THREE = {"partner": [1, 2], "blend": [1.0, 0.0, 0.0], "box": [NO_BOX] * 2}


def typed(name, value):
    """What holds several values in the type of its column, a single one as it is."""
    return value if np.isscalar(value) else np.asarray(value, DTYPES[name])


def assert_says(sentence, images=IMAGES, layout="HWC", further=None, constants=None, **columns):
    """`columns` with PerSample hold a value for each sample, others one for all; `further` inputs
    come with their layouts."""
    further = further or {}
    layouts = {"mask": ""}

    def graph(x):
        inputs = [feed([values], layouts.get(name, layout)) for name, values in further.items()]
        given = {"inputs": list(further)} | (constants or {})
        for name, value in columns.items():
            value = value if isinstance(value, PerSample) else PerSample([value] * len(images))
            given[name] = node_of(PerSample(typed(name, v) for v in value))
        return fn.dali_mix.apply(x, *inputs, **given)

    assert_refused(sentence, graph, images=images, layout=layout)


def third(value, other):
    """`value` for sample 2."""
    return PerSample([value if i == 2 else other for i in range(4)])


LENGTHS = [
    (r"partner must hold 1 to 7 values for each sample, got 8\.", {"partner": [1] * 8}),
    (r"partner must hold 1 to 7 values for each sample, got 0\.", {"partner": np.zeros(0, int)}),
    (r"blend must hold 1 values for each sample, got 2\.", {"partner": 1, "blend": [0.5, 0.5]}),
    (r"blend must hold 3 values for each sample, got 2\.", THREE | {"blend": [0.5, 0.5]}),
    (r"blend must hold 1 values for each sample, got 0\.", {"blend": np.zeros(0)}),
    (r"box must hold 4 values for each of 1 to 8 boxes for each sample, got 3\.", {"box": [0] * 3}),
    (r"box must hold 4 values .* for each sample, got 0\.", {"box": np.zeros((0, 4), int)}),
    (r"box must hold 4 values .* for each sample, got 36\.", {"box": np.zeros((9, 4), int)}),
    (
        r"box must hold 4 values for each of the 2 partners for each sample, got 4\.",
        THREE | {"box": NO_BOX},
    ),
    (r"fit must hold 1 or 2 values for each sample, got 3\.", {"fit": [0, 0, 0]}),
    (r"offset must hold 2 values for each sample, got 1\.", {"partner": 1, "offset": [0]}),
    (r"offset must hold 4 values for each sample, got 2\.", THREE | {"offset": [0, 0]}),
    (r"frames must hold 2 values for each sample, got 1\.", {"frames": [0]}),
    (r"size must hold 2 values for each sample, or 3 for sequences, got 4\.", {"size": [6] * 4}),
    (
        r"partner must have equally many values for each sample, got 1 for sample 0 and 2 for "
        r"sample 2\.",
        {"partner": PerSample([[1], [1], [1, 2], [1]])},
    ),
    (r"blend must be float, got int32\.", {"blend": 1}),
    (r"partner must be int32, got float\.", {"partner": 1.5}),
]


@pytest.mark.parametrize(("sentence", "columns"), LENGTHS, ids=[s for s, _ in LENGTHS])
def test_columns_of_a_wrong_shape_are_refused(sentence, columns):
    assert_says(sentence, **columns)


PLANS = [
    (
        r"partner must be an index into the batch of 4, got 4 for sample 2\.",
        THREE | {"partner": third([1, 4], [1, 2])},
    ),
    (r"partner must be .* got -1 for sample 2\.", THREE | {"partner": third([-1, 1], [1, 2])}),
    (
        r"blend must be in \[0, 1\], got -?nan for sample 2\.",
        THREE | {"blend": third([0.5, NAN, 0.5], [1, 0, 0])},
    ),
    (
        r"blend must be in \[0, 1\], got inf for sample 2\.",
        THREE | {"blend": third([0.5, 0.5, INF], [1, 0, 0])},
    ),
    (
        r"blend must sum to 1, got 0\.9 for sample 2\.",
        THREE | {"blend": third([0.5, 0.2, 0.2], [1, 0, 0])},
    ),
    (r"blend must sum to 1, got 0 for .*", THREE | {"blend": third([0, 0, 0], [1, 0, 0])}),
    (r"blend must sum to 1, got 3 for .*", THREE | {"blend": third([1, 1, 1], [1, 0, 0])}),
    (
        r"box must be \(y0, x0, y1, x1\) inside the output of 6 x 8, got \(3, 0, 2, 8\) for .* 2\.",
        THREE | {"box": third([NO_BOX, (3, 0, 2, 8)], [NO_BOX] * 2)},
    ),
    (
        r"box must be .* got \(0, 0, 6, 9\) for sample 2\.",
        {"partner": 1, "box": third([NO_BOX] * 4 + [(0, 0, 6, 9)], [NO_BOX] * 5)},
    ),
    (
        r"frames must be \(begin, end\) inside the 1 frames of the sample, got \(0, 2\) for .* 0\.",
        {"partner": 1, "frames": [0, 2]},
    ),
    (r"frames must be .* got \(-1, 1\) for sample 2\.", {"frames": third([-1, 1], [0, 1])}),
    (r"frames must be .* got \(1, 0\) for sample 2\.", {"frames": third([1, 0], [0, 1])}),
    (
        r"offset and fit need partners that show in a box alone, got a weight of 0\.5 for .* 2\.",
        {"partner": 1, "blend": third(0.5, 1.0), "offset": [1, 0], "box": NO_BOX},
    ),
    (
        r"offset and fit need .* got a weight of 0\.5 for sample 2\.",
        {"partner": 1, "blend": third(0.5, 1.0), "fit": 1},
    ),
    (
        r"offset must leave what shows in the box inside the partner of 6 x 8, got \(0, 5\) for "
        r"sample 2\.",
        {"partner": 1, "box": (0, 0, 2, 4), "offset": third([0, 5], [0, 4])},
    ),
    (
        r"offset must leave .* got \(-1, 0\) for sample 2\.",
        {"partner": 1, "box": (0, 0, 2, 4), "offset": third([-1, 0], [0, 0])},
    ),
    (
        r"offset must leave .* got \(2147483647, -2147483648\) for sample 2\.",
        {"partner": 1, "box": (0, 0, 2, 4), "offset": third([2**31 - 1, -(2**31)], [0, 0])},
    ),
    (
        r"fit needs the input \"fitted\", got none\.",
        {"partner": 1, "box": (0, 0, 2, 4), "fit": third(1, 0)},
    ),
    (
        r"the plan was drawn for 2 frames, but sample 0 has 1\. Give plan the same images\.",
        {"size": [2, 6, 8]},
    ),
    (
        r"the plan was drawn for 6 x 7 pixels, but the output of sample 2 is 6 x 8\. .*",
        {"size": third([1, 6, 7], [1, 6, 8])},
    ),
]


@pytest.mark.parametrize(("sentence", "columns"), PLANS, ids=[s for s, _ in PLANS])
def test_apply_refuses_a_hostile_plan(sentence, columns):
    assert_says(sentence, **columns)


INPUTS = [
    (
        r"mask must hold UINT8 of shape \(H, W\), own weights of 255, got float of 2 dimensions\.",
        {"mask": [CELLS.astype(np.float32)] * 4},
        {"partner": 1},
    ),
    (r"mask must hold .* got uint8 of 1 dimensions\.", {"mask": [CELLS[0]] * 4}, {"partner": 1}),
    (
        r"mask needs samples of two images, got 3 for sample 2\.",
        {"mask": [CELLS] * 4},
        THREE | {"blend": third([0.5, 0.0, 0.5], [1, 0, 0])},
    ),
    (
        r"mask needs samples of two images, got 3 for sample 2\.",
        {"mask": [CELLS] * 4},
        THREE | {"box": third([NO_BOX, (0, 0, 1, 1)], [NO_BOX] * 2)},
    ),
    (
        r"offset and fit need .* alone, got a weight of 0 and a mask for sample 2\.",
        {"mask": [CELLS] * 4},
        {"partner": PerSample([1, 2, 3, 0]), "offset": third([1, 1], [0, 0])},
    ),
    (
        r"fitted must have the size of the box, 2x4x3 \(HxWxC\), got 3x4x3 \(HxWxC\) for .* 2\.",
        {"fitted": SMALL},
        {"partner": 1, "box": (0, 0, 2, 4), "fit": third(1, 0)},
    ),
    (
        r"fit needs one box of the first partner, got 2 for sample 2\.",
        {"fitted": SMALL},
        {"partner": 1, "box": [(0, 0, 3, 4), (3, 4, 6, 8)], "fit": third(1, 0)},
    ),
    (
        r"partner must be an index into the batch of 4 and the others behind it, got 8 for .* 2\.",
        {"others": IMAGES},
        {"partner": third(8, 7)},
    ),
    (
        r"mixed samples must have equal shapes, got 6x8x3 \(HxWxC\) for sample 2 and 3x4x3 "
        r"\(HxWxC\) for its partner, sample 1 of others\. Resize .*",
        {"others": SMALL},
        {"partner": third(5, 0), "blend": 0.5},
    ),
    (
        r"mixed samples must have .* sample 1 of others\. .*",
        {"others": SMALL},
        {"partner": third(5, 0), "box": (0, 0, 1, 1)},
    ),
    (
        r"others must have the type of the images, uint8, got float\.",
        {"others": [image.astype(np.float32) for image in IMAGES]},
        {},
    ),
    (
        r"all images of a batch must have the same number of channels, got 3 for sample 0 and 2 "
        r"for sample 0 of others\.",
        {"others": [image[..., :2].copy() for image in IMAGES]},
        {},
    ),
]


@pytest.mark.parametrize(("sentence", "further", "columns"), INPUTS, ids=[s for s, _, _ in INPUTS])
def test_apply_refuses_further_inputs(sentence, further, columns):
    assert_says(sentence, further=further, **columns)


def test_a_part_of_a_partner_may_be_refused_for_its_number_of_frames():
    fitted = [np.zeros((2, 2, 4, 3), np.uint8)] * 4
    assert_says(
        r"fitted must have the size of the box, 3x2x4x3 \(FRAMESxHxWxC\), got 2x2x4x3 .* 0\.",
        VIDEOS,
        "FHWC",
        {"fitted": fitted},
        partner=PerSample([1, 2, 3, 0]),
        box=(0, 0, 2, 4),
        fit=1,
    )
    shorter = [video[:2].copy() if i == 1 else video for i, video in enumerate(VIDEOS)]
    assert_says(
        r"mixed samples must have equal shapes, got 3x6x8x3 \(FRAMESxHxWxC\) for sample 0 and "
        r"2x6x8x3 \(FRAMESxHxWxC\) for its partner, sample 1\. .*",
        shorter,
        "FHWC",
        partner=PerSample([1, 0, 0, 0]),
        box=(0, 0, 2, 4),
        offset=[0, 0],
    )

"""What the mixing of boxes and points refuses."""

import numpy as np
import pytest
from helpers import PerSample, assert_refused, feed, node_of, run_on, sentence_of
from layered import NO_BOX
from nvidia.dali import fn

import dali_mix.fn as dmix
from dali_mix.plan import Plan

OWN = np.float32([(0.1, 0.2, 0.3, 0.7)])
GOOD = {"partner": 1, "size": [6, 8]}
REFUSED = [
    (r"partner must be an index into the batch of 2, got 2 for sample 0\.", {"partner": 2}),
    (r"blend must be in \[0, 1\], got -?nan for sample 0\.", {"blend": float("nan")}),
    (r"box must be \(y0, x0, y1, x1\) inside the output of 6 x 8, got .*", {"box": [0, 0, 7, 8]}),
    (r"size must be at least 1 x 1 pixels, got 0 x 8 for sample 0\.", {"size": [0, 8]}),
    (r"size must hold 2 values for each sample, or 3 for sequences, got 1\.", {"size": [6]}),
    (
        r"box must hold 4 values for each of 1 to 8 boxes for each sample, got 3\.",
        {"box": [0, 0, 0]},
    ),
    (
        r"blend must sum to 1, got 0.5 for sample 0\.",
        {"partner": [1, 1], "blend": [0.5, 0.0, 0.0], "box": [NO_BOX] * 2},
    ),
    (r"offset must hold 2 values for each sample, got 1\.", {"offset": [1]}),
    (r"views must hold 2 values for each sample, got 3\.", {"views": [1, 2, 3]}),
    (r"fit must hold 1 or 2 values for each sample, got 3\.", {"fit": [1, 0, 0]}),
    (r"partner must hold 1 to 7 values for each sample, got 8\.", {"partner": [1] * 8}),
]


def graph_of(labels, columns, **options):
    def graph(x):
        given = {name: node_of(PerSample([value] * 2)) for name, value in columns.items()}
        return fn.dali_mix.travel(x, feed([labels]), **given, **options)

    return graph


LABELS = [np.zeros(1, np.int32)] * 2


@pytest.mark.parametrize(("sentence", "columns"), REFUSED)
def test_hostile_plans_are_refused(sentence, columns):
    assert_refused(sentence, graph_of(LABELS, GOOD | columns), images=[OWN, OWN], layout="")


SHAPES = [
    (r"coordinates must be finite, got NaN or infinity for sample 1\.", (0.1, 0.1, np.inf, 1)),
    (r"boxes must be \(left, top, right, bottom\), relative, got \(0\.5, .*\.", (0.5, 0, 0.4, 1)),
]


@pytest.mark.parametrize(("sentence", "box"), SHAPES)
def test_boxes_that_are_none_are_refused(sentence, box):
    graph = graph_of(LABELS, GOOD)
    assert_refused(sentence, graph, images=[OWN, np.float32([box])], layout="")


@pytest.mark.parametrize(
    ("sentence", "shapes", "labels"),
    [
        (
            r"labels must have one value for each of the 1 shapes, got 2 for .*",
            OWN,
            np.int32([1, 2]),
        ),
        (r"boxes must have the shape \(M, 4\), points \(M, 2\), got .* 0\.", OWN[:, :3], LABELS[0]),
        (r"boxes must have .* got 1 dimensions\.", OWN[0], LABELS[0]),
        (r"boxes and points must be FLOAT and labels INT32, got .*", OWN, np.int64([1])),
        (r"boxes and points must be FLOAT .*", OWN.astype(np.float64), LABELS[0]),
    ],
)
def test_other_shapes_and_types_are_refused(sentence, shapes, labels):
    shapes = np.ascontiguousarray(shapes)
    assert_refused(sentence, graph_of([labels] * 2, GOOD), images=[shapes] * 2, layout="")


def test_inputs_are_named():
    sentence = r"inputs must name each input after the labels: .*; got 1 names for 0 inputs\."
    graph = graph_of(LABELS, GOOD, inputs=["mask"])
    assert_refused(sentence, graph, images=[OWN, OWN], layout="")
    graph = graph_of(LABELS, {"partner": 1})
    said = sentence_of(graph, images=[OWN, OWN], layout="", error=(ValueError, RuntimeError))
    assert "size" in said


def test_points_and_boxes_may_not_be_mixed():
    assert_refused(
        r"boxes must have the shape \(M, 4\), points \(M, 2\), got .* for sample 1\.",
        graph_of(LABELS, GOOD),
        images=[OWN, OWN[:, :2].copy()],
        layout="",
    )
    assert len(run_on([OWN, OWN], graph_of(LABELS, GOOD), layout="")) == 3


def test_a_plan_for_some_frames_is_refused():
    plan = Plan(1, 1.0, NO_BOX, None, None, frames=(0, 1))
    with pytest.raises(ValueError, match=r"^apply_boxes mixes .* got a plan for some frames"):
        dmix.apply_boxes(OWN, LABELS, plan)


def weighed(weights):
    def graph(x):
        inputs = (x, feed([LABELS]), feed([weights]))
        given = {name: node_of(PerSample([value] * 2)) for name, value in GOOD.items()}
        return fn.dali_mix.travel(*inputs, inputs=["weights"], **given)

    return graph


@pytest.mark.parametrize(
    ("sentence", "weights"),
    [
        (
            r"weights must be FLOAT, one for each of the 1 shapes, got 2 of float for sample 0\.",
            np.float32([1, 1]),
        ),
        (r"weights must be FLOAT, one for each of .*, got 1 of int32 .*", np.int32([1])),
        (r"weights must be finite and not negative, got -0\.5 for sample 0\.", np.float32([-0.5])),
        (r"weights must be finite and not negative, got nan for .*", np.float32([np.nan])),
    ],
)
def test_weights_that_are_none_are_refused(sentence, weights):
    assert_refused(sentence, weighed([weights] * 2), images=[OWN, OWN], layout="")


@pytest.mark.parametrize("share", [-0.1, 1.5, "half", None])
def test_a_least_visible_share_is_a_share(share):
    def graph(x):
        plan = Plan(feed([[np.int32(1)] * 2]), None, None, None, feed([[np.int32([6, 8])] * 2]))
        return dmix.apply_boxes(x, feed([LABELS]), plan, min_visible=share)

    if share is None:  # the default
        assert len(run_on([OWN, OWN], graph, layout="")) == 3
        return
    with pytest.raises(ValueError, match=r"^min_visible must be a number in \[0, 1\], got .*\.$"):
        run_on([OWN, OWN], graph, layout="")


def test_others_have_no_weights():
    def graph(x):
        plan = Plan(feed([[np.int32(3)] * 2]), None, None, None, feed([[np.int32([6, 8])] * 2]))
        labels, weights = feed([LABELS]), feed([[np.float32([1])] * 2])
        return dmix.apply_boxes(x, labels, plan, others=(x, labels), weights=weights)

    with pytest.raises(ValueError, match=r"^weights cannot be combined with others: they have .*"):
        run_on([OWN, OWN], graph, layout="")

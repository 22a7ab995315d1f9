"""What is said of values that are not what they are to be: arrays in place of batches, lists in
the place of tensors."""

import re

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import UNMIXED, feed, fingerprints, run_on, said, stacked
from nvidia.dali import fn, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

IMAGES = fingerprints(4, 6, 8)
IDS = np.arange(4)
PLACES = {"fn": dmix, "dynamic": dali_mix.dynamic}


def said_in_graph(error, graph):
    """`graph(x, y)` in a pipeline."""
    return said(error, lambda: run_on(IMAGES, graph, IDS))


def dynamic_batches():
    images = ndd.batch([ndd.tensor(image, layout="HWC") for image in IMAGES])
    return images, ndd.batch([np.int64(k) for k in IDS])


# batches


def torch_tensor():
    return pytest.importorskip("torch").zeros(4, 6, 8, 3)


STRANGE = {
    "numpy": lambda: np.stack(IMAGES),
    "torch": torch_tensor,
    "list": lambda: list(IMAGES),
    "number": lambda: 3,
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("place", PLACES)
def test_images_that_are_no_batch_are_refused(place, kind):
    """DALI would take an array for a constant: the same for each sample."""
    value, module = STRANGE[kind](), PLACES[place]
    hint = {"fn": "fn.external_source", "dynamic": "ndd.batch"}[place]
    calls = [
        lambda: module.mixup(value),
        lambda: module.plan(value),
        lambda: module.apply(value, UNMIXED),
        lambda: module.apply_mask(value, UNMIXED),
    ]
    for call in calls:
        text = said(TypeError, call)
        assert re.match(r"(images|maps) must be a batch of DALI's, got ", text) and hint in text


@pytest.mark.parametrize("labels", [IDS, IDS.tolist(), [IDS], {"y": IDS}, "labels", 3])
def test_labels_that_are_no_batch_are_refused(labels):
    for call in (
        lambda x, y: dmix.mixup(x, labels),
        lambda x, y: dmix.plan(x, labels),
        lambda x, y: dmix.pair_labels(labels, dmix.plan(x)),
    ):
        text = said_in_graph(TypeError, call)
        assert text.startswith("labels must be a batch of DALI's, got ")


def test_other_things_in_the_place_of_labels_are_named():
    assert "methods come behind the labels" in said_in_graph(
        TypeError, lambda x, y: dmix.mix(x, [MixUp()])
    )
    assert said_in_graph(ValueError, lambda x, y: dmix.mix(x, ())).startswith(
        "labels must hold at least one batch, got none"
    )
    assert said_in_graph(TypeError, lambda x, y: dmix.mix(x, y, CutMix)).endswith(
        "Write it with brackets."
    )


def test_batches_of_one_mode_are_no_batches_of_the_other():
    images, _ = dynamic_batches()
    assert "fn.external_source" in said(TypeError, dmix.mixup, images)
    assert "ndd.batch" in said_in_graph(TypeError, lambda x, y: dali_mix.dynamic.mixup(x))


def test_a_plan_is_a_plan():
    for call in (
        lambda x, y: dmix.apply(x, y),
        lambda x, y: dmix.pair_labels(y, dmix.plan(x).partner),
        lambda x, y: dmix.apply_mask(x, tuple(dmix.plan(x))),
    ):
        assert said_in_graph(TypeError, call).startswith("plan must be a Plan, which plan() draws")


def test_others_of_boxes_are_a_pair():
    def graph(x, y):
        boxes = feed([[np.zeros((0, 4), np.float32)] * 4])
        return dmix.apply_boxes(boxes, y, dmix.plan(x, partner="others"), others=boxes)

    text = said_in_graph(TypeError, graph)
    assert text.startswith("others must be a pair, what is mixed and its labels, got")


# numbers


@pytest.mark.parametrize("name", ["prob", "lam", "partner"])
@pytest.mark.parametrize("value", [[1, 0, 3, 2], np.array([1, 0, 3, 2]), (0.5,)])
def test_values_for_each_sample_are_tensors_of_dali(name, value):
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, **{name: value}))
    assert text.startswith(f"{name} must be a DALI tensor with one value for each sample, got")


@pytest.mark.parametrize("box", [[(0, 0, 1, 1)] * 4, np.zeros((4, 4), int)])
def test_boxes_for_each_sample_are_a_tensor_of_dali(box):
    text = said_in_graph(TypeError, lambda x, y: dmix.cutmix(x, y, box=box))
    assert text.startswith("box must be a DALI tensor with one value for each sample")


@pytest.mark.parametrize("alpha", [[0.4] * 4, np.full((9, 9), 0.4), "0.4"])
def test_alpha_is_no_list(alpha):
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, alpha=alpha))
    assert text.startswith("alpha of MixUp must be a number, or a DALI tensor")


FLAGS = [("pad_output", "yes"), ("pad_output", 2), ("fold", "no")]


@pytest.mark.parametrize(("name", "value"), FLAGS)
def test_flags_are_true_or_false(name, value):
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, **{name: value}))
    assert re.match(rf"{name}( of MixUp)? must be True or False, got ", text)


@pytest.mark.parametrize("value", [1.5, np.float32(2), [1]])
def test_a_seed_is_whole(value):
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, seed=value))
    assert text.startswith("seed must be a whole number, got")


@pytest.mark.parametrize(("name", "low"), [("count", 1), ("images", 2)])
@pytest.mark.parametrize("value", [0, 9, -1, 2.0, "2"])
def test_numbers_of_images_are_whole(name, low, value):
    def graph(x, y):
        plan = dmix.plan(x)
        return (
            dmix.apply_mask(x, plan, count=value)
            if name == "count"
            else dmix.pair_labels(y, plan, images=value)
        )

    text = said_in_graph(ValueError, graph)
    assert text == f"{name} must be a whole number from {low} to 8, got {value!r}."


def test_weights_are_one_for_each_method():
    for weights in (0.5, fn.random.uniform):
        text = said_in_graph(
            TypeError, lambda x, y, w=weights: dmix.mix(x, y, [MixUp(), CutMix()], weights=w)
        )
        assert text.startswith("weights must be one value for each method, got ")


def test_the_normalisation_may_be_an_array_and_is_no_tensor():
    mean, std = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]

    def graph(x, y):
        one = dmix.mixup(x, y, mean=np.array(mean), std=np.float32(std), seed=3)
        return one, dmix.mixup(x, y, mean=mean, std=std, seed=3)

    out = run_on(IMAGES, graph, IDS)
    np.testing.assert_array_equal(out[0], out[4])
    node = lambda: fn.random.uniform(range=[0, 1], shape=[3])  # noqa: E731
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, mean=node()))
    assert text == "mean must be numbers, alike for all samples, got a DALI tensor."


def test_numbers_of_numpy_are_numbers():
    x, y = dynamic_batches()
    theirs = {"alpha": np.float32(0.25), "prob": np.float64(0.5), "scale": np.float32(2)}
    ours = {"alpha": 0.25, "prob": 0.5, "scale": 2.0}

    def graph(x, y):
        return dmix.mixup(x, y, seed=3, **theirs), dmix.mixup(x, y, seed=3, **ours)

    out = run_on(IMAGES, graph, IDS)
    np.testing.assert_array_equal(out[0], out[4])
    one, other = (
        stacked(dali_mix.dynamic.mixup(x, y, rng=ndd.random.RNG(4), **given)[0])
        for given in (theirs, ours)
    )
    np.testing.assert_array_equal(one, other)


def test_arguments_are_left_as_they_were():
    labels, second = [], []

    def graph(x, y):
        labels.extend([y, y])
        second.extend([x, [y, y]])
        given = {"mean": [1.0], "dtype": types.FLOAT, "second": second}
        kept = dict(given)
        out = dmix.mix(x, labels, [MixUp(), CutMix()], weights=[1, 2], **given)
        assert given == kept and len(labels) == len(second) == 2
        return out

    run_on(IMAGES, graph, IDS)

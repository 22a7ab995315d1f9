"""What is said of a call that is not quite right: names that other libraries use, labels in another
structure."""

import re

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import fingerprints, run_on, said

import dali_mix.dynamic
import dali_mix.fn as dmix

IMAGES = fingerprints(4, 6, 8)
IDS = np.arange(4)
PLACES = {"fn": dmix, "dynamic": dali_mix.dynamic}


def said_in_graph(error, graph):
    """`graph(x, y)` in a pipeline."""
    return said(error, lambda: run_on(IMAGES, graph, IDS))


def dynamic_batches():
    images = ndd.batch([ndd.tensor(image, layout="HWC") for image in IMAGES])
    return images, ndd.batch([np.int64(k) for k in IDS])


# names

OTHERS = [
    ("name", "leave it out"),
    ("device", "on the device of the images; pass images.gpu()"),
    ("bytes_per_sample_hint", "leave it out"),
    ("preserve", "leave it out"),
    ("num_classes", "target.dense(num_classes)"),
    ("out_of_bounds_policy", "windows must lie inside the image"),
    ("fill_values", "fn.pad"),
    ("label_smoothing", "target.dense(num_classes, smoothing=…)"),
    ("mixup_alpha", "dali_mix.migrate.from_timm"),
    ("switch_prob", "weights=[1 - switch_prob, switch_prob]"),
    ("mode", 'per="batch", "pair" or "sample"'),
    ("p", "it is prob"),
    ("labels_getter", "labels are the second argument"),
    ("output_dtype", "its name here is dtype"),
    ("crop_pos_z", "in height and width"),
    ("same_on_batch", 'per="batch"'),
    ("beta", "alpha"),
]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("function", ["mix", "mixup", "cutmix"])
@pytest.mark.parametrize(("name", "advice"), OTHERS)
def test_arguments_of_other_libraries_are_told_what_to_do_here(place, function, name, advice):
    text = said(TypeError, getattr(place, function), None, None, **{name: 1})
    assert text.startswith(f"{function}() has no argument {name!r}: ") and advice in text


OURS = [
    (dmix.plan, "mean", "It is an argument of apply, and of mix, mixup and cutmix."),
    (dmix.plan, "second", 'Pass partner="others" to plan, and others=images2 to apply.'),
    (dmix.apply, "prob", "It is an argument of plan, mix, mixup and cutmix."),
    (dmix.apply, "second", 'Pass partner="others" to plan, and others=images2 to apply.'),
    (dmix.mix, "alpha", "It is a field of a method: dali_mix.MixUp(alpha=…)."),
    (dmix.cutmix, "place", "It is a field of a method: dali_mix.CutMix(place=…)."),
    (dmix.mixup, "methods", "It is an argument of mix, which draws among several methods."),
    (dmix.mixup, "others", "Pass second=(images2, labels2) to mix, mixup or cutmix."),
    (dmix.mix, "size", "The output has the size of the images, or that of crop=(H, W)."),
    (dmix.mix, "seeds", "Did you mean seed?"),
]


@pytest.mark.parametrize(("function", "name", "advice"), OURS)
def test_arguments_of_another_function_are_told_whose_they_are(function, name, advice):
    text = said(TypeError, function, **{name: 1})
    assert text.startswith(f"{function.__name__}() has no argument {name!r}; it takes ")
    assert text.endswith(advice)


def test_values_by_position_beyond_the_labels_are_refused():
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, 0.4))
    assert text.startswith("mixup() takes images, labels by position and alpha, fold, per")
    assert text.endswith("got 0.4 in place 3.")
    text = said_in_graph(TypeError, lambda x, y: dmix.mixup(x, y, labels=y))
    assert text == "mixup() got labels twice, by position and by name."


# None is as good as nothing


@pytest.mark.parametrize(
    "name", ["per", "prob", "partner", "lam", "box", "crop", "mean", "dtype", "mirror", "second"]
)
def test_none_stands_for_the_default(name):
    def graph(x, y):
        return dmix.mixup(x, y, seed=5, **{name: None}), dmix.mixup(x, y, seed=5)

    out = run_on(IMAGES, graph, IDS)
    for one, other in zip(out[:4], out[4:], strict=True):
        np.testing.assert_array_equal(one, other)


# second

STRUCTURES = {
    "images alone": (lambda x, y: x, lambda y: y, "got nvidia.dali.pipeline.DataNode"),
    "three": (lambda x, y: (x, y, y), lambda y: y, "got 3 parts"),
    "a tuple for one": (lambda x, y: (x, (y, y)), lambda y: y, "got a tuple of 2"),
    "one for a tuple": (
        lambda x, y: (x, y),
        lambda y: (y, y),
        "with a tuple of 2 for labels2 as",
    ),
    "one short": (
        lambda x, y: (x, (y,)),
        lambda y: (y, y),
        "for labels, got a tuple of 1",
    ),
    "one long": (lambda x, y: (x, (y, y, y)), lambda y: [y, y], "got a tuple of 3"),
    "no images": (lambda x, y: (None, y), lambda y: y, "images2 of second must be a batch"),
    "no labels": (lambda x, y: (x, None), lambda y: y, "labels2 where there are labels"),
    "too many labels": (lambda x, y: (x, y), lambda y: None, "none where there are none"),
    "arrays": (lambda x, y: (np.stack(IMAGES), y), lambda y: y, "got numpy.ndarray"),
    "an array": (lambda x, y: (x, IDS), lambda y: y, "labels2 of second must be a batch"),
    "a dict": (lambda x, y: {"x": x, "y": y}, lambda y: y, "got dict"),
    "no labels in a tuple": (lambda x, y: (x, (y, None)), lambda y: (y, y), "got None"),
}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_second_is_built_as_images_and_labels_are(structure):
    second, labels, sentence = STRUCTURES[structure]
    text = said_in_graph(
        (TypeError, ValueError), lambda x, y: dmix.mix(x, labels(y), second=second(x, y))
    )
    assert re.search("second must (be|have)", text) and sentence in text
    x, y = dynamic_batches()
    again = said((TypeError, ValueError), dali_mix.dynamic.mix, x, labels(y), second=second(x, y))
    assert again.split(", got")[0] == text.split(", got")[0]


def test_lists_and_tuples_of_labels_are_alike():
    def graph(x, y):
        return dmix.mix(x, [y, y], second=[x, (y, y)])

    _, y1, z1, y2, z2, _ = run_on(IMAGES, graph, IDS)
    np.testing.assert_array_equal([y1, z1], [IDS] * 2)
    np.testing.assert_array_equal(y2, z2)


def test_second_and_a_partner_exclude_each_other():
    text = said_in_graph(ValueError, lambda x, y: dmix.mix(x, y, second=(x, y), partner="roll"))
    assert text.startswith("partner must be left out with second, got 'roll'")

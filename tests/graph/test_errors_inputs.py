"""Every input beside the images, and every layout, that `apply` refuses."""

import numpy as np
import pytest
from helpers import PerSample, assert_refused, feed, fingerprints, node_of, run_on, sentence_of
from nvidia.dali import fn

IMAGES = fingerprints(4, 6, 8)
VIDEOS = [np.stack([image] * 3) for image in IMAGES]

NAMED = [
    (r"inputs must name each input after the images, got 1 names for 0 inputs\.", ["mask"], 0),
    (r"inputs must name each input after the images, got 0 names for 1 inputs\.", [], 1),
    (
        r'inputs must name "others", "fitted" or "mask", each once, got "other"\.',
        ["other"],
        1,
    ),
    (r"inputs must name .* each once, got \"others\"\.", ["others", "others"], 2),
]


@pytest.mark.parametrize(("sentence", "names", "count"), NAMED)
def test_inputs_are_named(sentence, names, count):
    def graph(x):
        return fn.dali_mix.apply(x, *[feed([IMAGES], "HWC")] * count, inputs=names)

    assert_refused(sentence, graph)


def test_others_of_another_layout_are_refused():
    def graph(x):
        planes = feed([[image.transpose(2, 0, 1).copy() for image in IMAGES]], "CHW")
        return fn.dali_mix.apply(x, planes, inputs=["others"])

    assert_refused(r'others must have the layout of the images, "HWC", got "CHW"\.', graph)


def test_what_has_no_layout_is_taken_for_hwc():
    def graph(x):
        return fn.dali_mix.apply(x, feed([IMAGES]), inputs=["others"], partner=node_of(far))

    far = PerSample([4, 5, 6, 7])
    out = run_on(IMAGES, graph)[0]
    np.testing.assert_array_equal(out, [x.transpose(2, 0, 1) for x in IMAGES])


@pytest.mark.parametrize("dimensions", [1, 5])
def test_images_of_other_dimensions_are_refused(dimensions):
    images = [np.zeros((2,) * dimensions, np.uint8)] * 2
    said = sentence_of(lambda x: fn.dali_mix.apply(x), images=images, layout="")
    assert "HWC" in said and "CHW" in said


def test_four_dimensions_without_a_layout_are_those_of_a_sequence():
    out = run_on(VIDEOS, lambda x: fn.dali_mix.apply(x), layout="")[0]
    np.testing.assert_array_equal(out, [x.transpose(0, 3, 1, 2) for x in VIDEOS])


COPIED = [
    (r"maps of classes must be of an integer type, got float\.", np.float32, 0),
    (r"maps of classes must be of an integer type, got float16\.", np.float16, 0),
    (r"copied must be the number of an image, 0 to 1, got 2\.", np.int32, 2),
]


@pytest.mark.parametrize(("sentence", "dtype", "copied"), COPIED)
def test_apply_refuses_maps(sentence, dtype, copied):
    maps = [np.zeros((6, 8), dtype)] * 4
    partner = PerSample([1] * 4)

    def graph(x):
        return fn.dali_mix.apply(x, partner=node_of(partner), copied=copied)

    assert_refused(sentence, graph, images=maps, layout="HW")


def test_images_without_channels_are_refused():
    images = [np.zeros((6, 8), np.uint8)] * 4
    sentence = (
        r'images must be "HWC" or "CHW", or sequences of these, got "HW"\. fn\.reshape adds a '
        r"channel\."
    )
    assert_refused(sentence, lambda x: fn.dali_mix.apply(x), images=images, layout="HW")


LAYOUTS = [
    ("HWC", "CFHW", r'output_layout must be "CHW" or "HWC", got "CFHW"\.'),
    ("FHWC", "FHW", r'output_layout must be .* \(of each frame\) or "CFHW", got "FHW"\.'),
    ("FHWC", "CDHW", r'output_layout must be .* \(of each frame\) or "CFHW", got "CDHW"\.'),
    ("DHWC", "CFHW", r'output_layout must be .* \(of each frame\) or "CDHW", got "CFHW"\.'),
]


@pytest.mark.parametrize(("layout", "output_layout", "sentence"), LAYOUTS)
def test_output_layouts_are_named(layout, output_layout, sentence):
    images = IMAGES if layout == "HWC" else VIDEOS

    def graph(x):
        return fn.dali_mix.apply(x, output_layout=output_layout)

    assert_refused(sentence, graph, images=images, layout=layout)


def test_inputs_of_another_number_of_samples_are_refused():
    def graph(x):
        return fn.dali_mix.apply(x, feed([IMAGES[:3]], "HWC"), inputs=["others"])

    assert "batch size" in sentence_of(graph, error=(ValueError, RuntimeError)).lower()

"""Every argument that `plan` and the mixing functions refuse, one by one: a ValueError or TypeError
with a sentence that says what is wrong and names the sample."""

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
    run_on,
    sentence_of,
)
from nvidia.dali import fn

import dali_mix
import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

IMAGES = fingerprints(4, 6, 8)
TWICE = ["mixup", "mixup"]
NAN, INF = float("nan"), float("inf")


# plan: values


PLAN_VALUES = [
    (r"prob must be in \[0, 1\], got 1.5 for sample 0\.", {"prob": 1.5}),
    (r"prob must be in \[0, 1\], got -0.1 for sample 0\.", {"prob": -0.1}),
    (r"prob must be in \[0, 1\], got -?nan for sample 2\.", {"prob": per_sample(NAN)}),
    (r"prob must be in \[0, 1\], got 2 for sample 2\.", {"prob": per_sample(2.0)}),
    (r"lam must be in \[0, 1\], got 1.5 for sample 0\.", {"lam": 1.5}),
    (r"lam must be in \[0, 1\], got -0.25 for sample 2\.", {"lam": per_sample(-0.25)}),
    (r"lam must be in \[0, 1\], got -?nan for sample 2\.", {"lam": per_sample(NAN)}),
    (
        r"partner must be an index into the batch of 4, got 4 for sample 2\.",
        {"partner": PerSample([1, 0, 4, 2])},
    ),
    (
        r"partner must be an index into the batch of 4, got -1 for sample 3\.",
        {"partner": PerSample([1, 0, 3, -1])},
    ),
    (
        r'per="pair" needs partners that pair up, got partner 1 for sample 0 and partner 2 for '
        r"sample 1\.",
        {"per": "pair", "partner": PerSample([1, 2, 0, 3])},
    ),
    (
        r'per must be one of "sample", "pair", "batch", got "image"\.',
        {"per": "image"},
    ),
    (r'prob_per must be one of "sample", "batch", got "pair"\.', {"prob_per": "pair"}),
    (r'choose_per must be one of "sample", "batch", got "all"\.', {"choose_per": "all"}),
    (
        r"partner must be one of 'derange', .*, 'others' or a DALI tensor of batch "
        r"indices, got 'flip'\.",
        {"partner": "flip"},
    ),
    (
        r'per="pair" needs partners that pair up, got "shuffle"\. Use "derange" \(a random '
        r'matching\) or "reverse"\.',
        {"per": "pair", "partner": "shuffle"},
    ),
    (r'per="pair" needs partners that pair up, got "roll".*', {"per": "pair", "partner": "roll"}),
    (r"box cannot be combined with lam: the box decides it\.", {"box": (0, 0, 1, 1), "lam": 0.5}),
    (
        r"box must be \(y0, x0, y1, x1\) with y0 <= y1 and x0 <= x1, got \(3, 0, 1, 4\) for "
        r"sample 0\.",
        {"box": (3, 0, 1, 4)},
    ),
    (r"box must be .* got \(0, 5, 1, 4\) for sample 0\.", {"box": (0, 5, 1, 4)}),
    (  # also where nothing would be cut
        r"box must be .* got \(0, 5, 1, 3\) for sample 0\.",
        {"box": (0, 5, 1, 3), "prob": 0.0},
    ),
    (r"crop must be at least 1 x 1 pixels, got 0 x 3 for sample 0\.", {"size": (0, 3)}),
    (r"crop must be at least 1 x 1 pixels, got 3 x -?nan for sample 0\.", {"crop": (3, NAN)}),
    (r"crop must be at least 1 x 1 pixels, got -2 x 3 for sample 0\.", {"crop_h": -2, "crop_w": 3}),
    (r"crop_h and crop_w must be given together, got only crop_h\.", {"crop_h": 3}),
    (r"crop_h and crop_w must be given together, got only crop_w\.", {"crop_w": 3}),
    (
        r"crop cannot be combined with crop_h and crop_w: give one of the two forms\.",
        {"crop": (3, 3), "crop_h": 3, "crop_w": 3},
    ),
]


@pytest.mark.parametrize(("sentence", "given"), PLAN_VALUES, ids=[s for s, _ in PLAN_VALUES])
def test_plan_refuses(sentence, given):
    def graph(x):
        return dmix.plan(x, None, CutMix(1.0), **{k: node_of(v) for k, v in given.items()})

    assert_refused(sentence, graph)


def test_a_box_needs_a_method_that_cuts():
    sentence = r"box needs a method that cuts, got no cutmix\. Add cutmix, or give lam\."
    assert_refused(sentence, lambda x: dmix.plan(x, None, MixUp(1.0), box=(0, 0, 1, 1)))


@pytest.mark.parametrize("alpha", [-1.0, NAN, INF])
def test_alpha_of_a_tensor_must_be_finite_and_not_negative(alpha):
    sentence = r"alpha must be finite and not negative \(0 switches mixing off\), got .* sample 2\."
    given = per_sample(alpha)
    assert_refused(sentence, lambda x: dmix.plan(x, None, MixUp(node_of(given))))


@pytest.mark.parametrize("weight", [-1.0, NAN, INF])
def test_weights_must_be_finite_and_not_negative(weight):
    sentence = r"weights must be finite and not negative, got .* for sample 0\."
    assert_refused(
        sentence, lambda x: dmix.plan(x, None, [MixUp(), CutMix()], weights=[1.0, weight])
    )


def test_weights_must_not_all_be_zero():
    sentence = r"weights must not all be 0, got only zeros for sample 0\."
    assert_refused(sentence, lambda x: dmix.plan(x, None, [MixUp(), CutMix()], weights=[0, 0]))


def test_a_plan_needs_images_or_a_size():
    sentence = r"plan needs images or a size: pass one of the two\."
    assert_refused(sentence, lambda x: dmix.plan(None))


@pytest.mark.parametrize("name", ["partner", "lam", "prob"])
def test_an_argument_of_the_wrong_shape_is_named(name):
    """One value for the batch in place of one for each sample."""
    given = PerSample([np.float32([0.5] * 4)] * 4)
    said = sentence_of(
        lambda x: dmix.plan(x, None, **{name: node_of(given)}), error=(ValueError, RuntimeError)
    )
    assert name in said


@pytest.mark.parametrize(
    ("sentence", "given"),
    [
        (r'methods must be of "cutmix", .*, "smoothmix", got "cutout"\.', {"methods": ["cutout"]}),
        (r"methods must name at least one method, got none\.", {"methods": [], "fold": []}),
        (
            r"fold must have one value for each of the 2 methods, got 1\.",
            {"methods": TWICE},
        ),
    ],
)
def test_the_plan_operator_refuses(sentence, given):
    assert_refused(sentence, lambda x: fn.dali_mix.plan(x, **given)[0])


def test_images_without_height_and_width_are_refused():
    sentence = r"images must have height and width, got the layout .* Pass size=\(H, W\).*"
    vectors = [np.zeros(3, np.uint8)] * 4
    assert_refused(sentence, lambda x: dmix.plan(x), images=vectors, layout="C")


# plan: Python


@pytest.mark.parametrize("method", [MixUp, CutMix])
@pytest.mark.parametrize("alpha", [-1, -0.1, NAN, INF])
def test_alpha_must_be_finite_and_not_negative(method, alpha):
    sentence = rf"alpha of {method.__name__} must be finite and not negative .* got {alpha}"
    with pytest.raises(ValueError, match=sentence):
        method(alpha)


def test_methods_must_be_methods():
    with pytest.raises(TypeError, match=r"must be objects of .*Mosaic, got 'mixup'"):
        dmix.plan(None, None, "mixup", size=(3, 3))
    with pytest.raises(ValueError, match="at least one method, got none"):
        dmix.plan(None, None, [], size=(3, 3))


def test_weights_must_be_one_for_each_method():
    with pytest.raises(ValueError, match="one value for each of the 2 methods, got 3"):
        dmix.plan(None, None, [MixUp(), CutMix()], weights=[1, 2, 3], size=(3, 3))


def test_size_and_crop_are_one_thing():
    with pytest.raises(ValueError, match="size cannot be combined with crop_h, crop_w: give one"):
        dmix.plan(None, size=(3, 3), crop_h=3, crop_w=3)


@pytest.mark.parametrize("name", ["plan", "apply", "mix", "mixup", "cutmix"])
def test_unknown_arguments_are_named(name):
    positional = {"plan": [None], "apply": [None, UNMIXED]}.get(name, [None, None])
    with pytest.raises(TypeError, match=rf"{name}\(\) has no argument 'alhpa'; it takes .*"):
        getattr(dmix, name)(*positional, alhpa=1)


def test_the_random_state_has_another_name_in_each_mode():
    with pytest.raises(TypeError, match=r"no argument 'rng'; it takes .*seed"):
        dmix.plan(None, size=(3, 3), rng=None)
    with pytest.raises(TypeError, match=r"no argument 'seed'; it takes .*rng"):
        dali_mix.dynamic.plan(ndd.batch(IMAGES, layout="HWC"), seed=1)


def test_output_arguments_are_not_those_of_a_plan():
    with pytest.raises(TypeError, match=r"plan\(\) has no argument 'mean'"):
        dmix.plan(None, size=(3, 3), mean=[1.0])


def test_dynamic_mode_says_the_same():
    images = ndd.batch([ndd.tensor(image, layout="HWC") for image in IMAGES])
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        dali_mix.dynamic.mixup(images, prob=2.0)[0].cpu().evaluate()
    errors = [caught.value]
    while errors[-1].__cause__ is not None:
        errors.append(errors[-1].__cause__)
    assert any("prob must be in [0, 1], got 2 for sample 0." in str(error) for error in errors)


def test_a_list_of_partners_is_refused_with_a_sentence():
    """Values for each sample are DALI tensors; a list of numbers is a constant for all samples."""
    with pytest.raises((TypeError, ValueError), match="partner"):
        run_on(IMAGES, lambda x: dmix.plan(x, partner=[1, 0, 3, 2]))


@pytest.mark.parametrize("name", ["mean", "std", "scale", "shift"])
@pytest.mark.parametrize("value", [NAN, INF])
def test_the_normalization_must_be_finite(name, value):
    sentence = rf"{name} must be finite, got .*\."
    assert_refused(sentence, lambda x: dmix.apply(x, UNMIXED, **{name: value}))


WORDS = ["mean", "std", "scale", "shift", "mirror", "crop", "crop_pos_x", "prob", "lam", "box"]


@pytest.mark.parametrize("name", [*WORDS, "seed"])
@pytest.mark.parametrize("value", ["0.5", [1, "0.5"]])
def test_words_in_the_place_of_numbers_are_named(name, value):
    if isinstance(value, list) and name in ("lam", "prob"):
        return  # lists of any kind are refused there
    with pytest.raises(TypeError) as caught:
        run_on(IMAGES, lambda x: dmix.mixup(x, **{name: value})[0])
    assert str(caught.value) == f"{name} must be numbers or a DALI tensor, got {value!r}."


def test_words_in_the_place_of_weights_are_named():
    with pytest.raises(TypeError, match=r"^weights must be numbers or DALI tensors, got \['a', 1"):
        dmix.plan(None, None, [MixUp(), CutMix()], weights=["a", 1], size=(3, 3))


def test_dynamic_mode_needs_something_to_count():
    with pytest.raises(ValueError, match=r"needs images or labels, to know how many samples"):
        dali_mix.dynamic.plan(None, size=(3, 3))

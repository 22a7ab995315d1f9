"""The classes of methods: what they refuse, and how the plan operator reads them."""

import math
import re

import numpy as np
import pytest
from helpers import assert_refused, draw, feed
from nvidia.dali import Pipeline, fn, types

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, FMix, GridMix, MixUp, MultiMix, PatchMix, ResizeMix, SmoothMix

WITH_ALPHA = [MixUp, CutMix, PatchMix, GridMix, FMix, MultiMix, RICAP]


# what Python refuses


@pytest.mark.parametrize("kind", WITH_ALPHA, ids=lambda kind: kind.name)
@pytest.mark.parametrize("alpha", [-0.1, math.inf, math.nan, np.float32(-1)])
def test_alpha_is_finite_and_not_negative(kind, alpha):
    sentence = (
        rf"alpha of {kind.__name__} must be finite and not negative \(0 .* off\), got {alpha}\."
    )
    with pytest.raises(ValueError, match=sentence):
        kind(alpha=alpha)


@pytest.mark.parametrize("kind", WITH_ALPHA, ids=lambda kind: kind.name)
@pytest.mark.parametrize("alpha", [None, True, "0.4", [0.4], (0.1, 0.4), np.float32([0.4])])
def test_alpha_is_a_number_or_a_tensor(kind, alpha):
    sentence = f"alpha of {kind.__name__} must be a number, or a DALI tensor .*, got .*"
    with pytest.raises(TypeError, match=sentence):
        kind(alpha=alpha)


WORDS = [
    (CutMix, "place", "'center', 'inside', 'uniform'"),
    (CutMix, "extent", "'space', 'time', 'space-time'"),
    (PatchMix, "shape", "'box', 'patches'"),
    (PatchMix, "place", "'center', 'inside', 'uniform'"),
]


@pytest.mark.parametrize(("kind", "name", "words"), WORDS)
@pytest.mark.parametrize("value", ["nowhere", "", None, 1])
def test_words_are_listed(kind, name, words, value):
    sentence = f"{name} of {kind.__name__} must be one of {words}, got {value!r}."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"), [(CutMix, "boxes", 1, 8), (MultiMix, "images", 2, 8)]
)
def test_counts_are_whole_and_in_range(kind, name, low, high):
    for value in (low - 1, high + 1, 2.5, "3", True, None):
        sentence = (
            f"{name} of {kind.__name__} must be a whole number from {low} to {high}, got {value!r}."
        )
        with pytest.raises(ValueError, match=re.escape(sentence)):
            kind(**{name: value})
    for value in (low, high, np.int64(3)):
        kind(**{name: value})


INTERVALS = [
    (CutMix, "minmax", "above 0 and at most 1", [(0, 0.5), (0.5, 1.01)]),
    (CutMix, "aspect", "above 0", [(0, 1), (1, math.inf)]),
    (ResizeMix, "scope", "at least 0 and at most 1", [(-0.1, 1), (0.5, 1.5)]),
    (SmoothMix, "sigma", "above 0", [(0, 1), (math.nan, 1)]),
    (GridMix, "holes", "at least 1 and at most 1000", [(0, 3), (2, 1001), (1.5, 3)]),
]


@pytest.mark.parametrize(("kind", "name", "rule", "beyond"), INTERVALS)
def test_intervals_are_ordered_and_in_range(kind, name, rule, beyond):
    for value in [*beyond, (3, 2), (0.2,), 0.5, "ab", (1, 2, 3), ("a", "b")]:
        sentence = f"{name} of {kind.__name__} must be (low, high), {rule}, got {value!r}."
        with pytest.raises(ValueError, match=re.escape(sentence)):
            kind(**{name: value})
    kind(**{name: (1, 1)})
    kind(**{name: [1, 1]})


def test_boxes_by_shares_of_sides_are_single():
    with pytest.raises(ValueError, match=r"boxes of CutMix must be 1 with minmax, got 2\."):
        CutMix(minmax=(0.2, 0.5), boxes=2)


@pytest.mark.parametrize("patch", [0, -4, 1.5, (4,), (4, 0), (4, 4, 4), "16", None, True, 2**21])
def test_patches_are_whole_pixels(patch):
    sentence = (
        f"patch of PatchMix must be whole pixels, one number or (height, width), got {patch!r}."
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        PatchMix(patch=patch)


@pytest.mark.parametrize("decay", [1.4, 21, -3, math.nan, "3", None])
def test_the_decay_is_in_range(decay):
    with pytest.raises(ValueError, match=rf"decay of FMix must be in \[1.5, 20\], got {decay!r}\."):
        FMix(decay=decay)


def test_methods_are_values():
    """Equal, hashable, frozen: two pipelines may share one."""
    assert RICAP(0.3) == RICAP() and len({CutMix(), CutMix(boxes=2), CutMix()}) == 2
    with pytest.raises(AttributeError):
        CutMix().boxes = 3


# from Python to the operator


READ = [
    (MixUp(), "mixup"),
    (CutMix(), "cutmix place=center aspect=1.0,1.0 boxes=1 extent=space"),
    (
        CutMix(place="inside", minmax=(0.25, 1), aspect=[0.5, 2], extent="space-time"),
        "cutmix place=inside aspect=0.5,2 boxes=1 extent=space-time minmax=0.25,1",
    ),
    (ResizeMix((0.1, np.float32(0.5))), "resizemix scope=0.1,0.5"),
    (PatchMix(patch=np.int64(8)), "patchmix patch=8,8 shape=box place=center"),
    (PatchMix(patch=(32, 16), shape="patches"), "patchmix patch=32,16 shape=patches place=center"),
    (GridMix(holes=(np.int32(2), 4)), "gridmix holes=2,4"),
    (FMix(decay=np.float64(1.5)), "fmix decay=1.5"),
    (SmoothMix(sigma=(1e-9, 1 / 3)), f"smoothmix sigma=1e-09,{1 / 3!r}"),
    (MultiMix(images=8), "multimix images=8"),
    (RICAP(), "ricap"),
]


@pytest.mark.parametrize(("method", "text"), READ, ids=lambda value: str(value)[:20])
def test_the_operator_reads_what_python_writes(method, text):
    """The raw operator with that text draws what the object draws."""
    assert method.text == text
    videos = [np.zeros((5, 64, 48, 1), np.uint8)] * 6
    given = {"alpha": [0.7], "fold": [int(method.fold)], "seed": 3}

    def graph():
        x = feed([videos], "FHWC")
        raw = fn.dali_mix.plan(x, methods=[text], **given)
        object_ = type(method)(**{**method.__dict__, **alpha_of(method)})
        return [*raw, *dmix.plan(x, None, object_, seed=3).columns]

    pipeline = Pipeline(6, 1, None, seed=1)
    with pipeline:
        nodes = graph()
        pipeline.set_outputs(*nodes)
    out = [[np.array(sample).tolist() for sample in batch] for batch in pipeline.run()]
    half = len(out) // 2
    assert len(out) == 2 * half and out[:half] == out[half:]


def alpha_of(method):
    names = method.__dataclass_fields__
    return {"alpha": 0.7} if "alpha" in names else {}


def test_options_reach_the_draw():
    """Each option changes something of what is drawn."""
    kinds = [
        (CutMix, {"place": "inside"}, {"place": "uniform"}, {"minmax": (0.2, 0.3)}),
        (CutMix, {"aspect": (2, 3)}, {"boxes": 2}),
        (ResizeMix, {"scope": (0.2, 0.3)}),
        (PatchMix, {"patch": 4}, {"shape": "patches"}, {"place": "inside"}),
        (GridMix, {"holes": (9, 9)}),
        (FMix, {"decay": 1.5}),
        (SmoothMix, {"sigma": (0.01, 0.02)}),
        (MultiMix, {"images": 4}, {"fold": False}),
    ]
    for kind, *variants in kinds:
        plain = str(draw(40, kind()))
        for options in variants:
            assert str(draw(40, kind(**options))) != plain, (kind, options)


# what the operator itself refuses

TEXTS = [
    (
        "cutmix place=nowhere",
        'place of cutmix must be one of center, inside, uniform, got "nowhere".',
    ),
    ("cutmix extent=", 'extent of cutmix must be one of space, space-time, time, got "".'),
    ("patchmix shape=round", 'shape of patchmix must be one of box, patches, got "round".'),
    ("cutmix scope=0,1", 'cutmix has no option "scope".'),
    ("mixup boxes=2", 'mixup has no option "boxes".'),
    ("ricap images=2", 'ricap has no option "images".'),
    ("mixup alpha=1", 'mixup has no option "alpha".'),
    ("cutmix inside", 'methods must have options name=value, got "inside".'),
    ("cutmix boxes=9", 'boxes of cutmix must be a whole number from 1 to 8, got "9".'),
    ("cutmix boxes=1.5", 'boxes of cutmix must be a whole number from 1 to 8, got "1.5".'),
    ("cutmix boxes=two", 'boxes of cutmix must be made of numbers, got "two".'),
    ("multimix images=1", 'images of multimix must be a whole number from 2 to 8, got "1".'),
    ("multimix images=9", 'images of multimix must be a whole number from 2 to 8, got "9".'),
    ("patchmix patch=0,4", 'patch of patchmix must be whole pixels, height and width, got "0,4".'),
    ("patchmix patch=4.5", 'patch of patchmix must be whole pixels, height and width, got "4.5".'),
    ("resizemix scope=0,2", '(low, high), at least 0 and at most 1, got "0,2".'),
    ("resizemix scope=0.5,0.2", '(low, high), at least 0 and at most 1, got "0.5,0.2".'),
    ("resizemix scope=0.5,", 'scope of resizemix must be made of numbers, got "0.5,".'),
    ("resizemix scope=0.5,0.6,0.7", 'must be made of numbers, got "0.5,0.6,0.7".'),
    (
        "cutmix minmax=0,1",
        'minmax of cutmix must be (low, high), above 0 and at most 1, got "0,1".',
    ),
    ("cutmix aspect=-1,1", 'aspect of cutmix must be (low, high), above 0, got "-1,1".'),
    ("smoothmix sigma=nan", 'sigma of smoothmix must be made of numbers, got "nan".'),
    ("smoothmix sigma=inf", 'sigma of smoothmix must be made of numbers, got "inf".'),
    ("fmix decay=0", 'decay of fmix must be in [1.5, 20], got "0".'),
    ("gridmix holes=0,3", "holes of gridmix must be (low, high), whole numbers from 1 to 1000"),
    ("gridmix holes=3,2", "holes of gridmix must be (low, high), whole numbers from 1 to 1000"),
    ("cutmax", 'methods must be of "cutmix", "fmix", "gridmix", "mixup", "mosaic", "multimix"'),
    ("", 'methods must be of "cutmix", "fmix"'),
]


@pytest.mark.parametrize(("text", "sentence"), TEXTS)
def test_the_operator_names_what_it_cannot_read(text, sentence):
    assert_refused(f".*{re.escape(sentence)}.*", lambda x: fn.dali_mix.plan(x, methods=[text]))


@pytest.mark.parametrize(
    ("method", "given", "sentence"),
    [
        (SmoothMix(), {"lam": 0.5}, "lam cannot be given to smoothmix: its bell decides it."),
        (CutMix(minmax=(0.1, 0.9)), {"lam": 0.5}, "lam cannot be given to cutmix with minmax"),
        (RICAP(), {"lam": 0.5}, "lam needs methods of two images, got one of 4."),
        (MultiMix(), {"per": "pair"}, 'per="pair" needs methods of two images, got one of 3.'),
        (RICAP(), {"box": (0, 0, 1, 1)}, "box needs a method that cuts, got no cutmix."),
        ([RICAP(), CutMix(boxes=2)], {}, "methods of several boxes cannot be combined with"),
        (PatchMix(patch=4), {}, "patch must divide the output of 6 x 8, got 4 x 4 for sample 0."),
        (CutMix(extent="time"), {}, "extent needs videos or volumes, of a layout with F or D"),
    ],
    ids=str,
)
def test_what_cannot_be_combined_is_named(method, given, sentence):
    rule = f".*{re.escape(sentence)}.*"
    assert_refused(rule, lambda x: dmix.plan(x, None, method, **given))


def test_a_tensor_of_alpha_is_checked_sample_by_sample():
    def graph(x):
        return dmix.plan(x, None, RICAP(types.Constant(-1.0, dtype=types.FLOAT)))

    assert_refused(r"alpha must be finite and not negative .*, got -1 for sample 0\.", graph)

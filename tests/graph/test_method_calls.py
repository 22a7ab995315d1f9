"""How methods are made: what goes by position, what by name, and what is said of other names."""

import copy
import dataclasses
import inspect
import pickle
import re

import numpy as np
import pytest

from dali_mix import RICAP, CutMix, FMix, GridMix, MixUp, MultiMix, PatchMix, ResizeMix, SmoothMix

POSITIONAL = [(MixUp, 0.4), (CutMix, 1.0), (GridMix, 0.5), (FMix, 8.0), (MultiMix, 1), (RICAP, 2.0)]


@pytest.mark.parametrize(("kind", "alpha"), POSITIONAL)
def test_alpha_may_be_given_by_position_and_nothing_else(kind, alpha):
    assert kind(alpha) == kind(alpha=alpha)
    rest = [field.name for field in dataclasses.fields(kind) if field.name != "alpha"]
    by_name = f" and {', '.join(rest)} by name" if rest else ""
    sentence = f"{kind.__name__}() takes alpha by position{by_name}, got True in place 2."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        kind(alpha, True)


def test_the_only_field_of_a_method_may_be_given_by_position():
    assert ResizeMix((0.2, 0.3)) == ResizeMix(scope=(0.2, 0.3))
    assert SmoothMix((0.2, 0.3)) == SmoothMix(sigma=(0.2, 0.3))


RIVALS = [(PatchMix, "patch"), (MultiMix, "images"), (GridMix, "holes"), (FMix, "decay")]


@pytest.mark.parametrize(("kind", "field"), RIVALS)
@pytest.mark.parametrize("value", [3, 16, np.int64(3)])
def test_a_whole_number_is_not_taken_for_an_alpha_where_it_may_mean_another_field(
    kind, field, value
):
    name = kind.__name__
    sentence = f"{name}({value}) does not say what it means: write {name}({field}=…) or {name}("
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}"):
        kind(value)
    assert kind(alpha=value).alpha == value


@pytest.mark.parametrize("values", [(1.0,), ((16, 16),), (1.0, True)])
def test_the_fields_of_patchmix_are_named(values):
    with pytest.raises(TypeError, match=r"^PatchMix\(\) takes nothing by position and .*patch.*"):
        PatchMix(*values)


NAMES = [
    (MixUp, "num_classes", "labels stay as they are; target.dense"),
    (CutMix, "p", "it is prob, an argument of mix"),
    (CutMix, "cutmix_minmax", "it is dali_mix.CutMix(place='inside', minmax=…)"),
    (FMix, "decay_power", "its name here is decay"),
    (MixUp, "beta", "the parameter of Beta is alpha"),
]


@pytest.mark.parametrize(("kind", "name", "advice"), NAMES)
def test_fields_that_other_libraries_have_are_told_where_to_go(kind, name, advice):
    sentence = f"{kind.__name__}() has no argument {name!r}: {advice}"
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}.*[.]$"):
        kind(**{name: 1})


def test_arguments_of_the_call_are_no_fields():
    sentence = "CutMix() has no argument 'prob'; it takes alpha, fold, place, minmax"
    with pytest.raises(TypeError, match=re.escape(sentence)) as caught:
        CutMix(prob=0.5)
    assert str(caught.value).endswith("of mix, mixup, cutmix and plan, not of a method.")


def test_a_misspelt_field_is_guessed():
    sentence = "CutMix() has no argument 'box'"
    with pytest.raises(TypeError, match=re.escape(sentence)):
        CutMix(box=1)
    sentence = "MixUp() has no argument 'alhpa'; it takes alpha, fold, uniform, overlap."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)} Did you mean alpha[?]$"):
        MixUp(alhpa=1)


@pytest.mark.parametrize("fold", ["yes", None, 2, 0.5, [True]])
def test_fold_is_a_flag(fold):
    sentence = f"fold of MixUp must be True or False, got {fold!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        MixUp(fold=fold)
    assert MixUp(fold=np.bool_(True)).fold and not MixUp(fold=0).fold


def test_methods_are_copied_pickled_and_changed_as_values_are():
    method = CutMix(0.5, boxes=2)
    assert copy.deepcopy(method) == pickle.loads(pickle.dumps(method)) == method
    assert dataclasses.replace(method, boxes=3) == CutMix(0.5, boxes=3)
    assert "patch" in inspect.signature(PatchMix).parameters

"""Methods from the words of a command line, and the titles that name them."""

import dataclasses

import pytest

from dali_mix.methods import CutMix, GridMix, MixUp, PatchMix
from dali_mix.methods.words import method_of, words_of


@pytest.mark.parametrize(
    ("name", "options", "method"),
    [
        ("cutmix", ["place=inside", "boxes=3"], CutMix(place="inside", boxes=3)),
        ("cutmix", ["minmax=0.2,0.6", "fold=True"], CutMix(minmax=(0.2, 0.6), fold=True)),
        ("mixup", ["alpha=1", "fold=false"], MixUp(1, fold=False)),
        ("patchmix", [], PatchMix(patch=8)),
        ("patchmix", ["patch=4,6", "shape=patches"], PatchMix(patch=(4, 6), shape="patches")),
        ("gridmix", ["holes=3,4"], GridMix(holes=(3, 4))),
    ],
)
def test_options_are_read_as_the_fields_of_the_method_want_them(name, options, method):
    made = method_of(name, options, size=24)
    assert made == method
    for field in dataclasses.fields(made):
        assert type(getattr(made, field.name)) is type(getattr(method, field.name))


def test_titles_name_what_is_not_as_by_default():
    assert words_of(CutMix(boxes=3, minmax=None)) == "cutmix, alpha 1, boxes 3"
    assert words_of(GridMix(0.5, holes=(2, 3))) == "gridmix, alpha 0.5, holes 2 to 3"
    assert words_of(MixUp(fold=False)) == "mixup, alpha 0.4, fold false"

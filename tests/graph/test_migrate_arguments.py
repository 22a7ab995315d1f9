"""What `dali_mix.migrate` makes of the arguments of other libraries, and what it refuses."""

import math
import re

import numpy as np
import pytest

from dali_mix import CutMix, MixUp, migrate


def test_alpha_fold_and_minmax_of_the_peers_are_taken_over():
    timm = migrate.from_timm(mixup_alpha=0.8, cutmix_minmax=[0.2, 0.6], switch_prob=0.25)
    assert timm["methods"] == [
        MixUp(0.8, fold=False),
        CutMix(1.0, place="inside", minmax=(0.2, 0.6)),
    ]
    assert timm["weights"] == [0.75, 0.25] and timm["partner"] == "reverse"
    naflex = migrate.from_timm_naflex(switch_prob=0.25, prob=0.5)
    cut = CutMix(1.0, place="inside", overlap=True)
    assert naflex["methods"] == [MixUp(0.8, fold=False, overlap=True), cut]
    assert naflex["weights"] == [0.75, 0.25] and naflex["partner"] == "aspect"
    assert (naflex["per"], naflex["choose_per"], naflex["prob"]) == ("batch", "batch", 0.5)
    assert migrate.from_timm(0.8, 1.0, switch_prob=1)["methods"] == [CutMix(1.0)]
    assert migrate.from_timm(correct_lam=False)["methods"] == [MixUp(1.0, fold=False)]
    assert migrate.from_fastai(mixup_alpha=0.4)["methods"] == [MixUp(0.4, fold=True)]
    probs = [0.5, 0.3]
    augments = [{"type": "Mixup", "alpha": 0.8}, {"type": "CutMix", "alpha": 1.0}]
    assert migrate.from_mmpretrain(augments, probs)["prob"] == pytest.approx(0.8)
    assert probs == [0.5, 0.3] and augments[0] == {"type": "Mixup", "alpha": 0.8}
    assert migrate.from_mmpretrain(augments)["weights"] == [0.5, 0.5]


MIXUP = {"type": "Mixup", "alpha": 0.8}
NAN = math.nan


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: migrate.from_timm(mode="half"), 'mode must be "batch", "pair" or "elem", got'),
        (lambda: migrate.from_timm(0.8, 1.0, correct_lam=False), "correct_lam=False has no"),
        (lambda: migrate.from_timm(0.0), "mixup_alpha or cutmix_alpha must be above 0"),
        (lambda: migrate.from_timm(switch_prob=2), r"switch_prob must be in \[0, 1\], got 2"),
        (lambda: migrate.from_timm(switch_prob="a"), r"switch_prob must be in \[0, 1\], got 'a'"),
        (lambda: migrate.from_timm(NAN), "mixup_alpha must be a finite number, got nan"),
        (lambda: migrate.from_timm(1, NAN), "cutmix_alpha must be a finite number, got nan"),
        (lambda: migrate.from_timm(1, "a"), "cutmix_alpha must be a finite number, got 'a'"),
        (lambda: migrate.from_timm(None), "mixup_alpha must be a finite number, got None"),
        (lambda: migrate.from_torchvision(), "mixup_alpha or cutmix_alpha must be given"),
        (lambda: migrate.from_torchvision(mixup_alpha=1, p=[1, 1]), "p must have one value for"),
        (lambda: migrate.from_fastai(), "must be given, got neither; fastai"),
        (lambda: migrate.from_fastai(mixup_alpha=1, cutmix_alpha=1), "must be given, got both"),
        (lambda: migrate.from_mmpretrain({"type": "ResizeMix", "alpha": 1}), "a law of its own"),
        (lambda: migrate.from_mmpretrain({"type": "AugMix"}), 'must be "Mixup" or "CutMix", got'),
        (lambda: migrate.from_mmpretrain({"type": "Mixup"}), "Mixup takes alpha, .* got nothing"),
        (lambda: migrate.from_mmpretrain([MIXUP], [0.5, 0.5]), "each of the 1 augments, got 2"),
        (lambda: migrate.from_deim(0), "mixup_prob must be above 0 and at most 1, got 0"),
        (lambda: migrate.from_deim(NAN), "mixup_prob must be above 0 and at most 1, got nan"),
        (lambda: migrate.from_deim(0.5, 0.5), "copyblend_prob must be 0, got 0.5"),
        (lambda: migrate.from_mmpretrain([]), "augments must hold at least one config, got none"),
        (
            lambda: migrate.from_mmpretrain({"type": "CutMix", "alpha": 1.0, "correct_lam": False}),
            "correct_lam=False has no equivalent",
        ),
    ],
)
def test_what_has_no_equivalent_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


CUT = {"type": "CutMix", "alpha": 1.0}
OFF = {"type": "Mixup", "alpha": 0.0}


@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0), -0.0])
def test_an_alpha_of_zero_is_never_drawn(zero):
    """It is how the peers' programs say that a method is off."""
    off = {"type": "Mixup", "alpha": zero}
    alone = [
        (migrate.from_timm(zero, 1.0), migrate.from_timm(0.0, 1.0)),
        (
            migrate.from_torchvision(mixup_alpha=zero, cutmix_alpha=1.0),
            migrate.from_torchvision(cutmix_alpha=1.0),
        ),
        (
            migrate.from_torchvision(mixup_alpha=0.2, cutmix_alpha=zero, p=[0.1, 0.9]),
            migrate.from_torchvision(mixup_alpha=0.2),
        ),
        (
            migrate.from_fastai(mixup_alpha=zero, cutmix_alpha=1.0),
            migrate.from_fastai(cutmix_alpha=1.0),
        ),
        (
            migrate.from_fastai(mixup_alpha=0.4, cutmix_alpha=zero),
            migrate.from_fastai(mixup_alpha=0.4),
        ),
        (migrate.from_mmpretrain([off, CUT]), migrate.from_mmpretrain(CUT)),
        (migrate.from_mmpretrain([off, CUT], [0.5, 0.5]), migrate.from_mmpretrain(CUT)),
        (migrate.from_mmpretrain([CUT, off], [0.2, 0.3]), migrate.from_mmpretrain(CUT, 0.5)),
    ]
    for given, expected in alone:
        assert given == expected


def test_minmax_draws_whatever_alpha():
    minmax = {"type": "CutMix", "alpha": 0.0, "cutmix_minmax": (0.2, 0.5)}
    [method] = migrate.from_mmpretrain([minmax])["methods"]
    assert method.minmax == (0.2, 0.5)
    [method] = migrate.from_timm(0, 0, (0.2, 0.5))["methods"]
    assert method.minmax == (0.2, 0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: migrate.from_timm(0, 0),
        lambda: migrate.from_torchvision(mixup_alpha=0.0),
        lambda: migrate.from_torchvision(mixup_alpha=0.0, cutmix_alpha=0.0),
        lambda: migrate.from_torchvision(mixup_alpha=0.0, cutmix_alpha=1.0, p=[1, 0]),
        lambda: migrate.from_fastai(mixup_alpha=0.0),
        lambda: migrate.from_fastai(mixup_alpha=0.0, cutmix_alpha=0),
        lambda: migrate.from_mmpretrain(OFF),
        lambda: migrate.from_mmpretrain([OFF, CUT], [1, 0]),
    ],
)
def test_nothing_to_draw_is_an_error(call):
    with pytest.raises(ValueError, match=r"above 0.*\.$"):
        call()


NO_CHANCES = ([1.5, -0.5], [0, 0], [1, NAN], [NAN, 0.5], [math.inf, 1], ["a", 1], [None, 1], "ab")


@pytest.mark.parametrize("p", [*NO_CHANCES, 0.5, []])
def test_chances_of_torchvision_that_cannot_be_drawn_by_are_refused(p):
    rule = "p must be numbers that are not negative, and at least one above 0"
    with pytest.raises(ValueError, match=re.escape(f"{rule}, got {p!r}.")):
        migrate.from_torchvision(mixup_alpha=1, cutmix_alpha=1, p=p)


@pytest.mark.parametrize(
    "probs", [*NO_CHANCES, [0.7, 0.7], [1.5, 0], 1.5, -0.5, NAN, np.float32(2)]
)
def test_chances_of_mmpretrain_that_cannot_be_drawn_by_are_refused(probs):
    rule = "probs must be numbers that are not negative, and add up to more than 0 and at most 1"
    with pytest.raises(ValueError, match=re.escape(f"{rule}, got {probs!r}.")):
        migrate.from_mmpretrain([MIXUP, {"type": "CutMix", "alpha": 1.0}], probs)


@pytest.mark.parametrize("minmax", [(0.2,), (), 0.2, (0.2, 0.5, 0.8), (0.8, 0.2), (NAN, 0.5), "ab"])
def test_a_minmax_that_is_no_range_is_named_as_the_peer_names_it(minmax):
    sentence = f"cutmix_minmax must be (low, high), above 0 and at most 1, got {minmax!r}."
    for call in (
        lambda: migrate.from_timm(cutmix_minmax=minmax),
        lambda: migrate.from_mmpretrain({"type": "CutMix", "alpha": 1.0, "cutmix_minmax": minmax}),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            call()


@pytest.mark.parametrize("p", [[3, 1], (0.75, 0.25), np.array([0.3, 0.1])])
def test_chances_of_torchvision_are_relative(p):
    arguments = migrate.from_torchvision(mixup_alpha=0.2, cutmix_alpha=1.0, p=p)
    assert arguments["weights"][0] == pytest.approx(3 * arguments["weights"][1])


def test_chances_of_torchvision_may_be_a_tensor():
    p = pytest.importorskip("torch").tensor([6, 2])
    weights = migrate.from_torchvision(mixup_alpha=0.2, cutmix_alpha=1.0, p=p)["weights"]
    assert weights[0] == pytest.approx(3 * weights[1])


@pytest.mark.parametrize("probs", [0.5, np.float32(0.5), [0.5], np.array([0.5])])
def test_one_chance_of_mmpretrain_may_be_a_number(probs):
    assert migrate.from_mmpretrain(MIXUP, probs)["prob"] == 0.5

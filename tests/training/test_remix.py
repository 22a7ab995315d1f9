"""Remix against its formula, case by case, and in a training step."""

import itertools
import re

import numpy as np
import pytest
import torch
from torch import nn

import dali_mix
from dali_mix import ManifoldTarget, MixLoss, MixTarget, MultiMixTarget, Remix

COUNTS = [1000, 333, 334, 3, 0]


def weight_by_hand(own, partner, lam, kappa, tau):
    """Chou et al. 2020, eq. 4, in whole numbers as far as they go."""
    if own >= kappa * partner and lam < tau:
        return 0.0
    if kappa * own <= partner and 1 - lam < tau:
        return 1.0
    return lam


@pytest.mark.parametrize(("kappa", "tau"), [(3, 0.5), (1, 0.5), (2.5, 0.25), (3, 1), (10, 0)])
def test_weights_are_those_of_the_paper(kappa, tau):
    pairs = [*itertools.product(range(5), repeat=2)]
    lams = np.float32([0, 0.1, 0.25, 0.4999, 0.5, 0.75, 0.9, 1])
    y1, y2, lam = (
        torch.tensor(part)
        for part in zip(*((i, j, lam.item()) for (i, j) in pairs for lam in lams), strict=True)
    )
    remixed = Remix(COUNTS, kappa=kappa, tau=tau)(MixTarget(y1, y2, lam))
    assert (
        type(remixed) is MixTarget and torch.equal(remixed.y1, y1) and torch.equal(remixed.y2, y2)
    )
    for i, j, before, after in zip(y1, y2, lam, remixed.lam, strict=True):
        expected = weight_by_hand(COUNTS[i], COUNTS[j], before.item(), kappa, tau)
        assert after.item() == np.float32(expected), (i, j, before)


def test_the_rarer_class_gets_the_label_by_hand():
    y1, y2 = torch.tensor([[0, 3, 0, 0], [3, 0, 3, 2]])
    target = MixTarget(y1, y2, torch.tensor([0.4, 0.6, 0.6, 0.4]))
    # Class 0 is frequent and 3 is rare. A frequent image keeps 0.6; and 1000 / 334 is below 3.
    expected = torch.tensor([0.0, 1.0, 0.6, 0.4])
    torch.testing.assert_close(Remix(COUNTS)(target).lam, expected)


def test_a_loss_of_remixed_labels_and_of_plain_ones():
    torch.manual_seed(0)
    logits, remix = torch.randn(3, 5, requires_grad=True), Remix(torch.tensor(COUNTS))
    loss, y = MixLoss(nn.CrossEntropyLoss()), torch.tensor([0, 1, 3])
    target = MixTarget(y, torch.tensor([3, 2, 0]), torch.tensor([0.2, 0.3, 0.9]))
    expected = MixTarget(*target[:2], torch.tensor([0.0, 0.3, 1.0]))
    torch.testing.assert_close(loss(logits, remix(target)), loss(logits, expected))
    assert remix(y) is y
    manifold = ManifoldTarget(*target, torch.tensor([2, 0, 1]))
    kept = remix(manifold)
    assert type(kept) is ManifoldTarget and torch.equal(kept.partner, manifold.partner)
    torch.testing.assert_close(kept.lam, expected.lam)
    assert torch.equal(target.lam, torch.tensor([0.2, 0.3, 0.9]))  # not written to


def test_it_compiles_and_moves():
    target = MixTarget(torch.tensor([0, 3]), torch.tensor([3, 0]), torch.tensor([0.2, 0.9]))
    compiled = torch.compile(Remix(COUNTS), fullgraph=True, backend="eager")
    assert torch.equal(compiled(target).lam, torch.tensor([0.0, 1.0]))
    away = Remix(COUNTS).to("meta")(target.to("meta"))
    assert away.lam.device.type == "meta"
    assert Remix(COUNTS).state_dict() == {}
    assert repr(Remix([4, 5])) == "Remix(2 classes, kappa=3.0, tau=0.5)"


REFUSED = [
    (lambda: Remix([]), r"counts must be the number of images of each class, got \[\]\."),
    (lambda: Remix([1, -1]), r"counts must be the number of images of each class, got \[1, -1\]\."),
    (lambda: Remix([1, 2], kappa=0.5), r"kappa must be at least 1, got 0\.5\."),
    (lambda: Remix([1, 2], tau=2), r"tau must lie in \[0, 1\], got 2\."),
    (
        lambda: Remix([1, 2])(MixTarget(torch.tensor([2]), torch.tensor([0]), 0.5)),
        r"class ids must lie in \[0, 1\], as counts has 2 classes, got from 0 to 2\.",
    ),
    (
        lambda: Remix([1, 2])(MixTarget(torch.zeros(2, 3), torch.zeros(2, 3), 0.5)),
        r"Remix needs class ids \(N,\), got labels \(2, 3\) torch\.float32; .*",
    ),
    (
        lambda: Remix([1, 2])(MultiMixTarget(torch.zeros(1, 2).long(), torch.tensor([0.5, 0.5]))),
        "target must be a MixTarget or a ManifoldTarget, of two labels, got a MultiMixTarget; .*",
    ),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_does_not_fit_is_refused_in_a_sentence(case):
    call, sentence = REFUSED[case]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert re.fullmatch(sentence, str(caught.value))


def test_a_loader_counts_the_images_of_each_class(tmp_path):
    import numbered

    numbered.write_noise(tmp_path, 7)
    with numbered.loader(tmp_path, classes=["0", "none", "1"]) as loader:
        assert loader.class_counts == [4, 0, 3]
        remix = Remix(loader.class_counts)
        for _, target in loader:
            assert remix(target).lam.shape == target.lam.shape
    with dali_mix.MixLoader(numbered.reading(tmp_path)) as loader:
        assert loader.class_counts is None

"""How often: the probability of mixing, and the choice among methods."""

import numpy as np
import pytest
from helpers import PerSample, build, chosen, draw, folded, ks_accepts, node_of, stacked
from scipy import stats

import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

BOTH = [MixUp(8.0), CutMix(1.0)]


@pytest.mark.parametrize("prob", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_rate_of_mixing_is_prob(prob):
    mixed = draw(10000, MixUp(8.0), prob=prob).lam < 1
    assert abs(mixed.mean() - prob) <= 3 * np.sqrt(prob * (1 - prob) / 10000)


@pytest.mark.parametrize("prob", [0.0, 0.3, 1.0])
def test_the_rate_of_mixing_per_batch_is_prob(prob):
    mixed = draw(4, MixUp(8.0), prob=prob, prob_per="batch", runs=4000).lam < 1
    assert (mixed == mixed[:, :1]).all()
    assert abs(mixed[:, 0].mean() - prob) <= 3 * np.sqrt(prob * (1 - prob) / 4000)


def test_prob_decides_on_both_of_a_pair():
    plan = draw(8, MixUp(8.0), per="pair", prob=0.3, runs=2000)
    mixed = plan.lam < 1
    assert (np.take_along_axis(mixed, plan.partner, 1) == mixed).all()
    assert abs(mixed.mean() - 0.3) < 3 * np.sqrt(0.21 / 8000)


def test_prob_may_be_a_tensor():
    prob = np.repeat(np.float32([0, 0.2, 1]), 5000)
    mixed = draw(15000, MixUp(8.0), prob=PerSample(prob)).lam[0] < 1
    assert not mixed[:5000].any() and mixed[10000:].all()
    assert abs(mixed[5000:10000].mean() - 0.2) < 3 * np.sqrt(0.16 / 5000)


def test_an_unmixed_sample_is_its_own_partner():
    plan = draw(1000, CutMix(1.0), prob=0.5)
    out = plan.lam[0] == 1
    assert 300 < out.sum() < 700
    assert (plan.partner[0][out] == np.flatnonzero(out)).all()
    assert (plan.blend[0][out] == 1).all() and not plan.box[0][out].any()


@pytest.mark.parametrize(
    ("weights", "share"), [(None, 0.5), ([1, 3], 0.75), ([0, 2], 1), ([5, 0], 0)]
)
def test_methods_are_chosen_by_weight(weights, share):
    plan = draw(10000, BOTH, weights=weights, lam=0.5)
    assert abs(chosen(plan).mean() - share) <= 3 * np.sqrt(share * (1 - share) / 10000)


def test_a_method_per_batch():
    which = chosen(draw(4, BOTH, weights=[1, 3], lam=0.5, choose_per="batch", runs=2000))
    assert (which == which[:, :1]).all()
    assert abs(which[:, 0].mean() - 0.75) < 3 * np.sqrt(0.1875 / 2000)


def test_weights_may_be_tensors():
    cut = np.repeat(np.float32([0, 1, 3]), 5000)

    def graph():
        weights = [1.0, node_of(PerSample(cut))]
        return dmix.plan(None, None, BOTH, weights=weights, lam=0.5, size=(32, 48))

    which = stacked(build(graph, batch_size=15000).run()[2]).any(-1).reshape(3, 5000).mean(1)
    np.testing.assert_allclose(which, [0, 0.5, 0.75], atol=3 * np.sqrt(0.25 / 5000))


def test_a_pair_takes_one_method():
    plan = draw(8, BOTH, per="pair", lam=0.5, runs=100)
    which = chosen(plan)
    assert (np.take_along_axis(which, plan.partner, 1) == which).all()
    assert 0.3 < which.mean() < 0.7


def test_each_method_has_its_own_alpha_and_fold():
    plan = draw(20000, [MixUp(0.2, fold=True), MixUp(8.0, fold=False)], weights=[1, 1])
    expected = stats.beta(8, 8).cdf
    assert ks_accepts(plan.lam, lambda x: 0.5 * folded(0.2)(x) + 0.5 * expected(x))

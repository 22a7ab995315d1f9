"""The laws of the draw: lam, partners, and what they depend on. Seeds are fixed, so every outcome
is certain; the thresholds are those of tests at about 1 in 1000."""

import itertools
from collections import Counter

import numpy as np
import pytest
from helpers import (
    PerSample,
    build,
    chi2_accepts,
    chosen,
    columns_of,
    draw,
    folded,
    ks_accepts,
    node_of,
    stacked,
)
from nvidia.dali import fn
from scipy import stats

import dali_mix
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

BOTH = [MixUp(8.0), CutMix(1.0)]
ALPHAS = [0.1, 0.2, 0.4, 1.0, 2.0, 8.0]


# lam


@pytest.mark.parametrize("alpha", ALPHAS)
def test_lam_of_mixup_is_beta(alpha):
    plan = draw(20000, MixUp(alpha, fold=False), partner="roll")
    assert ks_accepts(plan.lam, stats.beta(alpha, alpha).cdf)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_folded_lam_is_the_larger_share(alpha):
    plan = draw(20000, MixUp(alpha, fold=True), partner="roll")
    assert plan.lam.min() >= 0.5
    assert ks_accepts(plan.lam, folded(alpha))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_helper_rejects_neighbouring_laws(alpha):
    """What the two tests above would say of a parameter wrong by a fifth, and of a missing fold."""
    plan = draw(20000, MixUp(alpha, fold=False), partner="roll")
    assert not ks_accepts(plan.lam, stats.beta(1.2 * alpha, 1.2 * alpha).cdf)
    assert not ks_accepts(plan.lam, folded(alpha))


def test_a_bell_in_place_of_the_u_is_rejected():
    """The sampler that some loaders shipped: gammas of rate alpha in place of shape alpha."""
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2.0, 0.2, 20000), rng.gamma(2.0, 0.2, 20000)
    assert not ks_accepts((a / (a + b)).astype(np.float32), stats.beta(0.2, 0.2).cdf)


@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 1e4])
def test_extreme_alphas_give_ordinary_numbers(alpha):
    lam = draw(20000, MixUp(alpha, fold=False), partner="roll").lam
    assert np.isfinite(lam).all() and lam.min() >= 0 and lam.max() <= 1
    assert abs(lam.mean() - 0.5) < 0.02


@pytest.mark.parametrize("method", [MixUp(0), CutMix(0)])
def test_alpha_zero_is_off(method):
    plan = draw(64, method)
    assert (plan.lam == 1).all() and (plan.blend == 1).all() and not plan.box.any()
    assert (plan.partner[0] == np.arange(64)).all()


def test_blend_of_mixup_is_lam_and_it_has_no_box():
    plan = draw(1000, MixUp(0.4))
    assert plan.lam.dtype == plan.blend.dtype == np.float32
    assert (plan.blend == plan.lam).all() and not plan.box.any()


def test_alpha_may_be_a_tensor():
    alpha = np.repeat(np.float32([0.1, 8.0, 0.0]), 10000)

    def graph():
        return dmix.plan(
            None, None, MixUp(node_of(PerSample(alpha)), fold=False), size=(3, 4), partner="roll"
        )

    lam = stacked(build(graph, batch_size=30000).run()[3])
    assert ks_accepts(lam[:10000], stats.beta(0.1, 0.1).cdf)
    assert ks_accepts(lam[10000:20000], stats.beta(8, 8).cdf)
    assert (lam[20000:] == 1).all()


# partners


@pytest.mark.parametrize(("count", "derangements"), [(4, 9), (5, 44)])
def test_partners_are_uniform_derangements(count, derangements):
    partner = draw(count, runs=100 * derangements).partner
    seen = Counter(map(tuple, partner.tolist()))
    every = {
        p for p in itertools.permutations(range(count)) if all(i != j for i, j in enumerate(p))
    }
    assert len(every) == derangements and set(seen) == every
    assert chi2_accepts(list(seen.values()))


@pytest.mark.parametrize("count", [2, 3, 7, 8, 1000])
def test_no_image_is_its_own_partner(count):
    partner = draw(count, MixUp(8.0), runs=20).partner
    assert (np.sort(partner) == np.arange(count)).all()
    assert (partner != np.arange(count)).all()


def test_a_shuffle_is_a_uniform_permutation_and_its_fixed_points_are_unmixed():
    plan = draw(4, MixUp(8.0), partner="shuffle", runs=2400)
    seen = Counter(map(tuple, plan.partner.tolist()))
    assert len(seen) == 24 and chi2_accepts(list(seen.values()))
    fixed = plan.partner == np.arange(4)
    assert (plan.lam[fixed] == 1).all() and (plan.lam[~fixed] < 1).all()


def test_reverse_and_roll():
    assert draw(5, MixUp(8.0), partner="reverse").partner[0].tolist() == [4, 3, 2, 1, 0]
    assert draw(5, MixUp(8.0), partner="roll").partner[0].tolist() == [4, 0, 1, 2, 3]


def test_given_partners_are_kept():
    partner = [2, 2, 0, 3]
    plan = draw(4, MixUp(8.0), partner=PerSample(partner))
    assert plan.partner[0].tolist() == partner
    assert plan.lam[0, 3] == 1 and (plan.lam[0, :3] < 1).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16])
def test_given_partners_may_be_of_any_integer_type(dtype):
    def graph():
        given = node_of(PerSample([1, 2, 0]))
        named = {np.int64: "INT64", np.uint8: "UINT8", np.int16: "INT16"}[dtype]
        from nvidia.dali import types

        return dmix.plan(None, size=(3, 3), partner=fn.cast(given, dtype=getattr(types, named)))

    assert stacked(build(graph, batch_size=3).run()[0]).tolist() == [1, 2, 0]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
def test_pairs_share_everything_and_an_odd_one_is_unmixed(count, method):
    plan = draw(count, method, per="pair", runs=50)
    own = np.arange(count)
    for partner, blend, box, lam in zip(*plan[:4], strict=True):
        assert (partner[partner] == own).all()
        for column in (blend, box, lam):
            np.testing.assert_array_equal(column, column[partner])
        assert (lam[partner == own] == 1).all()
        if isinstance(method, MixUp):
            assert (partner == own).sum() == count % 2


def test_matchings_are_uniform():
    """Of 5 images: 15 matchings with one left over."""
    seen = Counter(map(tuple, draw(5, MixUp(8.0), per="pair", runs=1500).partner.tolist()))
    assert len(seen) == 15 and chi2_accepts(list(seen.values()))


def test_lam_of_pairs_is_beta():
    plan = draw(20000, MixUp(0.4, fold=False), per="pair")
    first = plan.partner[0] > np.arange(20000)
    assert ks_accepts(plan.lam[0][first], stats.beta(0.4, 0.4).cdf, upto=0.999)


def test_reversed_pairs_are_pairs():
    plan = draw(5, MixUp(1.0), per="pair", partner="reverse")
    assert plan.partner[0].tolist() == [4, 3, 2, 1, 0]
    np.testing.assert_array_equal(plan.lam, plan.lam[:, ::-1])


@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
def test_one_draw_per_batch(method):
    plan = draw(6, method, per="batch", runs=200)
    for column in (plan.blend, plan.box, plan.lam):
        assert (column == column[:, :1]).all()
    assert len(np.unique(plan.lam[:, 0])) > 100
    assert len({tuple(p) for p in plan.partner.tolist()}) > 100


def test_lam_per_batch_is_beta():
    plan = draw(2, MixUp(0.4, fold=False), per="batch", runs=4000)
    assert ks_accepts(plan.lam[:, 0], stats.beta(0.4, 0.4).cdf)


# given lam


def test_given_lam_is_the_weight_of_mixup():
    plan = draw(3, MixUp(1.0), lam=PerSample([0.25, 0.0, 1.0]))
    assert plan.lam[0].tolist() == plan.blend[0].tolist() == [0.25, 0.0, 1.0]
    assert plan.partner[0, 2] == 2


# one state, one plan


EVERYTHING = {"weights": [1, 2], "prob": 0.8}


@pytest.mark.parametrize(
    "other",
    [{"num_threads": n} for n in (1, 4)] + [{"prefetch_queue_depth": n} for n in (2, 3)] + [{}],
)
def test_the_plan_does_not_depend_on(other):
    first = draw(16, BOTH, runs=5, **EVERYTHING)
    again = draw(16, BOTH, runs=5, **EVERYTHING, **other)
    for column, same in zip(columns_of(first), columns_of(again), strict=True):
        assert column.tobytes() == same.tobytes()


def test_seeds_differ():
    plans = [draw(16, BOTH, seed=seed, **EVERYTHING) for seed in (1, 2)]
    assert not (plans[0].partner == plans[1].partner).all()
    assert not (plans[0].lam == plans[1].lam).all()


def test_batches_differ():
    lam = draw(16, MixUp(1.0), runs=50).lam
    assert len(np.unique(lam)) == lam.size


def test_the_seed_of_the_operator_decides():
    def lam(seed, pipeline_seed):
        graph = lambda: dmix.plan(None, size=(3, 4), seed=seed).lam  # noqa: E731
        return stacked(build(graph, batch_size=8, seed=pipeline_seed).run()[0])

    np.testing.assert_array_equal(lam(5, 1), lam(5, 2))
    assert not (lam(5, 1) == lam(6, 1)).any()


# streams


def test_giving_partners_changes_nothing_else():
    drawn = draw(8, CutMix(1.0), partner="roll")
    given = draw(8, CutMix(1.0), partner=PerSample([7, 0, 1, 2, 3, 4, 5, 6]))
    for column, same in zip(columns_of(drawn), columns_of(given), strict=True):
        np.testing.assert_array_equal(column, same)


def test_prob_changes_nothing_of_what_is_mixed():
    every, some = draw(1000, CutMix(1.0)), draw(1000, CutMix(1.0), prob=0.5)
    mixed = some.lam < 1
    for column, same in zip(columns_of(every), columns_of(some), strict=True):
        np.testing.assert_array_equal(column[mixed], same[mixed])


def test_a_second_method_does_not_change_the_first():
    alone, beside = draw(1000, MixUp(0.4)), draw(1000, [MixUp(0.4), CutMix(1.0)])
    mixup = chosen(beside) == 0
    mixup &= beside.lam < 1
    np.testing.assert_array_equal(alone.lam[mixup], beside.lam[mixup])


def test_the_draws_of_a_sample_are_uncorrelated():
    """Whether it is mixed, which method, lam, partner and place: no one tells of another."""
    gate = draw(20000, MixUp(8.0), prob=0.5).lam[0] < 1
    lam = draw(20000, MixUp(1.0, fold=False)).lam[0]
    method = chosen(draw(20000, BOTH, lam=0.5))[0]
    box = draw(20000, CutMix(1.0), lam=0.9).box[0]
    partner = draw(20000, MixUp(8.0)).partner[0]
    columns = [gate, lam, method, box[:, 0], box[:, 1], partner]
    correlation = np.corrcoef(np.array(columns, float)) - np.eye(len(columns))
    assert np.abs(correlation).max() < 3.5 / np.sqrt(20000)


def test_neighbouring_samples_and_batches_are_uncorrelated():
    lam = draw(64, MixUp(1.0, fold=False), runs=400).lam
    n = lam.size
    assert abs(np.corrcoef(lam[:, 1:].ravel(), lam[:, :-1].ravel())[0, 1]) < 3.5 / np.sqrt(n)
    assert abs(np.corrcoef(lam[1:].ravel(), lam[:-1].ravel())[0, 1]) < 3.5 / np.sqrt(n)


def test_arguments_are_not_changed():
    methods, weights = [MixUp(0.2), CutMix(1.0)], [1, 2]
    for _ in range(2):
        draw(4, methods, weights=weights)
    assert methods == [dali_mix.MixUp(0.2), dali_mix.CutMix(1.0)] and weights == [1, 2]

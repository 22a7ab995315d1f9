"""Of every method: lam is the share of pixels, seen in images that tell where each pixel is from,
and its sign is right. All methods side by side in one batch."""

from collections import Counter

import numpy as np
import pytest
from helpers import PerSample, build, chi2_accepts, draw, feed, fingerprints, node_of, stacked
from painted import NAMES, SIZES, every_method, labels_by_share, one_hot

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, FMix, GridMix, MixUp, MultiMix, PatchMix, ResizeMix, SmoothMix

COUNT = 13


def mixed_shares(method, size, runs=40, count=COUNT, **draw):
    """For each run the share of every image in the pixels of every sample, and by the plan."""

    def graph():
        images = feed([one_hot(count, size)], "HWC")
        given = {name: node_of(value) for name, value in draw.items()}
        x, plan = dmix.mix(images, None, method, **given)
        return x, plan.partner, plan.lam

    pipeline = build(graph, batch_size=count)
    for _ in range(runs):
        x, partner, lam = (stacked(output) for output in pipeline.run())
        assert lam.dtype == np.float32 and partner.dtype == np.int32
        yield x.astype(np.float64).mean((2, 3)), labels_by_share(partner, lam), x


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_lam_is_the_share_of_every_image_in_the_pixels(name, size):
    method = every_method(size)[name]
    mixed = 0
    for pixels, labels, _ in mixed_shares(method, size):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)
        mixed += (np.diag(labels) < 1).sum()
    assert mixed > 40 or size[0] == 1  # where a box has no height to lie in


@pytest.mark.parametrize("size", [(7, 9), (32, 48)], ids=str)
def test_all_methods_side_by_side_in_one_batch(size):
    """K differs from sample to sample; pixels and labels agree for each."""
    methods = [m for name, m in every_method(size).items() if name not in ("uniform", "boxes")]
    images = set()
    for pixels, labels, _ in mixed_shares(methods, size, runs=60):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)
        np.testing.assert_allclose(labels.sum(1), 1, atol=1e-6)
        images |= set((labels > 0).sum(1).tolist())
    assert images == {1, *(method.images for method in methods)}


def test_several_boxes_side_by_side_with_other_pairs():
    methods = [every_method((32, 48))[name] for name in ("uniform", "boxes", "smoothmix", "mixup")]
    for pixels, labels, _ in mixed_shares([*methods, ResizeMix()], (32, 48), runs=60):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)


@pytest.mark.parametrize(
    "given", [{"per": "batch"}, {"prob": 0.5}, {"partner": "shuffle"}], ids=str
)
def test_whatever_shares_a_draw(given):
    methods = [m for name, m in every_method((7, 9)).items() if name not in ("uniform", "boxes")]
    for pixels, labels, _ in mixed_shares(methods, (7, 9), runs=60, **given):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("multimix", "ricap")])
def test_pairs_share_lam(name):
    for pixels, labels, _ in mixed_shares(every_method((7, 9))[name], (7, 9), per="pair"):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)
        np.testing.assert_array_equal(labels, labels.T)
        assert np.diag(labels).max() == 1  # of 13 one is left over


@pytest.mark.parametrize(
    "method",
    [
        MixUp(1.0, fold=False),
        CutMix(),
        CutMix(boxes=4),
        PatchMix(patch=4),
        PatchMix(patch=4, shape="patches"),
        GridMix(),
        FMix(),
        ResizeMix(),
        MultiMix(images=2),
    ],
    ids=lambda m: m.text,
)
def test_a_share_near_one_is_nearly_all_own(method):
    """Given, not drawn: of every pair of methods, and the pixels follow."""
    for pixels, _, _ in mixed_shares(method, (32, 48), runs=5, lam=0.9):
        assert (np.diag(pixels) >= 0.87).all() and (np.diag(pixels) < 1).any()
    for pixels, _, _ in mixed_shares(method, (32, 48), runs=5, lam=0.1):
        assert np.diag(pixels).mean() < 0.6


def test_small_bells_leave_the_own_image():
    for pixels, _, _ in mixed_shares(SmoothMix((0.01, 0.02)), (32, 48), runs=5):
        assert np.diag(pixels).min() > 0.98


@pytest.mark.parametrize("name", NAMES)
def test_without_a_chance_every_sample_is_left_alone(name):
    for pixels, labels, _ in mixed_shares(every_method((7, 9))[name], (7, 9), runs=2, prob=0):
        np.testing.assert_array_equal(pixels, np.eye(COUNT))
        np.testing.assert_array_equal(labels, np.eye(COUNT))


def test_a_sample_that_is_its_own_partner_is_left_alone():
    methods = [m for m in every_method((7, 9)).values() if m.images == 2]
    partner = PerSample([0, 2, 1, *range(3, COUNT)])
    for pixels, labels, _ in mixed_shares(methods, (7, 9), runs=20, partner=partner):
        np.testing.assert_allclose(pixels, labels, rtol=0, atol=3e-7)
        np.testing.assert_array_equal(pixels[3:], np.eye(COUNT)[3:])


@pytest.mark.parametrize(
    "kind", [MixUp, CutMix, PatchMix, GridMix, FMix, MultiMix, RICAP], ids=lambda k: k.name
)
def test_alpha_zero_is_off(kind):
    plan = draw(50, kind(alpha=0))
    lam = plan.lam[0] if plan.lam.ndim == 2 else plan.lam[0, :, 0]
    assert (lam == 1).all()
    own = np.arange(50) if plan.partner.ndim == 2 else np.arange(50)[:, None]
    assert (plan.partner[0] == own).all() and not plan.box.any()


@pytest.mark.parametrize("name", NAMES)
def test_prob_is_the_rate_of_mixed_samples(name):
    """Measured against the same draw with prob 1, so that what an empty box leaves cancels out."""
    method = every_method((32, 48))[name]
    own = [
        (p.lam[0] if p.lam.ndim == 2 else p.lam[0, :, 0]) < 1
        for p in (draw(1500, method), draw(1500, method, prob=0.3))
    ]
    assert not (own[1] & ~own[0]).any()
    mixed = own[1].sum() / own[0].sum()
    assert abs(mixed - 0.3) < 4 * np.sqrt(0.21 / own[0].sum())


NINE = {
    "mixup": MixUp(2.0),
    "cutmix": CutMix(place="inside", minmax=(0.3, 0.6)),
    "resizemix": ResizeMix((0.3, 0.6)),
    "patchmix": PatchMix(patch=1, shape="box", place="inside"),
    "gridmix": GridMix(8.0),
    "fmix": FMix(8.0),
    "smoothmix": SmoothMix(),
    "multimix": MultiMix(images=3),
    "ricap": RICAP(8.0),
}


@pytest.mark.parametrize("choose_per", ["sample", "batch"])
def test_all_nine_are_chosen_by_their_weights(choose_per):
    """What was chosen is told by the columns of the plan. Two pairs of methods look alike in them,
    and are counted together."""
    weights = [3, 1, 2, 1, 1, 2, 1, 2, 3]
    count, runs = (4000, 1) if choose_per == "sample" else (2, 2000)
    plan = draw(
        count, list(NINE.values()), weights=weights, size=(12, 18), runs=runs, choose_per=choose_per
    )
    seen = Counter()
    for k in range(runs):
        for i in range(count if choose_per == "sample" else 1):
            seen[kind_of(plan, k, i)] += 1
    expected = dict(zip(NINE, weights, strict=True))
    expected["cutmix"] += expected.pop("patchmix")
    expected["mask"] = expected.pop("gridmix") + expected.pop("fmix")
    total = sum(seen.values())
    rates = [total * w / sum(weights) for w in expected.values()]
    assert chi2_accepts([seen[name] for name in expected], rates)


def kind_of(plan, k, i):
    """Of sample i of batch k."""
    weights, boxes = plan.blend[k, i], plan.box[k, i]
    mask = plan.mask[k][i]
    if mask.size:
        return "smoothmix" if ((mask > 0) & (mask < 255)).any() else "mask"
    if plan.fit[k, i].any():
        return "resizemix"
    if boxes[1:].any():
        return "ricap"
    if boxes[0].any():
        return "cutmix"
    return "multimix" if weights[2] > 0 else "mixup"


def test_one_operator_draws_and_one_applies_whatever_is_mixed():
    def graph():
        images = feed([fingerprints(4, 16, 16)], "HWC")
        return dmix.mix(images, None, list(NINE.values()))[0]

    text = build(graph, batch_size=4).serialize()
    assert text.count(b"dali_mix__Apply") == text.count(b"dali_mix__Plan") == 1

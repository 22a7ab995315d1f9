"""Moving from other libraries: beside each peer the same images and targets for the same draw, and
the same law of the draw."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import mixing_peers as peers  # noqa: E402
from helpers import PerSample, draw, node_of, random_images, run_on  # noqa: E402
from scipy import stats  # noqa: E402

import dali_mix.fn as dmix  # noqa: E402
from dali_mix import CutMix, MixTarget, migrate  # noqa: E402

# The peers warn when they are imported. They are no part of the test extra: torchvision's wheels
# are for CUDA, and cannot be imported beside the CPU PyTorch.
pytestmark = pytest.mark.filterwarnings("ignore")

COUNT, SIZE, CLASSES = 6, (31, 23), 11
BATCHES = 1000
MODES = ("batch", "pair", "elem")


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(3)
    torch.manual_seed(3)


def check_same_result(mixing, arguments, smoothing=0.0, batches=3):
    """Given what the peer drew, the images and the targets are the peer's."""
    rng = np.random.default_rng(0)
    for _ in range(batches):
        images = random_images(rng, [(*SIZE, 3)] * COUNT, np.float32)
        labels = rng.permutation(CLASSES)[:COUNT]
        theirs = mixing(np.stack(images).transpose(0, 3, 1, 2), labels)
        cuts = any(isinstance(method, CutMix) for method in arguments["methods"])
        given = {"box": PerSample(theirs.boxes)} if cuts else {"lam": PerSample(theirs.lam)}
        if theirs.partner is not None:
            given["partner"] = PerSample(theirs.partner)
        draw_of = {**arguments, **given, "prob": 1.0}

        def graph(x, y, draw_of=draw_of):
            return dmix.mix(x, y, **{name: node_of(value) for name, value in draw_of.items()})

        x, y1, y2, lam = (np.stack(part) for part in run_on(images, graph, labels))
        np.testing.assert_allclose(x, theirs.x, rtol=0, atol=5e-5)
        target = MixTarget(*(torch.from_numpy(part) for part in (y1, y2, lam)))
        dense = target.dense(CLASSES, smoothing=smoothing).numpy()
        np.testing.assert_allclose(dense, theirs.target, rtol=0, atol=1e-6)


def their_draws(mixing, size, batches=BATCHES):
    """(lam, cut) of `batches` batches, (batches, COUNT) each; lam as the target tells it."""
    images, labels = np.zeros((COUNT, 1, *size), np.float32), np.arange(COUNT)
    drawn = [mixing(images, labels) for _ in range(batches)]
    lam = np.stack([np.diagonal(one.target) for one in drawn])
    return lam, np.stack([one.boxes.any(1) for one in drawn])


def our_draws(arguments, size, batches=BATCHES):
    given = dict(arguments)
    plan = draw(COUNT, given.pop("methods"), runs=batches, size=size, **given)
    return plan.lam, plan.box.any(-1)


def check_same_law(theirs, ours, groups):
    """`groups`: the samples of a batch that share one draw; others are independent."""
    firsts = [group[0] for group in groups]
    for lam, cut in (theirs, ours):
        for group in groups:
            assert (lam[:, group] == lam[:, group[:1]]).all()
            assert (cut[:, group] == cut[:, group[:1]]).all()
        for a, b in itertools.pairwise(firsts):
            assert abs(stats.spearmanr(lam[:, a], lam[:, b]).statistic) < 0.15
    (their_lam, their_cut), (our_lam, our_cut) = (
        [part[:, firsts].ravel() for part in drawn] for drawn in (theirs, ours)
    )
    their_kind, our_kind = kinds(their_lam, their_cut), kinds(our_lam, our_cut)
    for kind in range(3):
        a, b = their_lam[their_kind == kind], our_lam[our_kind == kind]
        rate = (len(a) + len(b)) / (len(their_lam) + len(our_lam))
        slack = 4 * np.sqrt(2 * rate * (1 - rate) / len(our_lam))
        assert abs(len(a) / len(their_lam) - len(b) / len(our_lam)) <= slack
        if kind and len(b):
            assert stats.ks_2samp(a, b).pvalue > 1e-4


def kinds(lam, cut):
    """0 where unmixed, 1 where blended, 2 where cut."""
    return np.where(lam > 1 - 1e-6, 0, np.where(cut, 2, 1))


def groups_of(mode):
    if mode == "pair":
        return [[i, COUNT - 1 - i] for i in range(COUNT // 2)]
    return [list(range(COUNT))] if mode == "batch" else [[i] for i in range(COUNT)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "given",
    [
        {"mixup_alpha": 0.8, "prob": 0.6},
        {"mixup_alpha": 0.0, "cutmix_alpha": 1.0},
        {"mixup_alpha": 0.0, "cutmix_minmax": (0.2, 0.8)},
    ],
)
def test_timm_mixes_alike(monkeypatch, mode, given):
    mixing = peers.timm(monkeypatch, **given, mode=mode, num_classes=CLASSES, label_smoothing=0.1)
    arguments = migrate.from_timm(**given, mode=mode, num_classes=CLASSES, label_smoothing=0.1)
    check_same_result(mixing, arguments, smoothing=0.1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "prob": 0.7, "switch_prob": 0.3},
        {"mixup_alpha": 0.2, "cutmix_minmax": (0.2, 0.8)},
    ],
)
def test_timm_draws_by_the_same_law(monkeypatch, mode, given):
    mixing = peers.timm(monkeypatch, **given, mode=mode, num_classes=COUNT, label_smoothing=0.0)
    arguments = migrate.from_timm(**given, mode=mode)
    size = (97, 89)
    check_same_law(their_draws(mixing, size), our_draws(arguments, size), groups_of(mode))


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_torchvision_mixes_alike_and_draws_by_the_same_law(monkeypatch, name):
    arguments = migrate.from_torchvision(**{f"{name.lower()}_alpha": 0.7})
    check_same_result(peers.torchvision(monkeypatch, name, CLASSES, 0.7), arguments)
    theirs = their_draws(peers.torchvision(monkeypatch, name, COUNT, 0.7), (97, 89))
    check_same_law(theirs, our_draws(arguments, (97, 89)), groups_of("batch"))


def test_a_choice_of_torchvision_is_made_for_the_batch():
    arguments = migrate.from_torchvision(mixup_alpha=0.2, cutmix_alpha=1.0, p=[0.3, 0.7])
    lam, cut = our_draws(arguments, (97, 89))
    kind = kinds(lam, cut)
    assert (kind == kind[:, :1]).all()
    assert abs((kind[:, 0] == 1).mean() - 0.3) < 4 * np.sqrt(0.21 / BATCHES)


def test_a_batch_is_never_left_unmixed_by_a_method_that_is_off():
    arguments = migrate.from_torchvision(mixup_alpha=0.0, cutmix_alpha=1.0)
    lam, _ = our_draws(arguments, (97, 89), batches=60)
    assert (lam < 1).any(1).all()


@pytest.mark.parametrize(("name", "mode"), [("MixUp", "elem"), ("CutMix", "batch")])
def test_fastai_mixes_alike_and_draws_by_the_same_law(monkeypatch, name, mode):
    arguments = migrate.from_fastai(**{f"{name.lower()}_alpha": 0.4})
    check_same_result(peers.fastai(monkeypatch, name, CLASSES, 0.4), arguments)
    theirs = their_draws(peers.fastai(monkeypatch, name, COUNT, 0.4), (97, 89))
    check_same_law_of_shuffled(theirs, arguments, mode)


@pytest.mark.parametrize(
    "augment",
    [
        {"type": "Mixup", "alpha": 0.8},
        {"type": "CutMix", "alpha": 1.0},
        {"type": "CutMix", "alpha": 1.0, "cutmix_minmax": [0.2, 0.8]},
    ],
)
def test_mmpretrain_mixes_alike(monkeypatch, augment):
    arguments = migrate.from_mmpretrain(augment)
    check_same_result(peers.mmpretrain(monkeypatch, [augment], CLASSES), arguments)


def test_mmpretrain_draws_by_the_same_law(monkeypatch):
    augments = [{"type": "Mixup", "alpha": 0.8}, {"type": "CutMix", "alpha": 1.0}]
    theirs = their_draws(peers.mmpretrain(monkeypatch, augments, COUNT, [0.5, 0.3]), (97, 89))
    arguments = migrate.from_mmpretrain(augments, [0.5, 0.3])
    check_same_law_of_shuffled(theirs, arguments, "batch")


def check_same_law_of_shuffled(theirs, arguments, mode):
    """Where partners are shuffled, some images are their own, whatever lam: as lam 1 there, which
    the target tells, is no part of what is shared, the first sample stands for all."""
    ours = our_draws(arguments, (97, 89))
    sample = [[0]] if mode == "batch" else [[i] for i in range(COUNT)]
    check_same_law(theirs, ours, sample)
    if mode == "batch":
        for lam, _ in (theirs, ours):
            mixed = np.where(lam < 1 - 1e-6, lam, np.nan)
            spread = np.nanmax(mixed, 1, initial=0) - np.nanmin(mixed, 1, initial=1)
            assert (spread < 1e-6).all()


def test_deim_mixes_alike_and_draws_by_the_same_law():
    def mixing(images, labels):
        """As its collate function does: boxes of image i, then those of the one before it."""
        mixed = np.random.random() < 0.6
        beta = np.random.uniform(0.45, 0.55) if mixed else 1.0
        x = np.roll(images, 1, axis=0) * (1 - beta) + images * beta
        hot = np.eye(CLASSES)[labels]
        target = hot * beta + np.roll(hot, 1, axis=0) * (1 - beta)
        return peers.Mixed(x, target, np.full(COUNT, beta), np.zeros((COUNT, 4), int), None)

    arguments = migrate.from_deim(0.6)
    check_same_result(mixing, arguments)
    size = (97, 89)
    check_same_law(their_draws(mixing, size), our_draws(arguments, size), groups_of("batch"))

"""Accuracy on mixed batches against counts written out as loops."""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
from torch import nn

from dali_mix.training.manifold_target import ManifoldTarget
from dali_mix.training.metrics import DominantAccuracy, MixAccuracy
from dali_mix.training.mix_target import MixTarget

N, C = 9, 7
METRICS = [MixAccuracy, DominantAccuracy]


def batch(dims=(), n=N, seed=0):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, C, *dims, generator=g)
    y1, y2 = (torch.randint(C, (n, *dims), generator=g) for _ in range(2))
    lam = torch.rand(n, generator=g)
    lam[:2] = torch.tensor([0.0, 1.0])[:n]
    return logits, MixTarget(y1, y2, lam)


def counted(metric, logits, target, k, ignored=-100):
    """Weight hit over weight of all, sample by sample."""
    hit = total = 0.0
    for row, y1, y2, lam in zip(logits.tolist(), *(part.tolist() for part in target), strict=True):
        own = lam if metric is MixAccuracy else float(lam >= 0.5)
        best = sorted(range(C), key=lambda c: -row[c])[:k]
        for weight, y in ((own, y1), (1 - own, y2)):
            if y != ignored:
                hit += weight * (y in best)
                total += weight
    return hit / total


@pytest.mark.parametrize("k", [1, 3, C])
@pytest.mark.parametrize("metric", METRICS)
def test_it_is_the_count_written_out(metric, k):
    logits, target = batch()
    accuracy = metric(top_k=k)
    accuracy.update(logits, target)
    assert accuracy.compute().item() == pytest.approx(counted(metric, logits, target, k))


@pytest.mark.parametrize("metric", METRICS)
def test_ignored_labels_count_on_neither_side(metric):
    logits, target = batch()
    target.y1[2:4] = target.y2[3:6] = 255
    accuracy = metric(ignore_index=255)(logits, target)
    assert accuracy.item() == pytest.approx(counted(metric, logits, target, 1, ignored=255))


@pytest.mark.parametrize("metric", METRICS)
def test_at_lam_1_it_is_ordinary_accuracy(metric):
    logits, target = batch(n=64)
    expected = (logits.argmax(1) == target.y1).double().mean()
    assert metric()(logits, target._replace(lam=torch.ones(64))).item() == expected.item()


@pytest.mark.parametrize("metric", METRICS)
def test_plain_labels_give_ordinary_accuracy(metric):
    logits, target = batch(n=64)
    assert (
        metric()(logits, target.y1).item() == (logits.argmax(1) == target.y1).double().mean().item()
    )


@pytest.mark.parametrize("metric", METRICS)
def test_a_manifold_target_counts_as_its_mix_target(metric):
    logits, target = batch()
    with_partner = ManifoldTarget(*target, torch.arange(len(logits)))
    assert metric()(logits, with_partner) == metric()(logits, target)


def test_a_pair_of_one_class_counts_once():
    logits = torch.eye(C)
    y = torch.arange(C)
    assert MixAccuracy()(logits, y, y, torch.rand(C)).item() == pytest.approx(1)


def test_the_dominant_label_is_the_one_with_the_larger_weight():
    y1, y2 = torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])
    logits = torch.eye(C)[torch.tensor([0, 1, 0])]
    assert DominantAccuracy()(
        logits, y1, y2, torch.tensor([0.6, 0.4, 0.3])
    ).item() == pytest.approx(2 / 3)


def test_the_best_guess_scores_the_larger_weight():
    y1, y2, lam = torch.tensor([0, 1]), torch.tensor([2, 3]), torch.tensor([0.75, 0.25])
    assert MixAccuracy()(torch.eye(C)[torch.tensor([0, 3])], y1, y2, lam).item() == 0.75


@pytest.mark.parametrize("metric", METRICS)
def test_dense_labels_count_every_place(metric):
    logits, target = batch((2, 3))
    flat = MixTarget(target.y1.flatten(), target.y2.flatten(), target.lam.repeat_interleave(6))
    expected = counted(metric, logits.movedim(1, -1).reshape(-1, C), flat, 2)
    assert metric(top_k=2)(logits, target).item() == pytest.approx(expected)


def test_batches_add_up():
    logits, target = batch()
    accuracy = MixAccuracy()
    for part in (slice(0, 4), slice(4, N)):
        accuracy.update(logits[part], MixTarget(*(t[part] for t in target)))
    assert accuracy.compute().item() == pytest.approx(counted(MixAccuracy, logits, target, 1))


def test_a_call_returns_the_value_of_its_batch_alone():
    accuracy = MixAccuracy()
    accuracy(torch.eye(C), torch.arange(C))
    assert accuracy(torch.eye(C), torch.arange(C).roll(1)).item() == 0
    assert accuracy.compute().item() == 0.5


def test_reset_forgets():
    accuracy = MixAccuracy()
    accuracy.update(*batch())
    accuracy.reset()
    assert accuracy.compute().isnan()


def test_an_empty_batch_changes_nothing():
    accuracy = MixAccuracy()
    accuracy.update(*batch())
    before = accuracy.compute()
    accuracy.update(*batch(n=0))
    assert torch.equal(accuracy.compute(), before)


def test_lam_keeps_its_precision_beside_half_logits():
    logits, target = batch()
    logits = logits.bfloat16()
    assert MixAccuracy()(logits, target).item() == pytest.approx(
        counted(MixAccuracy, logits, target, 1)
    )


def test_it_adds_the_counts_of_all_ranks(tmp_path):
    accuracy = MixAccuracy()
    accuracy.update(*batch())
    alone = accuracy.compute()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert torch.equal(accuracy.compute(), alone)
    finally:
        dist.destroy_process_group()


class Counting(nn.Module):
    """A model with its metric in it, as a LightningModule has."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.accuracy = nn.Linear(C, C), MixAccuracy()

    def forward(self, x, target):
        logits = self.layer(x)
        self.accuracy.update(logits, target)
        return logits


def batches_of(rank):
    return [batch(n=N + rank, seed=seed) for seed in range(3 * rank, 3 * rank + 3)]


def count_on(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = Counting()
    parallel = nn.parallel.DistributedDataParallel(model)
    for x, target in batches_of(rank):
        parallel(x, target).sum().backward()
    torch.save(model.accuracy.compute(), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_inside_a_parallel_model_each_rank_keeps_its_counts(tmp_path):
    torch.multiprocessing.spawn(count_on, (tmp_path,), nprocs=2)
    alone = Counting()
    for rank in range(2):
        for x, target in batches_of(rank):
            alone(x, target)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt").item()
        assert found == pytest.approx(alone.accuracy.compute().item())


@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.bfloat16, nn.Module.float])
def test_the_counts_stay_exact_in_a_model_of_half_precision(cast):
    model = Counting()
    for _ in range(300):  # bfloat16 counts to 256
        model.accuracy.update(torch.eye(C), torch.arange(C))
    cast(model)
    model.accuracy.update(torch.eye(C), torch.arange(C).roll(1))
    assert model.accuracy.counts.tolist() == [300 * C, 301 * C]
    assert model.accuracy.counts.dtype == torch.float64


def test_the_counts_follow_the_model_to_its_device():
    model = Counting().to("meta", torch.float16)
    assert model.accuracy.counts.is_meta and model.accuracy.counts.dtype == torch.float64
    assert model.to_empty(device="cpu").accuracy.counts.tolist() == [0, 0]


def test_the_counts_are_copied_and_pickled_but_are_no_weights():
    accuracy = MixAccuracy()
    accuracy.update(*batch())
    for other in (copy.deepcopy(accuracy), pickle.loads(pickle.dumps(accuracy))):
        assert torch.equal(other.compute(), accuracy.compute())
        other.reset()
    assert not accuracy.compute().isnan()
    assert not accuracy.state_dict()


LOGITS, TARGET = batch()


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: MixAccuracy(0), ValueError, "top_k must be at least 1, got 0"),
        (
            lambda: MixAccuracy(8)(LOGITS, TARGET),
            ValueError,
            "top_k must be at most the number of classes, 7, got 8",
        ),
        (lambda: MixAccuracy()(LOGITS, TARGET.y1, TARGET.y2), TypeError, "needs both y2 and lam"),
        (
            lambda: MixAccuracy()(LOGITS, TARGET.y1.float()),
            ValueError,
            r"must be class ids .*\(9, 7\) and y1 \(9,\) torch.float32",
        ),
        (
            lambda: MixAccuracy()(LOGITS[1:], TARGET),
            ValueError,
            r"got logits \(8, 7\) and y1 \(9,\)",
        ),
        (
            lambda: MixAccuracy().to("meta")(LOGITS, TARGET),
            ValueError,
            r"one device, got cpu, cpu and meta",
        ),
        (lambda: MixAccuracy()(LOGITS, [1] * N), TypeError, "must be a tensor, got list"),
    ],
)
def test_what_does_not_fit_is_named(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()

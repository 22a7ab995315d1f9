"""MixLoader: how many batches an epoch has, what is in the last one, and what comes after."""

import numbered
import numpy as np
import pytest
import torch

import dali_mix
import dali_mix.fn as dmix
from dali_mix import MixLoader, MixUp
from dali_mix.loader.epochs import Share
from dali_mix.loader.tail import KeptPartners


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("ten"), 10)


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (7, 2), (9, 3), (5, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_every_file_comes_once_when_the_last_batch_is_partial(
    tmp_path, count, batch_size, shards, training
):
    root = numbered.write(tmp_path, count)

    def loader_of(rank):
        shard = dali_mix.Shard(rank, shards, rank)
        return numbered.loader(
            root, batch_size, training=training, last_batch="partial", shard=shard
        )

    sizes = np.diff([count * shard // shards for shard in range(shards + 1)])
    lengths = sorted({-(-size // batch_size) for size in sizes.tolist()})
    if training and len(lengths) > 1:
        for rank in range(shards):  # all of them
            with pytest.raises(ValueError, match=f"the shards have {lengths[0]} or {lengths[1]} "):
                loader_of(rank)
        return
    ranks = [loader_of(rank) for rank in range(shards)]
    for _ in range(3):
        lengths = [len(rank) for rank in ranks]
        epoch = [numbered.files(rank) for rank in ranks]
        assert [len(batches) for batches in epoch] == lengths
        assert sorted(file for rank in epoch for batch in rank for file in batch) == [*range(count)]


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_dropping_gives_every_rank_the_same_number_of_full_batches(ten, shards):
    for rank in range(shards):
        loader = numbered.loader(ten, 3, shard=dali_mix.Shard(rank, shards, 0))
        for _ in range(3):
            batches = numbered.files(loader)
            assert len(batches) == len(loader) == 10 // shards // 3
            seen = [file for batch in batches for file in batch]
            assert len(seen) == len(set(seen)) == 3 * len(batches)


def test_fill_gives_full_batches_that_end_in_copies(ten):
    loader = numbered.loader(ten, training=False, last_batch="fill")
    for _ in range(2):
        batches = numbered.files(loader)
        assert len(batches) == len(loader) == 3
        assert batches[-1] == [8, 9, 9, 9]


def test_shards_that_move_on_at_each_epoch(tmp_path):
    root = numbered.write(tmp_path, 5)
    moving = {"shard_id": 0, "num_shards": 2}
    loader = MixLoader(numbered.reading(root, 2, mix=False, reader=moving))
    epochs = [(len(loader), numbered.files(loader)) for _ in range(3)]
    assert epochs == [(1, [[0, 1]]), (2, [[2, 3], [4]]), (1, [[0, 1]])]


def test_each_epoch_is_shuffled_anew_and_two_loaders_agree(ten):
    one, other = numbered.loader(ten, seed=5), numbered.loader(ten, seed=5)
    epochs = [numbered.files(one) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    assert epochs == [numbered.files(other) for _ in range(3)]
    assert epochs[0] != numbered.files(numbered.loader(ten, seed=6))
    assert epochs[1] != numbered.files(numbered.loader(ten, seed=6))


def test_an_abandoned_epoch_is_read_to_its_end(ten):
    straight, broken = numbered.loader(ten), numbered.loader(ten)
    epochs = [list(straight) for _ in range(3)]
    numbered.assert_same([next(iter(broken))], epochs[0][:1])
    assert (broken.epoch, broken.batch) == (0, 1)
    numbered.assert_same(broken, epochs[1])
    iter(broken)  # takes nothing, and so changes nothing
    numbered.assert_same(broken, epochs[2])


def test_epoch_and_batch_are_those_of_the_next_batch(ten):
    loader = numbered.loader(ten)
    at = [(loader.epoch, loader.batch)]
    for _ in range(2):
        at += [(loader.epoch, loader.batch) for _ in loader]
    assert at == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert loader.batch_size == 4


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("mix", [True, False])
def test_a_source_that_stops_after_each_epoch_or_never(stops, mix):
    def source(k):
        if stops and k == 3:
            raise StopIteration
        count = 3 if stops and k == 2 else 4
        return np.zeros((count, 5, 6, 3), np.uint8), np.arange(4 * k, 4 * k + count, dtype=np.int32)

    def graph(x, y):
        return dmix.mixup(x, y) if mix else (x, y)

    loader = MixLoader(numbered.feeding(source, 2, graph=graph), size=11)
    kept = [[0, 1, 2, 3], [4, 5, 6, 7]] + ([] if mix else [[8, 9, 10]])
    first, second = numbered.files(loader), numbered.files(loader)
    assert first == kept and len(loader) == len(kept)
    assert second == (kept if stops else [[12 + y for y in batch] for batch in kept])


def test_a_source_may_make_a_smaller_last_batch_and_mix_it():
    def source(k):
        if k == 3:
            raise StopIteration
        count = 3 if k == 2 else 4
        return np.zeros((count, 5, 6, 3), np.uint8), np.arange(4 * k, 4 * k + count, dtype=np.int32)

    loader = MixLoader(numbered.feeding(source, 2, graph=dmix.mixup), size=11, last_batch="partial")
    *_, (x, target) = loader
    assert len(x) == 3 and target.y1.tolist() == [8, 9, 10]
    assert sorted(target.y2.tolist()) == [8, 9, 10] and not torch.any(target.y1 == target.y2)


@pytest.mark.parametrize("last_batch", ["partial", "fill"])
@pytest.mark.parametrize("count", [5, 6, 7])
@pytest.mark.parametrize("draw", [{}, {"partner": "shuffle"}, {"partner": "roll"}, {"per": "pair"}])
def test_samples_never_mix_with_copies(tmp_path, count, draw, last_batch):
    root = numbered.write(tmp_path, count)
    loader = numbered.loader(root, last_batch=last_batch, methods=MixUp(1.0), **draw)
    for _ in range(6):
        *_, (x, (y1, y2, lam)) = loader
        kept = count - 4
        assert sorted(y2[:kept].tolist()) == sorted(y1[:kept].tolist())
        if not draw and kept > 1:
            assert not torch.any(y1[:kept] == y2[:kept])
        if kept == 1:
            assert lam[0] == 1 and y1[0] == y2[0]
        assert torch.all(lam[kept:] == 1) and torch.all(y1[kept:] == y2[kept:])
        value = numbered.STEP * (lam * y1 + (1 - lam) * y2)
        torch.testing.assert_close(x[:, 0, 0, 0], value, rtol=0, atol=1e-3)


def test_partners_of_a_kept_tail_are_uniform_derangements():
    source = KeptPartners(seed=3, pattern="derange", share=Share(images=4, batch_size=4))
    drawn = [tuple(source(k)) for k in range(3600)]
    counts = {partner: drawn.count(partner) for partner in drawn}
    assert len(counts) == 9  # all derangements of four
    assert max(abs(count - 400) for count in counts.values()) < 100  # 5 standard deviations
    assert drawn[:5] == [tuple(source(k)) for k in range(5)]


@pytest.mark.parametrize("pattern", ["derange", "shuffle", "reverse", "roll"])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("images", [3, 4, 8])
def test_partners_of_several_images_are_different_in_a_kept_tail(pattern, count, images):
    """As the plan operator's: as many different ones as there are, each as likely as another."""
    share = Share(images=count, batch_size=count)
    source = KeptPartners(seed=3, pattern=pattern, images=images, share=share)
    own, runs = np.arange(count), 400
    drawn = np.stack([source(k) for k in range(runs)])
    assert drawn.shape == (runs, count, images - 1)
    shuffled = pattern == "shuffle"
    there = count if shuffled else count - 1
    for i in range(count):
        seen = [len(set(partners.tolist())) for partners in drawn[:, i]]
        assert set(seen) == {min(images - 1, there)}
        assert shuffled or (drawn[:, i] != i).all()
    first = {"reverse": own[::-1], "roll": np.roll(own, 1)}.get(pattern)
    for i in range(count):
        certain = first is not None and first[i] != i
        if certain:
            assert (drawn[:, i, 0] == first[i]).all()
        rest = {*own.tolist()} - (set() if shuffled else {i}) - ({first[i]} if certain else set())
        for k in range(1 if certain else 0, min(images - 1, there)):
            seen, times = np.unique(drawn[:, i, k], return_counts=True)
            assert set(seen.tolist()) == rest
            assert abs(times - runs / len(rest)).max() < 5 * (runs / len(rest)) ** 0.5


@pytest.mark.parametrize("last_batch", ["partial", "fill"])
def test_unmixed_training_keeps_the_tail(ten, last_batch):
    loader = numbered.loader(ten, last_batch=last_batch, methods=None)
    for x, target in loader:
        assert torch.all(target.lam == 1)
        torch.testing.assert_close(x[:, 0, 0, 0], numbered.STEP * target.y1.float())

"""Several ranks: shards that are disjoint and complete, and draws that differ, or agree on request.

Two real processes are in test_pipelines_loader.py.
"""

import itertools
import subprocess
import sys

import numbered
import pytest
import torch

import dali_mix
from dali_mix import MixUp, Shard, shard

WORLD = 8  # two nodes of four GPUs: local ranks, and so device ids, repeat


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("photos"), 32)


def as_rank(monkeypatch, rank, world=WORLD):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setenv("LOCAL_RANK", str(rank % 4))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")


def epochs_of_ranks(monkeypatch, root, epochs=2, **arguments):
    """For each rank its epochs, which are lists of batches."""
    ranks = []
    for rank in range(WORLD):
        as_rank(monkeypatch, rank)
        loader = numbered.loader(root, 2, methods=MixUp(1.0), **arguments)
        ranks.append([list(loader) for _ in range(epochs)])
    return ranks


def test_ranks_of_all_nodes_read_disjoint_and_complete_shards(monkeypatch, photos):
    ranks = epochs_of_ranks(monkeypatch, photos)
    for epoch in range(2):
        files = [file for rank in ranks for batch in numbered.files(rank[epoch]) for file in batch]
        assert sorted(files) == list(range(32))


def test_no_two_ranks_of_all_nodes_draw_the_same_weight(monkeypatch, photos):
    ranks = epochs_of_ranks(monkeypatch, photos)
    drawn = [lam for rank in ranks for epoch in rank for lam in numbered.lams(epoch)]
    assert len(set(drawn)) == len(drawn) == 64


def test_all_ranks_draw_alike_on_request(monkeypatch, photos):
    ranks = epochs_of_ranks(monkeypatch, photos, same_draws=True)
    drawn = [[numbered.lams(epoch) for epoch in rank] for rank in ranks]
    assert all(lams == drawn[0] for lams in drawn)
    files = [file for rank in ranks for batch in numbered.files(rank[0]) for file in batch]
    assert sorted(files) == list(range(32))  # still each its own shard


def test_the_seed_of_the_run_changes_the_draws_of_every_rank(monkeypatch, photos):
    one = epochs_of_ranks(monkeypatch, photos, epochs=1, seed=0)
    other = epochs_of_ranks(monkeypatch, photos, epochs=1, seed=1)
    drawn = [lam for ranks in (one, other) for rank in ranks for lam in numbered.lams(rank[0])]
    assert len(set(drawn)) == len(drawn) == 64


def test_seeds_differ_among_ranks_and_among_runs(monkeypatch):
    seeds = []
    for rank, seed in itertools.product(range(WORLD), (0, 1, 2, -1, 10**20)):
        as_rank(monkeypatch, rank)
        made = shard(seed)
        assert made == Shard(rank, WORLD, made.seed) and 0 <= made.seed < 2**62
        seeds.append(made.seed)
    assert len(set(seeds)) == len(seeds)
    alike = set()
    for rank in range(WORLD):
        as_rank(monkeypatch, rank)
        alike.add(shard(3, same_draws=True).seed)
    assert len(alike) == 1


def test_one_process_alone_has_all():
    assert shard()[:2] == (0, 1)
    assert shard(5) == shard(5) != shard(6)


def test_the_process_group_comes_before_the_environment(monkeypatch):
    as_rank(monkeypatch, 1)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 5)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 16)
    assert shard()[:2] == (5, 16)


@pytest.mark.parametrize(("rank", "world"), [("8", "8"), ("-1", "2"), ("a", "2"), ("0", "0")])
def test_an_impossible_rank_is_refused(monkeypatch, rank, world):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(
        ValueError, match=rf"RANK must lie in .*got RANK={rank} and WORLD_SIZE={world}"
    ):
        shard()


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE"])
def test_a_half_set_environment_is_refused(monkeypatch, photos, missing):
    as_rank(monkeypatch, 1)
    monkeypatch.delenv(missing)
    sentence = rf"RANK and WORLD_SIZE must be set together, got .*no {missing}.* with torchrun"
    for call in (shard, lambda: numbered.loader(photos, 2), lambda: shard(3, same_draws=True)):
        with pytest.raises(ValueError, match=sentence):
            call()
    assert len(numbered.loader(photos, 2, shard=Shard(0, 1, 0))) == 16  # which asks for neither


@pytest.mark.parametrize("missing", ["LOCAL_RANK", "LOCAL_WORLD_SIZE"])
def test_a_half_set_environment_of_the_node_is_refused(monkeypatch, photos, missing):
    as_rank(monkeypatch, 1)
    monkeypatch.delenv(missing)
    sentence = f"LOCAL_RANK and LOCAL_WORLD_SIZE must be set together, got .*no {missing}"
    with pytest.raises(ValueError, match=sentence):  # for the number of threads
        dali_mix.MixLoader.from_imagefolder(photos, batch_size=2, device="cpu")
    numbered.loader(photos, 2)  # with num_threads


@pytest.mark.parametrize(
    ("rank", "visible", "current", "expected"),
    [(None, 4, 0, 0), (3, 4, 0, 3), (3, 4, 2, 2), (3, 1, 0, 0), (0, 4, 0, 0), (None, 4, 2, 2)],
)
def test_the_gpu_is_the_one_of_this_rank(monkeypatch, rank, visible, current, expected):
    """Unless PyTorch's current one has been changed, or each rank sees one GPU alone."""
    from dali_mix.loader import folder as _folder

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
    if rank is not None:
        as_rank(monkeypatch, rank)
    assert _folder._device_id(None, None) == _folder._device_id("gpu", None) == expected
    assert _folder._device_id(None, 1) == 1 and _folder._device_id("cpu", None) is None


@pytest.mark.parametrize("seed", ["a", 0.5, None, True])
def test_a_seed_that_is_no_whole_number_is_named(photos, seed):
    for call in (
        lambda: dali_mix.shard(seed),
        lambda: dali_mix.MixLoader.from_imagefolder(photos, batch_size=2, seed=seed),
    ):
        with pytest.raises(ValueError, match=f"^seed must be a whole number, got {seed!r}\\.$"):
            call()


@pytest.mark.parametrize("name", ["batch_size", "num_threads", "prefetch_queue_depth"])
@pytest.mark.parametrize("value", ["2", 2.0, 0, True])
def test_a_count_that_is_none_is_named(photos, name, value):
    sentence = f"^{name} must be a whole number, at least 1, got {value!r}\\.$"
    with pytest.raises(ValueError, match=sentence):
        dali_mix.MixLoader.from_imagefolder(photos, **{"batch_size": 2, name: value})


def test_a_given_shard_needs_no_launcher(photos):
    loader = numbered.loader(photos, 4, training=False, shard=dali_mix.Shard(3, 4, 0))
    assert numbered.files(loader) == [[24, 25, 26, 27], [28, 29, 30, 31]]


def test_asking_for_the_shard_imports_neither_torch_nor_dali():
    code = (
        "import sys, dali_mix; print(dali_mix.shard()[:2]); "
        "print([name for name in ('torch', 'nvidia.dali') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(0, 1)", "[]"]


def test_the_threads_of_a_node_are_shared(monkeypatch):
    from dali_mix.loader import folder as _folder

    monkeypatch.setattr(_folder.os, "sched_getaffinity", lambda pid: set(range(16)))
    assert _folder._threads() == 16
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert _folder._threads() == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert _folder._threads() == 1

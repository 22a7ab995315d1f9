"""MixLoader.state_dict: a loader that loads it goes on bit for bit."""

import io
import shutil

import numbered
import numpy as np
import pytest
import torch
from numbered import cropping, noisy

import dali_mix.fn as dmix
from dali_mix import MixLoader


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 15)


def states_and_batches(loader, epochs):
    """All batches, and the states before each of them and after the last."""
    states, batches = [loader.state_dict()], []
    for _ in range(epochs):
        for batch in loader:
            batches.append(batch)
            states.append(loader.state_dict())
    return states, batches


def following(loader, count):
    """The next `count` batches, over as many epochs as it takes."""
    batches = []
    while len(batches) < count:
        batches += list(loader)
    return batches[:count]


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("last_batch", ["drop", "partial"])
def test_from_every_place_the_same_batches_follow(photos, last_batch, depth):
    options = {"last_batch": last_batch, "prefetch_queue_depth": depth}
    states, batches = states_and_batches(noisy(photos, **options), 2)
    for place in range(len(batches)):
        resumed = noisy(photos, **options)
        resumed.load_state_dict(numbered.through_json(states[place]))
        per_epoch = len(batches) // 2
        assert (resumed.epoch, resumed.batch) == divmod(place, per_epoch)
        first = list(resumed)
        assert len(first) == per_epoch - place % per_epoch  # the rest of its epoch
        rest = first + following(resumed, len(batches) - place)
        numbered.assert_same(rest[: len(batches) - place], batches[place:])


def test_a_state_of_a_resumed_loader_is_as_good(photos):
    states, batches = states_and_batches(noisy(photos), 3)
    resumed = noisy(photos)
    resumed.load_state_dict(states[2])
    next(iter(resumed))
    assert resumed.state_dict() == states[3]
    again = noisy(photos)
    again.load_state_dict(resumed.state_dict())
    numbered.assert_same(following(again, len(batches) - 3), batches[3:])


def test_an_epoch_abandoned_after_resuming_is_read_to_its_end(photos):
    states, batches = states_and_batches(noisy(photos), 2)
    resumed = noisy(photos)
    resumed.load_state_dict(states[1])
    next(iter(resumed))
    numbered.assert_same(resumed, batches[3:])


def test_a_look_at_a_batch_can_be_undone(photos):
    loader = noisy(photos)
    _, batches = states_and_batches(noisy(photos), 2)
    before = loader.state_dict()
    numbered.assert_same([next(iter(loader))], batches[:1])
    loader.load_state_dict(before)
    numbered.assert_same(following(loader, 6), batches)


def test_a_loader_that_has_failed_goes_on_after_repair(tmp_path):
    root = numbered.write_noise(tmp_path, 12)
    _, batches = states_and_batches(noisy(root, training=True), 1)
    bad = root / "0" / "004.jpg"
    content = bad.read_bytes()
    bad.write_bytes(b"no image")
    loader, got = noisy(root), []
    state = loader.state_dict()
    with pytest.raises(RuntimeError, match="cannot decode"):
        got.extend(loader)
    bad.write_bytes(content)
    loader.load_state_dict(state)
    numbered.assert_same(loader, batches)


def test_it_is_plain_data_that_torch_saves_and_loads_without_pickled_code(photos):
    loader = noisy(photos)
    next(iter(loader))
    state = loader.state_dict()
    assert numbered.through_json(state) == state
    file = io.BytesIO()
    torch.save({"loader": state}, file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["loader"] == state


def test_in_the_middle_of_the_loop_only_what_was_handed_out_counts(photos):
    loader = noisy(photos, prefetch_queue_depth=4)
    for batch, _ in enumerate(loader):
        assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (0, batch + 1)


def test_pipelines_of_ones_own(photos):
    states, batches = states_and_batches(MixLoader(cropping(photos)), 2)
    for place in (0, 2, 3, 4):
        resumed = MixLoader(cropping(photos))
        resumed.load_state_dict(states[place])
        numbered.assert_same(following(resumed, 6 - place), batches[place:])


def test_several_pipelines_that_change_shards(photos):
    def make(shard):
        return cropping(photos, seed=shard, batch_size=2, shard_id=shard, num_shards=2)

    states, batches = states_and_batches(MixLoader([make(0), make(1)]), 3)
    resumed = MixLoader([lambda: make(0), lambda: make(1)])
    for place in (4, 1):
        resumed.load_state_dict(numbered.through_json(states[place]))
        got = following(resumed, 9 - place)
        for i in range(2):
            numbered.assert_same([b[i] for b in got], [b[i] for b in batches[place:]])


@pytest.mark.parametrize("stops", [True, False])
def test_python_sources(stops):
    def source(k):
        if stops and k == 3:
            raise StopIteration
        pixels = np.random.default_rng(k).integers(0, 256, (4, 5, 6, 3), np.uint8)
        return pixels, np.arange(4, dtype=np.int32)

    def make():
        return numbered.feeding(source, 2, graph=dmix.mixup, enable_checkpointing=True)

    states, batches = states_and_batches(MixLoader(make(), size=12), 3)
    for place in (0, 2, 3, 5, 6):
        resumed = MixLoader(make(), size=12)
        resumed.load_state_dict(states[place])
        numbered.assert_same(following(resumed, 9 - place), batches[place:])


def test_a_pipeline_given_as_an_object_can_be_loaded_before_its_first_batch_only(photos):
    loader = MixLoader(cropping(photos))
    state = loader.state_dict()
    loader.load_state_dict(state)
    loader.load_state_dict(state)
    next(iter(loader))
    with pytest.raises(RuntimeError, match="must come before the first batch of a pipeline given"):
        loader.load_state_dict(state)


def test_without_checkpoints_both_ways_are_refused(photos):
    with_them = MixLoader(cropping(photos)).state_dict()
    without = MixLoader(cropping(photos, checkpoints=False))
    for use in (lambda: without.state_dict(), lambda: without.load_state_dict(with_them)):
        with pytest.raises(RuntimeError, match="needs pipelines made with enable_checkpointing=Tr"):
            use()


def test_threads_prefetching_and_the_place_of_the_files_may_differ(photos, tmp_path):
    states, batches = states_and_batches(noisy(photos), 2)
    moved = shutil.copytree(photos, tmp_path / "moved to here")
    for threads, depth in ((1, 1), (2, 4), (7, 3)):
        resumed = noisy(moved, num_threads=threads, prefetch_queue_depth=depth)
        resumed.load_state_dict(states[2])
        numbered.assert_same(following(resumed, 4), batches[2:])


@pytest.mark.gpu
def test_on_the_gpu_the_same_batches_follow(photos):
    states, batches = states_and_batches(noisy(photos, device="gpu"), 2)
    for place in (1, 3, 4):
        resumed = noisy(photos, device="gpu")
        resumed.load_state_dict(states[place])
        numbered.assert_same(following(resumed, 6 - place), batches[place:])

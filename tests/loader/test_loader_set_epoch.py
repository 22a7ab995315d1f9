"""Any epoch at once: set_epoch(), and epochs that are left early. The batches are those of a run
without breaks, to the bit, and those on the way are not computed where DALI allows that."""

import logging
import warnings

import numbered
import numpy as np
import pytest
from numbered import cropping, noisy
from nvidia.dali import Pipeline, fn, pipeline_def, types

import dali_mix.fn as dmix
from dali_mix import MixLoader

COUNT = 23


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), COUNT)


def flat(steps):
    """The batches of all pipelines of all steps."""
    steps = list(steps)
    return [b for step in steps for b in (step if isinstance(step, list) else [step])]


def own(root, **reader):
    """A pipeline of one's own, with every reader option, and random operators of several kinds."""

    def make():
        pipeline = Pipeline(4, num_threads=1, device_id=None, seed=3, enable_checkpointing=True)
        with pipeline:
            encoded, labels = fn.readers.file(file_root=str(root), pad_last_batch=True, **reader)
            images = fn.random_resized_crop(fn.decoders.image(encoded), size=16)
            mirror = fn.random.coin_flip()
            pipeline.set_outputs(*dmix.mixup(images, labels, mirror=mirror, prob=0.8))
        return pipeline

    return MixLoader(make)


def counting(calls):
    """Two readers of different lengths, and a source that takes an index."""

    def tap(y):
        calls.append(int(y[0]))
        return y

    def make():
        pipeline = Pipeline(4, num_threads=1, device_id=None, enable_checkpointing=True)
        with pipeline:
            more = {"pad_last_batch": True, "random_shuffle": True}
            _x, y = fn.readers.file(
                files=[__file__] * 41, labels=list(range(41)), name="main", **more
            )
            _, other = fn.readers.file(files=[__file__] * 7, labels=list(range(7)), **more)
            k = fn.external_source(source=lambda k: np.full(4, k, np.int32), batch=True)
            y = fn.python_function(y, function=tap)
            pipeline.set_outputs(k, y, other, fn.random.normal(y))
        return pipeline

    return MixLoader(make, mixed=False, reader_name="main", pure_python=True)


MAKERS = {
    "folder": noisy,
    "tail": lambda root: noisy(root, last_batch="partial"),
    "fill": lambda root: noisy(root, last_batch="fill", prefetch_queue_depth=1),
    "deep": lambda root: noisy(root, prefetch_queue_depth=5),
    "validation": lambda root: numbered.loader(root, training=False),
    "shuffled": lambda root: own(root, random_shuffle=True),
    "shuffled little": lambda root: own(root, random_shuffle=True, initial_fill=3),
    "after each epoch": lambda root: own(root, shuffle_after_epoch=True),
    "moving": lambda root: own(root, random_shuffle=True, shard_id=1, num_shards=3),
    "sticking": lambda root: own(
        root, random_shuffle=True, shard_id=1, num_shards=2, stick_to_shard=True
    ),
    "two": lambda root: MixLoader(
        [
            lambda i=i: cropping(root, seed=i, batch_size=2, shard_id=i, num_shards=2)
            for i in range(2)
        ]
    ),
    "unseeded": lambda root: counting([]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_epoch_is_the_same_whatever_came_before(photos, make):
    loader = make(photos)
    epochs = [flat(loader) for _ in range(6)]
    for path in ([3], [1, 4], [5, 0], [2, 2, 1], [0, 3]):
        for epoch in path:  # also back, and after an epoch that was left early
            loader.set_epoch(epoch)
            assert (loader.epoch, loader.batch) == (epoch, 0)
            first = next(iter(loader))
            numbered.assert_same(flat([first]), epochs[epoch][: len(flat([first]))])
        numbered.assert_same(flat(loader), epochs[epoch + 1] if epoch < 5 else flat(loader))
        loader.set_epoch(epoch)
        numbered.assert_same(flat(loader), epochs[epoch])


def test_what_lies_on_the_way_is_not_computed():
    calls = []
    loader = counting(calls)
    epochs = [flat(loader) for _ in range(4)]
    del calls[:]
    for go in (lambda: loader.set_epoch(1), lambda: loader.set_epoch(3), lambda: None):
        go()
        next(iter(loader))
    loader.set_epoch(2)
    numbered.assert_same([next(iter(loader))], epochs[2][:1])
    assert len(calls) <= 4 * (1 + 2) * 4  # batches handed out and in advance, four samples each
    assert len(loader) == 11


def test_a_state_after_set_epoch_is_of_its_start(photos):
    loader = noisy(photos)
    epochs = [list(loader) for _ in range(4)]
    resumed = noisy(photos)
    next(iter(resumed))
    resumed.set_epoch(2)
    state = resumed.state_dict()
    assert (state["epoch"], state["batch"]) == (2, 0)
    numbered.assert_same(list(resumed), epochs[2])
    again = noisy(photos)
    again.load_state_dict(state)
    numbered.assert_same(list(again), epochs[2])
    again.load_state_dict(state)
    again.set_epoch(3)
    numbered.assert_same(list(again), epochs[3])


def test_a_loaded_place_is_kept_by_its_own_epoch_alone(photos):
    loader = noisy(photos)
    epochs = [list(loader) for _ in range(3)]
    loader.set_epoch(1)
    steps = iter(loader)
    for _ in range(2):
        next(steps)
    state = loader.state_dict()
    for epoch, expected in ((1, epochs[1][2:]), (2, epochs[2]), (0, epochs[0])):
        loader.load_state_dict(state)
        loader.set_epoch(np.int64(epoch))
        numbered.assert_same(list(loader), expected)


def test_an_iteration_that_runs_is_overtaken_and_one_that_has_not_begun_is_not(photos):
    loader = noisy(photos)
    epochs = [list(loader) for _ in range(3)]
    steps = iter(loader)  # as frameworks do, before they say which epoch it is
    loader.set_epoch(1)
    numbered.assert_same(list(steps), epochs[1])
    steps = iter(loader)
    next(steps)
    loader.set_epoch(1)
    with pytest.raises(RuntimeError, match=r"overtaken by a newer iter.., set_epoch.. or load_sta"):
        next(steps)
    numbered.assert_same(list(loader), epochs[1])


@pytest.mark.parametrize("epoch", [-1, 1.0, "1", None, True])
def test_an_epoch_that_is_none_is_refused(photos, epoch):
    with pytest.raises(
        ValueError, match=f"epoch must be a whole number, at least 0, got {epoch}|'1"
    ):
        noisy(photos).set_epoch(epoch)


# where the place cannot be computed


@pipeline_def(
    batch_size=4, num_threads=1, device_id=None, seed=1, enable_conditionals=True,
    enable_checkpointing=True,
)  # fmt: skip
def branching(root):
    encoded, labels = fn.readers.file(file_root=str(root), pad_last_batch=True)
    images = fn.random_resized_crop(fn.decoders.image(encoded), size=16)
    if fn.random.coin_flip(dtype=types.BOOL):
        images = fn.noise.gaussian(images, stddev=30.0)
    return images, labels


@pipeline_def(
    batch_size=4, num_threads=1, device_id=None, seed=1, enable_conditionals=True,
    enable_checkpointing=True,
)  # fmt: skip
def branching_alike(root):
    """What is random is drawn outside of the branches, as DALI's RandAugment does."""
    encoded, labels = fn.readers.file(file_root=str(root), pad_last_batch=True)
    images = fn.random_resized_crop(fn.decoders.image(encoded), size=16)
    angle = fn.random.uniform(range=[-30, 30])
    if fn.random.coin_flip(dtype=types.BOOL):
        images = fn.rotate(images, angle=angle, keep_size=True)
    return images, labels


def before(images, labels):
    return dmix.mixup(images, labels, partner="previous")


def source(k):
    return np.full((4, 2, 2, 3), k % 5, np.uint8), np.int32([4 * k + i for i in range(4)])


FIXED = {
    "in a branch": (
        lambda root: MixLoader(lambda: branching(root)),
        "the state of fn.noise.gaussian depends on the batches before",
    ),
    "the batch before": (
        lambda root: MixLoader(lambda: cropping(root, graph=before)),
        "the state of fn.dali_mix.previous depends on the batches before",
    ),
    "no checkpoints": (
        lambda root: MixLoader(lambda: cropping(root, checkpoints=False)),
        "the pipeline was made without enable_checkpointing=True",
    ),
    "object": (
        lambda root: MixLoader(cropping(root)),
        "a pipeline that was given as an object stays where it is after its first batch; give",
    ),
    "source": (
        lambda root: MixLoader(
            lambda: numbered.feeding(source, 2, enable_checkpointing=True), size=20
        ),
        "it has no reader",
    ),
}


@pytest.mark.parametrize(("make", "why"), FIXED.values(), ids=FIXED)
def test_where_it_cannot_be_computed_batches_are_read_and_back_is_refused(
    photos, make, why, caplog
):
    loader = make(photos)
    epochs = [list(loader) for _ in range(5)]
    loader = make(photos)
    next(iter(loader))
    numbered.assert_same([next(iter(loader))], epochs[1][:1])
    with caplog.at_level(logging.WARNING, "dali_mix"):
        loader.set_epoch(3)
        numbered.assert_same(list(loader), epochs[3])
    assert f"thrown away on the way to epoch 3, as {why}" in caplog.text
    with pytest.raises(
        RuntimeError, match=f"goes back from epoch 4, and this loader cannot: {why}"
    ):
        loader.set_epoch(3)
    numbered.assert_same(list(loader), epochs[4])  # as if nothing had been asked


def test_branches_that_draw_nothing_can_be_computed(photos):
    loader = MixLoader(lambda: branching_alike(photos))
    assert loader._running.fixed() is None
    epochs = [list(loader) for _ in range(3)]
    loader.set_epoch(1)
    numbered.assert_same(list(loader), epochs[1])


# frameworks


def test_a_framework_tells_the_sampler_and_is_never_followed_back(photos):
    loader = noisy(photos)
    epochs = [list(loader) for _ in range(5)]
    told = noisy(photos)
    told.batch_sampler.sampler.set_epoch(0)
    next(iter(told))
    told.batch_sampler.sampler.set_epoch(0)  # again, after a sanity check
    numbered.assert_same(list(told), epochs[1])
    told.batch_sampler.sampler.set_epoch(4)
    numbered.assert_same(list(told), epochs[4])


@pytest.mark.parametrize("name", ["no checkpoints", "in a branch"])
def test_a_framework_never_makes_it_read_batches_in_vain(photos, name):
    make, why = FIXED[name]
    epochs = [list(loader) for loader in [make(photos)] * 3]
    loader = make(photos)
    loader.batch_sampler.sampler.set_epoch(0)
    with pytest.warns(UserWarning, match=f"goes on with the batches of its epoch 0, .*: {why}"):
        loader.batch_sampler.sampler.set_epoch(5)
    numbered.assert_same(list(loader), epochs[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader.batch_sampler.sampler.set_epoch(1)
    numbered.assert_same(list(loader), epochs[1])

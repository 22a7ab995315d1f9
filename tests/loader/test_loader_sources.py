"""What a pipeline's outputs are taken for, sources that keep less than they promise, and what a
loader says of itself."""

import numbered
import numpy as np
import pytest
import torch
from nvidia.dali import fn, types

import dali_mix
import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixTarget, MixUp, MultiMixTarget

LABEL = np.arange(8, dtype=np.int32)


def images(k):
    return np.full((4, 6, 5, 3), k % 7, np.uint8), LABEL[:4] + k


def loader_of(graph, size=8, source=images, outputs=2, **options):
    return MixLoader(numbered.feeding(source, outputs, graph=graph), size=size, **options)


# recognised


def by_hand(x, y):
    plan = dmix.plan(x, y, MixUp(1.0))
    return dmix.apply(x, plan), y, dmix.pair_labels(y, plan)[1], plan.lam


def computed_with(x, y):
    x, y1, y2, lam = dmix.mixup(x, y)
    return x / 255.0, y1, y2, fn.cast(lam * 1.0, dtype=types.FLOAT)


def masked(x, y):
    mask = fn.random.uniform(range=[0, 255], shape=[6, 5], dtype=types.UINT8)
    plan = dmix.plan(x, y, mask=mask)
    return dmix.apply(x, plan), y, dmix.pair_labels(y, plan)[1], plan.lam


def several(x, y):
    return dmix.mix(x, y, dali_mix.RICAP(1.0))


MIXED = {
    "mixup": (dmix.mixup, MixTarget),
    "cutmix": (dmix.cutmix, MixTarget),
    "mix": (lambda x, y: dmix.mix(x, y, [MixUp(), CutMix()]), MixTarget),
    "by hand": (by_hand, MixTarget),
    "computed with": (computed_with, MixTarget),
    "masked": (masked, MixTarget),
    "several images": (several, MultiMixTarget),
}


@pytest.mark.parametrize(("graph", "target"), MIXED.values(), ids=MIXED)
def test_outputs_of_mixing_functions_are_recognised(graph, target):
    assert isinstance(next(iter(loader_of(graph)))[1], target)


def boxes(x, y):
    return x, y, y * 2, fn.cast(y, dtype=types.FLOAT)


def weighted(x, y):
    return x, fn.stack(y, y), fn.stack(y, y) * 0.5


def mixed_pixels_last(x, y):
    return y, y, dmix.mixup(x, y)[0]


def labels_last(x, y):
    x, y1, y2, lam = dmix.mixup(x, y)
    return x, lam, y1, y2


UNMIXED = {
    "four": (boxes, 3),
    "three": (weighted, 2),
    "pixels last": (mixed_pixels_last, 2),
    "labels last": (labels_last, 3),
}


@pytest.mark.parametrize(("graph", "labels"), UNMIXED.values(), ids=UNMIXED)
def test_other_outputs_are_not_taken_for_a_mixed_batch(graph, labels):
    with pytest.raises(
        ValueError, match=f"puts out {labels + 1} values, and the last one comes fr"
    ):
        loader_of(graph)
    _, target = next(iter(loader_of(graph, mixed=False)))
    assert isinstance(target, tuple) and len(target) == labels
    assert not isinstance(target, (MixTarget, MultiMixTarget))


def test_told_so_they_are():
    def mixed_elsewhere(x, y):
        return x, y, y, fn.random.uniform(range=[0, 1])

    assert isinstance(next(iter(loader_of(mixed_elsewhere, mixed=True)))[1], MixTarget)


def soft(x, y):
    """Two outputs, and yet mixed images."""
    x, y1, y2, lam = dmix.mixup(x, fn.one_hot(y, num_classes=20))
    return x, y1 * lam + y2 * (1 - lam)


def test_mixed_images_with_soft_labels_drop_their_tail_too(tmp_path):
    root = numbered.write(tmp_path, 10)
    make = lambda: numbered.cropping(root, graph=soft)  # noqa: E731
    assert [len(x) for x, _ in MixLoader(make)] == [4, 4]
    with pytest.raises(ValueError, match="must be dropped when mixing, got last_batch='partial'"):
        MixLoader(make, last_batch="partial")
    assert len(MixLoader(make, last_batch="partial", mixed=False)) == 3  # as the user says


# sources


def short(sizes):
    """A source of one epoch of batches of these sizes, over and over."""

    def source(k):
        if k == len(sizes):
            raise StopIteration
        return np.zeros((sizes[k], 6, 5, 3), np.uint8), LABEL[: sizes[k]]

    return source


@pytest.mark.parametrize("mix", [True, False])
@pytest.mark.parametrize(
    ("sizes", "number", "due", "got"),
    [([2, 2, 2, 2], 0, 4, 2), ([4, 3, 1], 1, 4, 3), ([4, 2], 1, 4, 2), ([4, 4, 1], 2, 2, 1)],
)
def test_a_short_batch_that_is_not_the_last_is_an_error(sizes, number, due, got, mix):
    size = 10 if len(sizes) == 3 and sizes[1] == 4 else 8
    loader = loader_of(
        dmix.mixup if mix else lambda x, y: (x, y), size, short(sizes), last_batch="partial"
    )
    seen = []
    sentence = (
        f"batch {number} of an epoch must have {due} samples, as size={size} and batch_size=4 "
    )
    with pytest.raises(ValueError, match=f"{sentence}promise, got {got}; let the source give full"):
        seen += [len(x) for x, _ in loader]
    assert seen == []
    with pytest.raises(RuntimeError, match="has failed and cannot go on: batch"):
        iter(loader)


def test_a_last_batch_that_is_as_short_as_promised_is_none():
    loader = loader_of(lambda x, y: (x, y), 10, short([4, 4, 2]))
    for _ in range(2):
        assert [len(x) for x, _ in loader] == [4, 4, 2]


def generator():
    for _ in range(2):
        yield np.zeros((4, 6, 5, 3), np.uint8), LABEL[:4]


class Once:
    """Begins once, as an iterator does."""

    def __init__(self):
        self.batches = generator()

    def __iter__(self):
        return self.batches


class Counted:
    """A callable without an index, which has an end."""

    def __init__(self):
        self.batches = generator()

    def __call__(self):
        return next(self.batches)


@pytest.mark.parametrize(
    "source",
    [generator, Once(), Counted(), [*generator()]],
    ids=["generator", "iterator", "callable", "list"],
)
def test_a_source_that_does_not_begin_again_is_told_so(source):
    loader = loader_of(lambda x, y: (x, y), source=source)
    assert len(list(loader)) == 2
    with pytest.raises(RuntimeError, match="the source did not begin again after epoch 0: give fn"):
        list(loader)


@pytest.mark.parametrize("source", [generator, [*generator()]], ids=["generator", "list"])
def test_one_that_does_is_read_for_ever(source):
    pipeline = numbered.Pipeline(4, num_threads=1, device_id=None)
    with pipeline:
        pipeline.set_outputs(*fn.external_source(source=source, num_outputs=2, cycle="raise"))
    loader = MixLoader(pipeline, size=8)
    assert [len(list(loader)) for _ in range(3)] == [2, 2, 2]


# shares


@pytest.mark.parametrize("count", [9, 10, 11, 12])
def test_a_pipeline_without_samples_left_is_left_out_of_the_step(tmp_path, count):
    root = numbered.write(tmp_path, count)
    shards = [
        numbered.reading(
            root, 3, mix=False, reader={"shard_id": i, "num_shards": 3, "stick_to_shard": True}
        )
        for i in range(3)
    ]
    loader = MixLoader(shards, last_batch="partial")
    for _ in range(2):
        steps = list(loader)
        assert all(len(x) == len(y) > 0 for step in steps for x, y in step)
        files = sorted(int(k) for step in steps for _, y in step for k in y)
        assert files == list(range(count)) and len(steps) == len(loader)


# what it says


def test_its_repr_says_what_it_reads_and_where_it_stands(tmp_path):
    root = numbered.write(tmp_path, 10)
    loader = numbered.loader(root, shard=dali_mix.Shard(1, 2, 0))
    assert repr(loader) == (
        f"<MixLoader of the reader 'Reader' of {root}: 10 samples, shard 1 of 2, batch_size=4, "
        "last_batch='drop', 1 batches an epoch, next is batch 0 of epoch 0>"
    )
    next(iter(loader))
    loader.set_epoch(3)
    assert "next is batch 0 of epoch 3>" in repr(loader)
    loader.close()
    assert "<MixLoader of no pipelines: it is closed" in repr(loader)
    fed = loader_of(lambda x, y: (x, y))
    assert repr(fed).startswith("<MixLoader of a Python source: 8 samples, shard 0 of 1, batch_si")
    assert torch.is_tensor(next(iter(fed))[0])

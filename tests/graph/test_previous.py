"""Partners from the batch before: pixels, labels, smaller and larger batches, and checkpoints."""

import ctypes

import numbered
import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import arrays, build, feed, fingerprints, stacked
from nvidia.dali import Pipeline, fn
from painted import every_method

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixLoader, MixUp, MultiMix, ResizeMix

H, W = 7, 9
VARIANTS = {
    "mixup": MixUp(1.0),
    "cutmix": CutMix(place="inside", minmax=(0.3, 0.8)),
    "resizemix": ResizeMix((0.3, 0.8)),
    "mixed": [m for n, m in every_method((7, 9)).items() if n not in ("uniform", "boxes")],
}


def batches(sizes):
    """Batch t holds images with 1 at channel `begin of t` + i; labels say the channel."""
    total, begin, images, labels = sum(sizes), 0, [], []
    for size in sizes:
        ids = np.arange(begin, begin + size)
        images.append([np.tile(np.eye(total, dtype=np.uint8)[k], (H, W, 1)) for k in ids])
        labels.append([np.int64(k) for k in ids])
        begin += size
    return images, labels


def mixed(sizes, method, **options):
    images, labels = batches(sizes)

    def graph():
        x, y = feed(images, "HWC"), feed(labels)
        return dmix.mix(x, y, method, partner="previous")

    return build(graph, batch_size=max(sizes), **options)


def expected_ids(sizes, t):
    """Of the batch before, from the first again where it is smaller; of the first batch, itself."""
    begins = np.cumsum([0, *sizes])
    before = max(t - 1, 0)
    return begins[before] + np.arange(sizes[t]) % sizes[before]


@pytest.mark.parametrize("name", ["mixup", "cutmix", "resizemix"])
@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 4, 1, 5), (1, 1, 1), (2, 5, 5)], ids=str)
def test_pixels_and_labels_are_those_of_the_batch_before(name, sizes):
    pipeline = mixed(sizes, VARIANTS[name])
    for t, size in enumerate(sizes):
        x, y1, y2, lam = map(stacked, pipeline.run())
        own = sum(sizes[:t]) + np.arange(size)
        assert y1.tolist() == own.tolist()
        assert y2.tolist() == expected_ids(sizes, t).tolist()
        shares = x.mean((2, 3))
        truth = np.zeros_like(shares)
        np.add.at(truth, (np.arange(size), y1), lam)
        np.add.at(truth, (np.arange(size), y2), 1 - lam)
        np.testing.assert_allclose(shares, truth, atol=3e-7)
        assert (lam < 1).all()


def test_more_images_than_two_come_from_the_batch_before():
    sizes = (6, 6, 6)
    pipeline = mixed(sizes, [MultiMix(images=3), RICAP(2.0)])
    for t in range(3):
        x, ys, weights = map(stacked, pipeline.run())
        assert (ys[:, 0] == 6 * t + np.arange(6)).all()
        assert (ys[:, 1:] // 6 == max(t - 1, 0)).all()
        truth = np.zeros((6, 18))
        for i in range(6):
            np.add.at(truth[i], ys[i], weights[i])
        np.testing.assert_allclose(x.mean((2, 3)), truth, atol=3e-7)


def test_a_tuple_of_labels_goes_along():
    images, labels = batches((4, 4))
    halves = [[np.float32(k / 2) for k in batch] for batch in labels]

    def graph():
        y = (feed(labels), feed(halves))
        return dmix.mixup(feed(images, "HWC"), y, partner="previous")

    pipeline = build(graph, batch_size=4)
    pipeline.run()
    _, y1, z1, y2, z2, _ = map(stacked, pipeline.run())
    assert y1.tolist() == [4, 5, 6, 7] and y2.tolist() == [0, 1, 2, 3]
    assert z1.tolist() == [2, 2.5, 3, 3.5] and z2.tolist() == [0, 0.5, 1, 1.5]


def test_without_labels_the_plan_points_behind_the_batch():
    def graph():
        x, plan = dmix.mixup(feed([fingerprints(3, 4, 5)], "HWC"), partner="previous")
        return x, plan.partner

    assert stacked(build(graph, batch_size=3).run()[1]).tolist() == [3, 4, 5]


def content(outputs):
    return [sample.tobytes() for output in outputs for sample in arrays(output)]


@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_restored_pipeline_goes_on_as_the_first_one(name, depth, done):
    """The batch before is in the checkpoint, whatever was prefetched after it."""
    sizes = (4, 2, 3, 1, 4, 4, 3)
    options = {"prefetch_queue_depth": depth, "enable_checkpointing": True}
    pipeline = mixed(sizes, VARIANTS[name], **options)
    for _ in range(done):
        pipeline.run()
    checkpoint = pipeline.checkpoint()
    after = [content(pipeline.run()) for _ in range(4)]
    restored = mixed(sizes, VARIANTS[name], **options, checkpoint=checkpoint)
    assert [content(restored.run()) for _ in range(4)] == after
    if done:
        fresh = mixed(sizes, VARIANTS[name], **options)
        assert content(fresh.run()) != after[0]


ALLOCATIONS = getattr(ctypes.CDLL(None), "fake_gpu_allocations", None)


@pytest.mark.gpu
@pytest.mark.skipif(ALLOCATIONS is None, reason="of GPUs the fake one alone tells where memory is")
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_restored_batch_is_on_the_gpu_of_its_pipeline(name):
    """The thread that restores has chosen the first GPU, or none; the pipeline is on the second."""
    images, labels = batches((3, 3, 3))

    def second_gpu(**options):
        made = Pipeline(3, num_threads=1, device_id=1, seed=1, enable_checkpointing=True, **options)
        with made:
            x, y = feed(images, "HWC", "gpu"), feed(labels)
            made.set_outputs(*dmix.mix(x, y, VARIANTS[name], partner="previous"))
        return made

    before = ALLOCATIONS(0), ALLOCATIONS(1)
    pipeline = second_gpu()
    pipeline.run()
    checkpoint = pipeline.checkpoint()
    after = content(pipeline.run())
    restored = second_gpu(checkpoint=checkpoint)
    assert content(restored.run()) == after
    assert ALLOCATIONS(0) == before[0] and ALLOCATIONS(1) > before[1]


def test_a_damaged_checkpoint_is_refused():
    options = {"enable_checkpointing": True}
    pipeline = mixed((2, 2), MixUp(1.0), **options)
    pipeline.run()
    checkpoint = bytearray(pipeline.checkpoint())
    pixels = bytes(np.tile(np.uint8([1, 0, 0, 0]), H * W))  # of the first image
    at = checkpoint.find(pixels)
    assert at > 0
    # A dimension of the first image, before its pixels, as 64 bits.
    checkpoint[at - 24 : at - 16] = np.int64(10**6).tobytes()
    with pytest.raises(Exception, match="checkpoint of `previous` is damaged: it is too short"):
        mixed((2, 2), MixUp(1.0), **options, checkpoint=bytes(checkpoint)).run()


def test_through_the_loader_an_epoch_goes_on_where_it_was_left(tmp_path):
    numbered.write(tmp_path, 11)

    def pipeline():
        made = Pipeline(3, num_threads=1, device_id=None, seed=4, enable_checkpointing=True)
        with made:
            reader = {"name": "Reader", "pad_last_batch": True, "random_shuffle": True}
            encoded, labels = fn.readers.file(file_root=str(tmp_path), **reader)
            images = fn.resize(fn.decoders.image(encoded), size=(6, 5))
            made.set_outputs(*dmix.mixup(images, labels, partner="previous"))
        return made

    loader = MixLoader(pipeline)
    whole = [list(loader), list(loader)]
    for (_, first), (_, second) in zip(whole[0][:-1], whole[0][1:], strict=True):
        assert second.y2.tolist() == first.y1.tolist()
    loader = MixLoader(pipeline)
    seen = iter(loader)
    next(seen)
    state = numbered.through_json(loader.state_dict())
    restored = MixLoader(pipeline)
    restored.load_state_dict(state)
    numbered.assert_same(list(restored), whole[0][1:])
    numbered.assert_same(list(restored), whole[1])


def test_a_batch_of_other_images_is_named():
    """What came before must be alike."""
    small, large = fingerprints(2, 4, 5), fingerprints(2, 6, 5)
    pipeline = build(
        lambda: dmix.mixup(feed([small, large], "HWC"), partner="previous")[0], batch_size=2
    )
    pipeline.run()
    with pytest.raises(ValueError, match=r"must have equal shapes, got 6x5x3 .* 4x5x3"):
        pipeline.run()


def test_dynamic_mode_keeps_no_state():
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in fingerprints(3, 4, 5)])
    sentence = r'partner="previous" works in pipelines only: .* second=\(images, labels\)\.'
    with pytest.raises(ValueError, match=sentence):
        dali_mix.dynamic.mixup(images, partner="previous")


def test_the_previous_batch_is_for_the_mixing_functions():
    with pytest.raises(ValueError, match=r"partner must be one of 'derange', .*, got 'previous'"):
        dmix.plan(None, size=(3, 3), partner="previous")


def test_what_is_left_unmixed_keeps_its_label():
    images, labels = batches((64, 64))
    pipeline = build(
        lambda: dmix.mix(
            feed(images, "HWC"), feed(labels), MixUp(1.0), partner="previous", prob=0.5
        ),
        batch_size=64,
    )
    pipeline.run()
    x, y1, y2, lam = map(stacked, pipeline.run())
    out = lam == 1
    assert 10 < out.sum() < 54 and (y2[out] == y1[out]).all() and (y2[~out] == y1[~out] - 64).all()
    np.testing.assert_array_equal(x[out].mean((2, 3)), np.eye(128)[y1[out]])

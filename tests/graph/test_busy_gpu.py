"""Many batches in a row, made in advance and beside other work. On a GPU a missing wait shows in
some batches only."""

import ctypes

import numpy as np
import pytest
from helpers import build, feed, stacked

import dali_mix.fn as dmix
from dali_mix import CutMix, FMix, MixUp

torch = pytest.importorskip("torch")

BATCH = 259  # more samples than the parameters of a launch hold: a table is uploaded
METHODS = [MixUp(1.0), CutMix(1.0), FMix()]  # with masks, which are uploaded too
FAKE = hasattr(ctypes.CDLL(None), "fake_gpu_waits")


def mixing(device, labels_on="cpu", **options):
    """A pipeline of batches that mix with the batch before."""
    chance = np.random.default_rng(4)
    images = [chance.integers(0, 256, (BATCH, 11, 13, 3), np.uint8) for _ in range(5)]
    labels = [chance.integers(0, 1000, (BATCH, 2), np.int32) for _ in range(3)]

    def graph():
        x, y = feed(images, "HWC", device), feed(labels, device=labels_on)
        x, _, y2, _ = dmix.mix(x, y, METHODS, partner="previous")
        return x, y2  # mixed with the images before, and gathered from the labels before

    return build(graph, batch_size=BATCH, device=device, **options)


def checksum(*outputs):
    """Of the bits and where they lie, without a wait for the GPU."""
    bits = torch.cat([x.contiguous().view(-1).view(torch.int32).long() for x in outputs])
    return (bits * torch.arange(1, len(bits) + 1, device=bits.device)).sum()


def sums(device, steps, **options):
    """A checksum of every batch. On a GPU, results come on torch's stream, and another stream is
    busy; on a fake one, which torch does not see, each batch is waited for."""
    pipeline = mixing(device, **options)
    if FAKE or device == "cpu":
        batches = (map(stacked, pipeline.run()) for _ in range(steps))
        return torch.stack([checksum(*map(torch.from_numpy, batch)) for batch in batches])
    noise, work = torch.cuda.Stream(), torch.randn(2048, 2048, device="cuda")
    found = []
    for _ in range(steps):
        with torch.cuda.stream(noise):
            work = (work @ work).tanh()
        outputs = pipeline.run(torch.cuda.current_stream())
        found.append(checksum(*(torch.from_dlpack(batch.as_tensor()) for batch in outputs)))
    return torch.stack(found).cpu()


def test_batches_made_in_advance_are_those_made_one_by_one():
    expected = sums("cpu", 60, num_threads=1)
    assert len(expected.unique()) == 60
    assert torch.equal(sums("cpu", 60, prefetch_queue_depth=3), expected)


UNKNOWN = "open: on a fake GPU a copy kernel is given a source that is not on the device"


@pytest.mark.gpu
@pytest.mark.parametrize(
    "labels_on", ["cpu", pytest.param("gpu", marks=pytest.mark.skipif(FAKE, reason=UNKNOWN))]
)
def test_on_a_busy_gpu_every_batch_is_that_of_the_cpu(labels_on):
    steps = 60 if FAKE else 2000
    found = sums("gpu", steps, prefetch_queue_depth=3, labels_on=labels_on)
    assert torch.nonzero(found != sums("cpu", steps)).flatten().tolist() == []

"""Mixing makes the host wait for the GPU nowhere. The fake GPU counts (`make fake-gpu`)."""

import ctypes

import numpy as np
import pytest
from helpers import build, feed, fingerprints

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, FMix, MixUp

COUNTER = getattr(ctypes.CDLL(None), "fake_gpu_waits", None)
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(COUNTER is None, reason="of GPUs the fake one alone counts its waits"),
]

BATCHES = [fingerprints(7, 24, 40)]
RUNS = 10


def waits(graph):
    """Of the host, in some runs of a pipeline that is under way."""

    def whole():
        labels = feed([np.arange(7, dtype=np.int32)])
        return graph(feed(BATCHES, "HWC", "gpu"), labels)

    pipeline = build(whole, batch_size=7, device="gpu")
    for _ in range(3):
        pipeline.run()
    before = COUNTER()
    for _ in range(RUNS):
        pipeline.run()
    return COUNTER() - before


@pytest.mark.parametrize("partner", ["derange", "previous"])
@pytest.mark.parametrize("method", [MixUp(), CutMix(), FMix(), RICAP()], ids=lambda m: m.name)
def test_mixing_waits_no_more_than_the_pipeline_without_it(method, partner):
    if partner == "previous" and method.images > 2:
        pytest.skip("of two images only")
    unmixed = waits(lambda images, labels: (images, labels))
    mixed = waits(lambda images, labels: dmix.mix(images, labels, method, partner=partner))
    assert mixed == unmixed

"""MixLoader: what a batch is, and for how long."""

import numbered
import numpy as np
import pytest
import torch
from nvidia.dali import Pipeline, fn, types

import dali_mix.fn as dmix
from dali_mix import MixLoader, MixTarget, MixUp
from dali_mix.loader.batches import to_batch

LABEL = np.arange(7, dtype=np.int32)


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("ten"), 10)


def test_every_numbered_file_is_flat_and_has_its_own_value(tmp_path):
    root = numbered.write(tmp_path, 32)
    ((x, y),) = numbered.loader(root, 32, training=False)
    assert y.tolist() == list(range(32))
    assert torch.equal(x, (numbered.STEP * y.float()).view(-1, 1, 1, 1).expand_as(x))


def test_training_gives_images_and_a_mix_target(ten):
    x, target = next(iter(numbered.loader(ten)))
    assert x.shape == (4, 3, 16, 16) and x.dtype == torch.float32
    assert isinstance(target, MixTarget)
    assert target.y1.dtype == target.y2.dtype == torch.int64 and target.y1.shape == (4,)
    assert target.lam.dtype == torch.float32 and target.lam.shape == (4,)


def test_validation_gives_images_and_class_ids(ten):
    x, y = next(iter(numbered.loader(ten, training=False)))
    assert type(y) is torch.Tensor and y.dtype == torch.int64
    assert y.tolist() == [0, 1, 2, 3]
    assert x[:, 0, 0, 0].tolist() == [0, 8, 16, 24]


def test_the_target_says_what_the_pixels_are(ten):
    for x, (y1, y2, lam) in numbered.loader(ten, methods=MixUp(1.0)):
        value = numbered.STEP * (lam * y1 + (1 - lam) * y2)
        torch.testing.assert_close(x, value.view(-1, 1, 1, 1).expand_as(x), rtol=0, atol=1e-3)


def test_hwc_comes_as_channels_last_with_the_same_values(ten):
    chw, hwc = (next(iter(numbered.loader(ten, layout=layout)))[0] for layout in ("CHW", "HWC"))
    assert hwc.shape == chw.shape == (4, 3, 16, 16)
    assert hwc.is_contiguous(memory_format=torch.channels_last) and not hwc.is_contiguous()
    assert torch.equal(hwc, chw)


@pytest.mark.parametrize("layout", ["HWC", ""])
def test_images_are_dalis_own_memory(layout):
    pixels = np.zeros((4, 5, 6, 3), np.uint8)
    pipeline = Pipeline(4, num_threads=1, device_id=None)
    with pipeline:
        x = fn.external_source(source=lambda i: pixels, batch=True, layout=layout or None)
        pipeline.set_outputs(fn.copy(x), fn.copy(x))
    outputs = pipeline.run()
    x, _ = to_batch(outputs, "plain", kept=4, copy=False)
    assert x.data_ptr() == outputs[0].as_tensor().data_ptr()
    assert x.shape == ((4, 3, 5, 6) if layout else (4, 5, 6, 3))


@pytest.mark.parametrize("dtype", [torch.float16, types.FLOAT16])
def test_dtypes_of_torch_and_of_dali(ten, dtype):
    assert next(iter(numbered.loader(ten, dtype=dtype)))[0].dtype == torch.float16


def test_float_labels_stay_as_they_are():
    def source(i):
        return np.zeros((4, 5, 6, 3), np.uint8), np.full((4, 7), i, np.float32)

    pipeline = numbered.feeding(source, 2, graph=dmix.mixup)
    _, target = next(iter(MixLoader(pipeline, size=8)))
    assert target.y1.shape == (4, 7) and target.y1.dtype == torch.float32


def test_tuples_of_labels_are_tuples_of_targets():
    def source(i):
        return np.zeros((4, 5, 6, 3), np.uint8), LABEL[:4], np.float32([[1], [2], [3], [4]])

    def graph(x, ids, sizes):
        x, (ids1, sizes1), (ids2, sizes2), lam = dmix.mixup(x, (ids, sizes))
        return x, ids1, sizes1, ids2, sizes2, lam

    _, (ids, sizes) = next(
        iter(MixLoader(numbered.feeding(source, 3, graph=graph), size=8, mixed=True))
    )
    assert ids.y1.tolist() == [0, 1, 2, 3] and sizes.y1.tolist() == [[1], [2], [3], [4]]
    assert torch.equal(sizes.y2.squeeze(1), (ids.y2 + 1).float())  # of the same partners
    assert torch.equal(ids.lam, sizes.lam)
    _, plain = next(iter(MixLoader(numbered.feeding(source, 3), size=8, mixed=False)))
    assert [y.tolist() for y in plain] == [[0, 1, 2, 3], [[1], [2], [3], [4]]]


@pytest.mark.parametrize("dynamic", [True, False])
def test_batches_stay_as_they_are_while_they_are_held(tmp_path, dynamic):
    root = numbered.write_noise(tmp_path, 8)
    loader = MixLoader(numbered.reading(root, 2, exec_dynamic=dynamic))
    held = [batch for _ in range(5) for batch in loader]
    copies = [(x.clone(), MixTarget(*(part.clone() for part in target))) for x, target in held]
    for _ in range(5):
        list(loader)
    loader.close()
    del loader
    numbered.assert_same(held, copies)
    assert len({x.data_ptr() for x, _ in held}) == 20


def test_several_pipelines_give_a_list(ten):
    shards = [
        numbered.reading(
            ten, 2, seed=i, reader={"shard_id": i, "num_shards": 2, "stick_to_shard": True}
        )
        for i in range(2)
    ]
    loader = MixLoader(shards)
    batches = list(loader)
    assert len(batches) == len(loader) == 2
    assert [[numbered.own(target).tolist() for _, target in step] for step in batches] == [
        [[0, 1], [5, 6]],
        [[2, 3], [7, 8]],
    ]
    first, second = (numbered.lams(pipeline) for pipeline in zip(*batches, strict=True))
    assert first != second


@pytest.mark.gpu
def test_batches_are_on_the_gpu_and_stay(tmp_path):
    loader = numbered.loader(numbered.write_noise(tmp_path, 16), device="gpu", layout="HWC")
    held = [batch for _ in range(4) for batch in loader]
    assert all(x.is_cuda and target.y1.is_cuda and target.lam.is_cuda for x, target in held)
    copies = [(x.clone(), MixTarget(*(part.clone() for part in target))) for x, target in held]
    for _ in range(4):
        list(loader)
    numbered.assert_same(held, copies)

"""Image folders whose files can be told apart in a batch: file k is the only one of class k, and
all its pixels have one grey value that depends on k. And pipelines and loaders over them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import dali_mix
import dali_mix.fn as dmix

# isort: split
from nvidia.dali import Pipeline, fn

STEP = 8
"""Difference of the grey values of successive files."""
SIZE = 16


def write(root: Path, count: int, size: tuple[int, int] = (20, 24)) -> Path:
    """Write the files 0 to count - 1: JPEGs that decode to one exact grey value."""
    for k in range(count):
        path = root / f"{k:03}" / f"{k:03}.jpg"
        path.parent.mkdir(parents=True)
        grey = Image.fromarray(np.full((*size, 3), k * STEP % 256, np.uint8))
        grey.save(path, quality=100, subsampling=0)
    return root


def write_noise(root: Path, count: int) -> Path:
    """Write two classes of JPEG files with random pixels, so that a crop changes them."""
    rng = np.random.default_rng(0)
    for k in range(count):
        path = root / str(k % 2) / f"{k:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return root


def loader(root: Path, batch_size: int = 4, **arguments) -> dali_mix.MixLoader:
    """A loader without normalisation, on the CPU."""
    plain = {"size": SIZE, "mean": 0, "std": 1, "num_threads": 1, "device": "cpu"}
    return dali_mix.MixLoader.from_imagefolder(root, batch_size=batch_size, **(plain | arguments))


def noisy(root: Path, **arguments) -> dali_mix.MixLoader:
    """A loader that mixes by mixup and cutmix."""
    return loader(root, **({"methods": [dali_mix.MixUp(1.0), dali_mix.CutMix()]} | arguments))


def files(batches) -> list[list[int]]:
    """The number of the file of each sample, batch by batch."""
    return [own(target).tolist() for _, target in batches]


def own(target) -> torch.Tensor:
    return target.y1 if isinstance(target, dali_mix.MixTarget) else target


def lams(batches) -> list[float]:
    return [lam for _, target in batches for lam in target.lam.tolist()]


def assert_same(one, other) -> None:
    """Assert that the batches are equal to the bit."""
    one, other = list(one), list(other)
    assert len(one) == len(other) > 0
    for (x, target), (x2, target2) in zip(one, other, strict=True):
        assert torch.equal(x, x2)
        pairs = (
            zip(target, target2, strict=True) if isinstance(target, tuple) else [(target, target2)]
        )
        assert all(torch.equal(a, b) for a, b in pairs)


def through_json(state):
    return json.loads(json.dumps(state))


def reading(root, batch_size=4, mix=True, seed=1, reader=None, **options):
    """A user's own pipeline over an image folder."""
    pipeline = Pipeline(batch_size, num_threads=1, device_id=None, seed=seed, **options)
    with pipeline:
        arguments = {"name": "Reader", "pad_last_batch": True} | (reader or {})
        encoded, labels = fn.readers.file(file_root=str(root), **arguments)
        images = fn.resize(fn.decoders.image(encoded), size=(6, 5))
        pipeline.set_outputs(*(dmix.mixup(images, labels) if mix else (images, labels)))
    return pipeline


def cropping(
    root, seed=1, checkpoints=True, batch_size=4, shard_id=0, num_shards=1, graph=dmix.mixup
):
    """A user's own pipeline that shuffles, crops and mixes, and changes its shard every epoch."""
    pipeline = Pipeline(
        batch_size, num_threads=1, device_id=None, seed=seed, enable_checkpointing=checkpoints
    )
    with pipeline:
        encoded, labels = fn.readers.file(
            file_root=str(root),
            random_shuffle=True,
            pad_last_batch=True,
            shard_id=shard_id,
            num_shards=num_shards,
        )
        images = fn.random_resized_crop(fn.decoders.image(encoded), size=16)
        pipeline.set_outputs(*graph(images, labels))
    return pipeline


def feeding(source, outputs, batch_size=4, graph=lambda *nodes: nodes, **options):
    """A pipeline without a reader; iteration k gets source(k)."""
    pipeline = Pipeline(batch_size, num_threads=1, device_id=None, seed=1, **options)
    with pipeline:
        nodes = fn.external_source(source=source, num_outputs=outputs, batch=True)
        pipeline.set_outputs(*graph(*nodes))
    return pipeline

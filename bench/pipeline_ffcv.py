"""The peer of bench/pipeline.py that loads with FFCV, which reads a file of its own making.

    FFCV                random resized crop from the stored JPEG bytes, mirror, normalised float
    FFCV + ImageMixup   its mixup, one lam per sample, with the previous sample, on the bytes

The JPEGs are written into a .beton file before anything is timed: encoded anew, as bytes.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers_import import peer
from bench.pipeline_peers import check_tensor
from dali_mix.measure.graphs import MEAN, STD
from dali_mix.measure.pipelines import Task
from dali_mix.measure.segments import Loader

NAMES = ("FFCV", "FFCV + ImageMixup")
UNMIXED_OF = {"FFCV + ImageMixup": "FFCV"}
EPOCH = 100_000
"""Images of an epoch, at least: with fewer it would stop and start again all the time."""
AHEAD = 3
"""Batches that FFCV keeps ready; its default."""


def loaders(task: Task, workers: int) -> tuple[dict[str, Loader], dict[str, str]]:
    """Both, or why they cannot run here."""
    for module in ("ffcv.loader", "ffcv.writer", "ffcv.transforms", "ffcv.fields.decoders"):
        _, why = peer(module)
        if why:
            return {}, dict.fromkeys(NAMES, why)
    if task.device == "gpu" or task.dtype != "float32":
        return {}, dict.fromkeys(NAMES, "measured on the CPU, in float32 only")
    datasets, why = peer("torchvision.datasets")
    if why:
        return {}, dict.fromkeys(NAMES, why)
    images = datasets.ImageFolder(task.root, allow_empty=True)
    folder = tempfile.TemporaryDirectory()
    path = _written(images, Path(folder.name) / "images.beton", workers)
    found = {}
    for name in NAMES:
        loader = _loader(path, task, workers, count=len(images), mixes=name in UNMIXED_OF)
        found[name] = Loader(_endless(loader, folder).__next__, task.batch, ahead=AHEAD + 1)
        x, _ = found[name].next()  # type: ignore[misc]
        check_tensor(name, task, x)
    return found, {}


def _written(images: Any, path: Path, workers: int) -> Path:
    """The data set in FFCV's format."""
    writer, fields = peer("ffcv.writer")[0], peer("ffcv.fields")[0]
    columns = {"image": fields.RGBImageField(write_mode="jpg"), "label": fields.IntField()}
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        writer.DatasetWriter(str(path), columns, num_workers=workers).from_indexed_dataset(images)
    return path


def _loader(path: Path, task: Task, workers: int, *, count: int, mixes: bool) -> Any:
    loader, decoders, t = (
        peer(f"ffcv.{module}")[0] for module in ("loader", "fields.decoders", "transforms")
    )
    mixing = [[t.ImageMixup(1.0, False)], [t.LabelMixup(1.0, False)]] if mixes else [[], []]
    image = [
        decoders.RandomResizedCropRGBImageDecoder((task.size, task.size)),
        t.RandomHorizontalFlip(),
        *mixing[0],
        t.NormalizeImage(np.array(MEAN), np.array(STD), np.float32),
        t.ToTensor(),
        t.ToTorchImage(),
    ]
    return loader.Loader(
        str(path),
        batch_size=task.batch,
        num_workers=workers,
        order=loader.OrderOption.RANDOM,
        indices=np.tile(np.arange(count), EPOCH // count + 1),
        pipelines={"image": image, "label": [decoders.IntDecoder(), *mixing[1], t.ToTensor()]},
        drop_last=True,
        batches_ahead=AHEAD,
        os_cache=True,
        seed=task.seed,
    )


def _endless(loader: Any, folder: Any) -> Iterator[Any]:
    """`folder` holds the file of the loader, and goes with it.

    FFCV's thread is stopped with the generator: while Python ends, it would abort the process.
    """
    while True:
        epoch = iter(loader)
        try:
            yield from epoch
        finally:
            epoch.terminate_event.set()
            epoch.join()

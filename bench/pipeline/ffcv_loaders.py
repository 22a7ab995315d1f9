"""The loaders of FFCV, which reads a file in its own format.

    FFCV                random resized crop from the stored JPEG bytes, mirror, normalised float
    FFCV + ImageMixup   its mixup on the bytes, one lam per sample, with the previous sample

The images are encoded to JPEG again, and written into a .beton file before anything is timed.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.program import peer
from dali_mix.measure.checks import check_tensor
from dali_mix.measure.outputs import MEAN, STD
from dali_mix.measure.pipelines import Task
from dali_mix.measure.segments import Loader

NAMES = ("FFCV", "FFCV + ImageMixup")
UNMIXED_OF = {"FFCV + ImageMixup": "FFCV"}
EPOCH = 100_000
"""An epoch has at least so many images, because FFCV stops and starts after each epoch."""
AHEAD = 3
"""Batches that FFCV keeps ready; its default."""
PARTS = ("loader", "writer", "transforms", "fields", "fields.decoders")


def loaders(task: Task, workers: int) -> tuple[dict[str, Loader], dict[str, str]]:
    """Both loaders, or why they cannot run here."""
    ffcv = {}
    for module in ("torchvision.datasets", *(f"ffcv.{part}" for part in PARTS)):
        ffcv[module.removeprefix("ffcv.")], why = peer(module)
        if why:
            return {}, dict.fromkeys(NAMES, why)
    if task.device == "gpu" or task.dtype != "float32":
        return {}, dict.fromkeys(NAMES, "measured on the CPU, in float32 only")
    images = ffcv["torchvision.datasets"].ImageFolder(task.root, allow_empty=True)
    folder = tempfile.TemporaryDirectory()
    path, fields = str(Path(folder.name) / "images.beton"), ffcv["fields"]
    columns = {"image": fields.RGBImageField(write_mode="jpg"), "label": fields.IntField()}
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        ffcv["writer"].DatasetWriter(path, columns, num_workers=workers).from_indexed_dataset(
            images
        )
    found = {}
    for name in NAMES:
        loader = _loader(ffcv, path, task, workers, count=len(images), mixes=name in UNMIXED_OF)
        found[name] = Loader(_endless(loader, folder).__next__, task.batch, ahead=AHEAD + 1)
        x, _ = found[name].next()  # type: ignore[misc]
        check_tensor(name, x, task.batch, task.size, task.dtype)
    return found, {}


def _loader(
    ffcv: dict[str, Any], path: str, task: Task, workers: int, *, count: int, mixes: bool
) -> Any:
    loader, decoders, t = ffcv["loader"], ffcv["fields.decoders"], ffcv["transforms"]
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
        path,
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
    """Batches without end. `folder` holds the file, and lives as long as this generator.

    FFCV's thread is stopped with the generator, because it would abort the process if it still ran
    when Python ends.
    """
    while True:
        epoch = iter(loader)
        try:
            yield from epoch
        finally:
            epoch.terminate_event.set()
            epoch.join()

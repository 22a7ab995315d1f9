"""DALI pipelines around the contestants: from JPEG files, or from decoded images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dali_mix.images.class_folders import listed
from dali_mix.images.reader import read
from dali_mix.measure.graphs import DTYPES, MEAN, STD, Graph, Mixed
from dali_mix.measure.headers import ON_DEMAND, check_headers
from dali_mix.measure.segments import Loader

# isort: split
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline


class Task(NamedTuple):
    """What every contestant does, in whatever way."""

    root: str
    """Folder with one folder of images for each class."""
    batch: int
    size: int
    """Height and width of the output, in pixels."""
    dtype: str
    """"float32" or "float16"; the layout is CHW."""
    device: str
    """"cpu" or "gpu"."""
    seed: int


class Settings(NamedTuple):
    """What may be tuned for the machine, the same for all DALI contestants."""

    threads: int
    prefetch: int = 2
    hw_decoder_load: float = 0.65
    """Share of the images that a GPU's JPEG unit decodes; DALI's default."""
    hint: tuple[int, int] | None = None
    """Width and height of the largest image, for which a GPU decoder allocates beforehand."""


def jpeg_pipeline(task: Task, settings: Settings, graph: Graph, *, probe: bool = False) -> Pipeline:
    """JPEG files to what `graph` makes of them: decode, random resized crop, mirror.

    Outputs are those of a training loop; with `probe` all of `Mixed`, where it is not None, then
    the decoded images and the mirror flags, on the CPU. A ValueError names files with headers that
    cannot be read.
    """
    check_headers(task.root, settings.threads)
    on_gpu = task.device == "gpu"
    pipeline = Pipeline(
        batch_size=task.batch,
        num_threads=settings.threads,
        device_id=0 if on_gpu else None,
        seed=task.seed,
        prefetch_queue_depth=settings.prefetch,
    )
    with pipeline:
        files, labels = read(task.root, listed(task.root), random_shuffle=True)
        images = fn.decoders.image_random_crop(files, **_decoder(on_gpu, settings))
        images = fn.resize(images, size=(task.size, task.size), interp_type=types.INTERP_LINEAR)
        mirror = fn.random.coin_flip(dtype=types.INT32)
        mixed = graph(images, labels, mirror, _output(task.dtype))
        if probe:
            outputs = [node.cpu() if on_gpu else node for node in _probed(mixed, images, mirror)]
        else:
            outputs = [node.gpu() if on_gpu else node for node in mixed.outputs]
        pipeline.set_outputs(*outputs)
    pipeline.build()
    return pipeline


def _probed(mixed: Mixed, images: Any, mirror: Any) -> list[Any]:
    """All that a check needs to know."""
    return [node for node in (*mixed, images, mirror) if node is not None]


def _decoder(on_gpu: bool, settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"output_type": types.RGB, "device": "mixed" if on_gpu else "cpu"}
    if on_gpu:
        options["hw_decoder_load"] = settings.hw_decoder_load
        if settings.hint:
            options["preallocate_width_hint"], options["preallocate_height_hint"] = settings.hint
    return options


def array_pipeline(
    batches: Sequence[Sequence[np.ndarray]],
    graph: Graph,
    *,
    dtype: str,
    threads: int,
    seed: int,
    probe: bool = False,
) -> Pipeline:
    """Decoded (H, W, 3) uint8 images, fed in turn and without a copy; outputs as those of
    `jpeg_pipeline`. Each run works when it is asked to, not in advance."""
    labels = [np.array([i], np.int32) for i in range(len(batches[0]))]

    def feed() -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
        while True:
            for images in batches:
                yield list(images), labels

    pipeline = Pipeline(
        batch_size=len(batches[0]),
        num_threads=threads,
        device_id=None,
        seed=seed,
        **ON_DEMAND,
    )
    with pipeline:
        images, places = fn.external_source(
            feed(), num_outputs=2, layout=["HWC", ""], batch=True, no_copy=True
        )
        mirror = fn.random.coin_flip(dtype=types.INT32)
        mixed = graph(images, places, mirror, _output(dtype))
        pipeline.set_outputs(*(_probed(mixed, images, mirror) if probe else mixed.outputs))
    pipeline.build()
    return pipeline


def _output(dtype: str) -> dict[str, Any]:
    return {"mean": MEAN, "std": STD, "dtype": DTYPES[dtype], "output_layout": "CHW"}


def dali_loader(task: Task, settings: Settings, graph: Graph) -> Loader:
    """The pipeline, and one batch more than its queue holds: the one that it is working on."""
    pipeline = jpeg_pipeline(task, settings, graph)
    return Loader(pipeline.run, task.batch, ahead=settings.prefetch + 1)

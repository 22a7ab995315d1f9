"""The peers of bench/pipeline.py that load with PyTorch: DataLoader and PIL, timm's mixing.

    DataLoader                      float32 from the workers; timm's transforms
    DataLoader + Mixup              timm's Mixup, mode "elem", on that tensor
    DataLoader uint8                bytes from the workers (timm's fast_collate), normalised here
    DataLoader + FastCollateMixup   mode "elem", on the bytes, in the workers

Mixing and normalising of float tensors happen where the output is wanted, on the CPU or the GPU.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from bench.peers_import import peer
from dali_mix._harness import nothing
from dali_mix.measure.graphs import MEAN, STD
from dali_mix.measure.pipelines import Task
from dali_mix.measure.segments import Loader

UNMIXED_OF = {
    "DataLoader + Mixup": "DataLoader",
    "DataLoader + FastCollateMixup": "DataLoader uint8",
}
NAMES = ("DataLoader", "DataLoader + Mixup", "DataLoader uint8", "DataLoader + FastCollateMixup")
PREFETCH = 2
"""Batches that each worker works ahead; DataLoader's default."""
MIXING = {"mixup_alpha": 1.0, "cutmix_alpha": 0.0, "mode": "elem", "label_smoothing": 0.0}


def loaders(
    task: Task, workers: int, names: Sequence[str] = NAMES
) -> tuple[dict[str, Loader], dict[str, str]]:
    """Those that can run here, checked, and for the others why not. To be called before
    DALI or CUDA are started: the workers are forks of this process."""
    datasets, why = peer("torchvision.datasets")
    timm, why_not = peer("timm.data")
    lacking = why or why_not or _lacking(task, len(names) * workers)
    if lacking:
        return {}, dict.fromkeys(names, lacking)
    torch.set_num_threads(workers)
    found = {name: _loader(name, task, workers, datasets, timm) for name in names}
    for name, loader in found.items():
        x, y = loader.next()  # type: ignore[misc]
        check_tensor(name, task, x)
        _check_target(name, task, y)
    return found, {}


def _lacking(task: Task, processes: int) -> str:
    """What the loaders would fail for. Workers hand over batches through /dev/shm, and die of
    SIGBUS where it is full."""
    if task.batch % 2:
        return f"timm mixes an even batch only, got {task.batch}"
    batch = task.batch * 3 * task.size**2 * 4
    needed = batch * processes * (PREFETCH + 1)
    there = os.statvfs("/dev/shm")
    free = there.f_bavail * there.f_frsize
    if free < needed:
        return f"needs {needed / 1e6:.0f} MB in /dev/shm, which has {free / 1e6:.0f}"
    return ""


def _loader(name: str, task: Task, workers: int, datasets: Any, timm: Any) -> Loader:
    fast = name in ("DataLoader uint8", "DataLoader + FastCollateMixup")
    transform = timm.create_transform(
        task.size,
        is_training=True,
        interpolation="bilinear",
        color_jitter=None,
        use_prefetcher=fast,  # bytes
    )
    images = datasets.ImageFolder(task.root, transform, allow_empty=True)
    classes = len(images.classes)
    collate = None
    if name == "DataLoader + FastCollateMixup":
        collate = timm.FastCollateMixup(**MIXING, num_classes=classes)
    elif fast:
        collate = timm.loader.fast_collate
    batches = iter(
        DataLoader(
            images,
            batch_sampler=endless_batches(len(images), task.batch, task.seed),
            num_workers=workers,
            prefetch_factor=PREFETCH,
            collate_fn=collate,
            pin_memory=task.device == "gpu",
            multiprocessing_context="fork",
        )
    )
    mixup = timm.Mixup(**MIXING, num_classes=classes) if name == "DataLoader + Mixup" else None
    return Loader(
        partial(_finished, batches, task, _normalization(task) if fast else None, mixup),
        task.batch,
        ahead=workers * (PREFETCH + 1),
        synchronize=torch.cuda.synchronize if task.device == "gpu" else nothing,
        burst=workers,
    )


def _finished(
    batches: Iterator[Any],
    task: Task,
    normalize: Callable[[Tensor], Tensor] | None,
    mixup: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None,
) -> tuple[Tensor, Tensor]:
    """The next batch of the workers, with what is left to be done to it."""
    x, y = next(batches)
    if task.device == "gpu":
        x, y = x.cuda(non_blocking=True), y.cuda(non_blocking=True)
    if normalize is not None:
        x = normalize(x)
    if mixup is not None:
        x, y = mixup(x, y)
    return x.to(getattr(torch, task.dtype)), y


def _normalization(task: Task) -> Callable[[Tensor], Tensor]:
    """As timm's PrefetchLoader does it: to float, then in place."""
    device = "cuda" if task.device == "gpu" else "cpu"
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return lambda x: x.float().sub_(mean).div_(std)


def endless_batches(count: int, batch: int, seed: int) -> Iterator[list[int]]:
    """Places of `count` images in a fresh order in every epoch, always full batches."""
    chance = random.Random(seed)
    order: list[int] = []
    while True:
        while len(order) < batch:
            order += chance.sample(range(count), count)
        yield order[:batch]
        del order[:batch]


def check_tensor(name: str, task: Task, x: Tensor) -> None:
    """Shape, type and range are those of the other contestants. Raises AssertionError."""
    assert x.shape == (task.batch, 3, task.size, task.size), f"{name}: {tuple(x.shape)}"
    assert str(x.dtype) == f"torch.{task.dtype}", f"{name}: {x.dtype}"
    lowest, highest = (
        pick((bound - m) / s for m, s in zip(MEAN, STD, strict=True))
        for pick, bound in ((min, 0), (max, 255))
    )
    assert lowest - 0.01 <= x.min() and x.max() <= highest + 0.01, f"{name}: {x.min()}, {x.max()}"


def _check_target(name: str, task: Task, y: Tensor) -> None:
    """Only who mixes has soft labels."""
    if name in UNMIXED_OF:
        torch.testing.assert_close(y.sum(1).cpu(), torch.ones(task.batch), check_dtype=False)
        assert ((y > 0) & (y < 1)).any(), f"{name}: nothing is mixed"
    else:
        assert y.shape == (task.batch,) and not y.is_floating_point(), name

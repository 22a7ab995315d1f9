"""The loaders of PyTorch: DataLoader and PIL, with timm's mixing.

    DataLoader                      float32 from the workers; timm's transforms
    DataLoader + Mixup              timm's Mixup, mode "elem", on that tensor
    DataLoader uint8                bytes from the workers (timm's fast_collate), normalised here
    DataLoader + FastCollateMixup   mode "elem", on the bytes, in the workers

Float tensors are mixed and normalised on the device of the output, the CPU or the GPU.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from bench import program
from bench.program import peer
from dali_mix.measure.checks import check_tensor
from dali_mix.measure.outputs import MEAN, STD
from dali_mix.measure.pipelines import Task
from dali_mix.measure.segments import Loader

FLOAT, MIXUP, BYTES, COLLATE = NAMES = (
    "DataLoader",
    "DataLoader + Mixup",
    "DataLoader uint8",
    "DataLoader + FastCollateMixup",
)
UNMIXED_OF = {MIXUP: FLOAT, COLLATE: BYTES}
PREFETCH = 2
"""Batches that each worker makes in advance; DataLoader's default."""
MIXING = {"mixup_alpha": 1.0, "cutmix_alpha": 0.0, "mode": "elem", "label_smoothing": 0.0}
ENDLESS = 2**40
"""Images in an epoch. It consists of many permutations."""


def loaders(
    task: Task, workers: int, names: Sequence[str] = NAMES
) -> tuple[dict[str, Loader], dict[str, str]]:
    """The loaders that can run here, checked, and why the others cannot. Call this before DALI or
    CUDA start, because the workers are forks of this process."""
    datasets, why = peer("torchvision.datasets")
    timm, why_not = peer("timm.data")
    lacking = why or why_not or _lacking(task, len(names) * workers)
    if lacking:
        return {}, dict.fromkeys(names, lacking)
    torch.set_num_threads(workers)
    found = {name: _loader(name, task, workers, datasets, timm) for name in names}
    for name, loader in found.items():
        x, y = loader.next()  # type: ignore[misc]
        check_tensor(name, x, task.batch, task.size, task.dtype)
        _check_target(name, task, y)
    return found, {}


def _lacking(task: Task, processes: int) -> str:
    """Why the loaders would fail, or "". Workers pass batches through /dev/shm, and die of SIGBUS
    if it is full."""
    if task.batch % 2:
        return f"timm mixes an even batch only, got {task.batch}"
    needed = task.batch * 3 * task.size**2 * 4 * processes * (PREFETCH + 1)
    there = os.statvfs("/dev/shm")
    free = there.f_bavail * there.f_frsize
    if free < needed:
        return f"needs {needed / 1e6:.0f} MB in /dev/shm, which has {free / 1e6:.0f}"
    return ""


def _loader(name: str, task: Task, workers: int, datasets: Any, timm: Any) -> Loader:
    on_gpu, in_bytes = task.device == "gpu", name in (BYTES, COLLATE)
    transform = timm.create_transform(
        task.size,
        is_training=True,
        interpolation="bilinear",
        color_jitter=None,
        use_prefetcher=in_bytes,
    )
    images = datasets.ImageFolder(task.root, transform, allow_empty=True)
    mixing = {**MIXING, "num_classes": len(images.classes)}
    collate = timm.loader.fast_collate if in_bytes else None
    chance = torch.Generator().manual_seed(task.seed)
    batches = iter(
        DataLoader(
            images,
            task.batch,
            sampler=RandomSampler(images, num_samples=ENDLESS, generator=chance),
            num_workers=workers,
            prefetch_factor=PREFETCH,
            collate_fn=timm.FastCollateMixup(**mixing) if name == COLLATE else collate,
            pin_memory=on_gpu,
            multiprocessing_context="fork",
        )
    )
    mixup = timm.Mixup(**mixing) if name == MIXUP else None
    place = "cuda" if on_gpu else "cpu"
    mean, std = (torch.tensor(values).view(1, 3, 1, 1).to(place) for values in (MEAN, STD))

    def finished() -> tuple[Tensor, Tensor]:
        """The next batch of the workers, normalised and mixed if they did not do it."""
        x, y = (part.to(place, non_blocking=True) for part in next(batches))
        if in_bytes:
            x = x.float().sub_(mean).div_(std)  # as timm's PrefetchLoader
        if mixup is not None:
            x, y = mixup(x, y)
        return x.to(getattr(torch, task.dtype)), y

    synchronize = program.synchronize_of(task.device)
    return Loader(finished, task.batch, workers * (PREFETCH + 1), synchronize, burst=workers)


def _check_target(name: str, task: Task, y: Tensor) -> None:
    """An AssertionError unless the labels are soft where the loader mixes, else class ids."""
    if name in UNMIXED_OF:
        torch.testing.assert_close(y.sum(1).cpu(), torch.ones(task.batch), check_dtype=False)
        assert ((y > 0) & (y < 1)).any(), f"{name}: nothing is mixed"
    else:
        assert y.shape == (task.batch,) and not y.is_floating_point(), name

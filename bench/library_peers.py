"""The contestants of bench/operators.py from libraries: timm, torchvision and kornia.

Each mixes tensors that are stacked already, normalised before, or after timm's FastCollateMixup;
the work on the labels, 1,000 classes or one for each image, is part of its call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.operators_case import Case, Contestant, Contestants, Missing, Mixed
from bench.peers_import import peer
from bench.torch_peers import Batches


def contestants(case: Case) -> tuple[Contestants, Missing]:
    """What can be imported here, and for the others why not."""
    batches = Batches(case)
    found: Contestants = {}
    missing: Missing = {}
    for library, module, make in (
        ("timm", "timm.data", _timm),
        ("torchvision", "torchvision.transforms.v2", _torchvision),
        ("kornia", "kornia.augmentation", _kornia),
    ):
        imported, why = peer(module)
        if imported is None:
            missing[library] = why
        else:
            found |= make(imported, batches)
    if case.device == "gpu":
        for name in [name for name in found if "FastCollate" in name]:
            del found[name]
            missing[name] = "mixes NumPy arrays in the workers of a loader, on the CPU"
    return found, missing


def _timm(timm: Any, batches: Batches) -> Contestants:
    classes, found = batches.case.classes, {}
    for kind, cut in (("Mixup", False), ("CutMix", True)):
        alphas = {"mixup_alpha": float(not cut), "cutmix_alpha": float(cut)}
        for mode in ("batch", "pair", "elem"):
            mix = timm.Mixup(**alphas, mode=mode, label_smoothing=0.0, num_classes=classes)
            found[f"timm {kind} {mode}"] = _mixing_tensors(batches, mix, cut)
    for mode in ("batch", "pair", "elem"):
        collate = timm.FastCollateMixup(
            mixup_alpha=1.0, mode=mode, label_smoothing=0.0, num_classes=classes
        )
        found[f"timm FastCollateMixup {mode}"] = _collating(batches, collate)
    return found


def _torchvision(v2: Any, batches: Batches) -> Contestants:
    classes = batches.case.classes
    return {
        "torchvision MixUp": _mixing_tensors(batches, v2.MixUp(num_classes=classes), False),
        "torchvision CutMix": _mixing_tensors(batches, v2.CutMix(num_classes=classes), True),
    }


def _kornia(augmentation: Any, batches: Batches) -> Contestants:
    keys = ["input", "class"]
    mixup = augmentation.RandomMixUpV2(data_keys=keys)
    cutmix = augmentation.RandomCutMixV2(data_keys=keys, use_correct_lambda=True)
    return {
        "kornia RandomMixUpV2": _mixing_tensors(batches, mixup, False, _kornia_mixup),
        "kornia RandomCutMixV2": _mixing_tensors(batches, cutmix, True, _kornia_cutmix),
    }


Told = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]
"""Partner and lam, from what a library makes of the labels."""


def _soft_target(target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The label of image i is i: its share stands there, and the other one names the partner."""
    rows = target.cpu().numpy().astype(float)
    lam = np.diagonal(rows).copy()
    rows[np.arange(len(rows)), np.arange(len(rows))] = 0
    return np.where(lam == 1, np.arange(len(rows)), rows.argmax(1)), lam


def _kornia_mixup(labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    _, partner, weight = labels.cpu().numpy().T
    return partner.astype(int), 1 - weight  # its lambda weighs the partner


def _kornia_cutmix(labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    _, partner, lam = labels[0].cpu().numpy().T
    return partner.astype(int), lam


def _mixing_tensors(
    batches: Batches, mix: Callable[..., Any], cut: bool, told: Told = _soft_target
) -> Contestant:
    """Normalise, then call `mix(x, labels)`."""
    labels = torch.arange(batches.case.count, device=batches.device)

    def mixed(images: Tensor) -> Any:
        x, mixed_labels = mix(batches.normalized(images), labels)
        return batches.finished(x), mixed_labels

    def read(output: Any) -> Mixed:
        return Mixed(output[0].cpu().numpy(), *told(output[1]), cut)

    return Contestant(batches.in_turn(mixed), read, roundings=batches.roundings)


def _collating(batches: Batches, collate: Callable[..., Any]) -> Contestant:
    """Collate (image, label) pairs, channels first by a view as timm's datasets make them; then
    normalise."""
    samples = {
        images.data_ptr(): [(image.transpose(2, 0, 1), i) for i, image in enumerate(array)]
        for images, array in zip(batches.images, batches.case.batches, strict=True)
    }

    def mixed(images: Tensor) -> Any:
        x, target = collate(samples[images.data_ptr()])
        x = batches.normalized(x.permute(0, 2, 3, 1))
        return batches.finished(x), target

    def read(output: Any) -> Mixed:
        return Mixed(output[0].numpy(), *_soft_target(output[1]))

    return Contestant(batches.in_turn(mixed), read, roundings=batches.roundings, raw_rounding=0.5)

"""The contestants from libraries: timm, torchvision and kornia.

Each mixes tensors that are already stacked. They are normalised before, or after timm's
FastCollateMixup. The call also mixes the labels, of 1,000 classes, or of one class for each image
if there are more images.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.operators.torch_peers import Batches, Contestant, Told
from bench.program import peer
from dali_mix.measure.operators import Case

Contestants = dict[str, Contestant]


def contestants(case: Case) -> tuple[Contestants, dict[str, str]]:
    """The contestants that can be imported here, and why the others cannot."""
    batches = Batches(case)
    # Every image has a class of its own, so that a soft target names the partner.
    classes = max(1000, case.count)
    found: Contestants = {}
    missing: dict[str, str] = {}
    for library, module, make in (
        ("timm", "timm.data", timm),
        ("torchvision", "torchvision.transforms.v2", torchvision),
        ("kornia", "kornia.augmentation", kornia),
    ):
        imported, why = peer(module)
        if imported is None:
            missing[library] = why
        else:
            found |= make(imported, batches, classes)
    if case.device == "gpu":
        for name in [name for name in found if "FastCollate" in name]:
            del found[name]
            missing[name] = "mixes NumPy arrays in the workers of a loader, on the CPU"
    return found, missing


def timm(library: Any, batches: Batches, classes: int) -> Contestants:
    found = {}
    for mode in ("batch", "pair", "elem"):
        options = {"mode": mode, "label_smoothing": 0.0, "num_classes": classes}
        for kind, cut in (("Mixup", False), ("CutMix", True)):
            alphas = {"mixup_alpha": float(not cut), "cutmix_alpha": float(cut)}
            mix = library.Mixup(**alphas, **options)
            found[f"timm {kind} {mode}"] = mixing_tensors(batches, mix, cut)
        collate = library.FastCollateMixup(mixup_alpha=1.0, **options)
        found[f"timm FastCollateMixup {mode}"] = collating(batches, collate)
    return dict(sorted(found.items()))


def torchvision(v2: Any, batches: Batches, classes: int) -> Contestants:
    return {
        "torchvision MixUp": mixing_tensors(batches, v2.MixUp(num_classes=classes)),
        "torchvision CutMix": mixing_tensors(batches, v2.CutMix(num_classes=classes), True),
    }


def kornia(augmentation: Any, batches: Batches, _: int) -> Contestants:
    mixup = augmentation.RandomMixUpV2(data_keys=["input", "class"])
    cutmix = augmentation.RandomCutMixV2(data_keys=["input", "class"], use_correct_lambda=True)

    def told(labels: Tensor, cut: bool) -> tuple[np.ndarray, np.ndarray]:
        _, partner, weight = labels.cpu().numpy().reshape(-1, 3).T
        return partner.astype(int), weight if cut else 1 - weight  # mixup gives the partner's

    return {
        "kornia RandomMixUpV2": mixing_tensors(batches, mixup, False, lambda y: told(y, False)),
        "kornia RandomCutMixV2": mixing_tensors(batches, cutmix, True, lambda y: told(y, True)),
    }


def soft_target(target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Partner and lam from a soft target. Image i has the label i, so column i holds its share, and
    the other column that is not 0 is the partner."""
    rows = target.cpu().numpy().astype(float)
    lam = np.diagonal(rows).copy()
    np.fill_diagonal(rows, 0)
    return np.where(lam == 1, np.arange(len(rows)), rows.argmax(1)), lam


def mixing_tensors(
    batches: Batches, mix: Callable[..., Any], cut: bool = False, told: Told = soft_target
) -> Contestant:
    """Normalise, then call `mix(x, labels)`."""
    labels = torch.arange(batches.case.count, device=batches.device)

    def mixed(images: Tensor) -> tuple[Tensor, Any]:
        x, said = mix(batches.normalized(images), labels)
        return batches.finished(x), said

    return batches.contestant(mixed, told, cut=cut)


def collating(batches: Batches, collate: Callable[..., Any]) -> Contestant:
    """Collate (image, label) pairs, then normalise. The images are channels-first views, as timm's
    datasets make them."""
    samples = {
        images.data_ptr(): [(image.transpose(2, 0, 1), i) for i, image in enumerate(array)]
        for images, array in zip(batches.images, batches.case.batches, strict=True)
    }

    def mixed(images: Tensor) -> tuple[Tensor, Any]:
        x, target = collate(samples[images.data_ptr()])
        return batches.finished(batches.normalized(x.permute(0, 2, 3, 1))), target

    return batches.contestant(mixed, soft_target, raw_rounding=0.5)

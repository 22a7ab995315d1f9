"""For the tests of the methods: every method, and images whose mixed pixels tell the weight of each
image."""

from __future__ import annotations

import numpy as np

from dali_mix import (
    RICAP,
    CutMix,
    FMix,
    GridMix,
    MixUp,
    MultiMix,
    PatchMix,
    ResizeMix,
    SmoothMix,
)

SIZES = [(7, 9), (32, 48), (48, 32), (1, 23)]


def every_method(size: tuple[int, int]) -> dict:
    """All methods with all their options, for outputs of that size."""
    patch = {(7, 9): (1, 3), (32, 48): (8, 16), (48, 32): (16, 8), (1, 23): (1, 1)}[size]
    return {
        "mixup": MixUp(1.0, fold=False),
        "cutmix": CutMix(),
        "inside": CutMix(place="inside", aspect=(0.3, 3)),
        "uniform": CutMix(0.5, place="uniform", boxes=8),
        "boxes": CutMix(boxes=3, fold=True),
        "minmax": CutMix(place="inside", minmax=(0.3, 0.8)),
        "resizemix": ResizeMix((0.0, 1.0)),
        "patchmix": PatchMix(patch=patch),
        "patches": PatchMix(patch=patch, shape="patches"),
        "gridmix": GridMix(holes=(1, 5)),
        "fmix": FMix(decay=2),
        "smoothmix": SmoothMix((0.1, 0.5)),
        "pair": MultiMix(0.5, images=2),
        "multimix": MultiMix(0.7, fold=False, images=5),
        "ricap": RICAP(),
    }


NAMES = list(every_method((7, 9)))


def one_hot(count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """(H, W, count) images. After mixing, channel k is the weight of image k."""
    return [np.tile(np.eye(count, dtype=np.uint8)[i], (*size, 1)) for i in range(count)]


def labels_by_share(partner, lam, images: int | None = None) -> np.ndarray:
    """(N, images): the weight of each image's label in each sample, by the columns of a plan."""
    count = len(partner)
    shares = np.zeros((count, images or count))
    for i in range(count):
        weights = np.atleast_1d(lam[i]).astype(np.float64)
        if len(weights) == 1:
            weights = np.array([weights[0], 1 - weights[0]])
        for index, weight in zip([i, *np.atleast_1d(partner[i])], weights, strict=True):
            shares[i, index] += weight
    return shares

"""Weights: boxes, the weight of each image at each pixel, and the weights of the labels."""

from __future__ import annotations

import math

import numpy as np

from dali_mix.plan import Plan


def cut_box(
    lam: float, center: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Box of CutMix (Yun et al. 2019, eq. 2) that leaves the own image the share `lam`.

    Sides are sqrt(1 - lam) of the image's, rounded down. A side s covers [c - s//2, c + (s+1)//2),
    so odd sides are exact. Then the box is clipped to the image. An empty box is all zero.
    """
    ratio = math.sqrt(1.0 - float(np.float32(lam)))
    ends = []
    for c, length in zip(center, size, strict=True):
        side = int(length * ratio)
        ends.append((max(c - side // 2, 0), min(c + (side + 1) // 2, length)))
    (y0, y1), (x0, x1) = ends
    return (y0, x0, y1, x1) if y0 < y1 and x0 < x1 else (0, 0, 0, 0)


def count_lam(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.float32:
    """Share of own pixels: 1 - area of the box / area of the image."""
    y0, x0, y1, x1 = (int(edge) for edge in box)
    return np.float32(1.0 - (y1 - y0) * (x1 - x0) / (size[0] * size[1]))


def fold(t: np.ndarray) -> np.ndarray:
    """max(t, 1 - t): the own image dominates."""
    return np.maximum(t, 1.0 - t)


def own_weight(blend: float, box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """(H, W) float64: weight of the own image at each output pixel."""
    weight = np.full(size, float(np.float32(blend)))
    y0, x0, y1, x1 = box
    weight[y0:y1, x0:x1] = 0.0
    return weight


def image_weights(plan: Plan, i: int, size: tuple[int, int], frame: int = 0) -> np.ndarray:
    """(K, H, W) float64: weight of each image of sample `i` at each pixel. Image 0 is the own one.

    Outside boxes and mask, the weights are `blend`. A mask multiplies the own weight, and the first
    partner has the rest; row y takes row y*h // H of the mask, and columns likewise. In a box one
    image shows: the partner if K = 2, else the partner with the number of the box. With `box_blend`
    a box shows the blend by it. Later boxes cover earlier ones, and boxes cover the mask.

    On a canvas each image has a box. Outside the boxes all weights are 0.
    """
    partners = np.atleast_1d(plan.partner[i])
    if plan.fill is not None:
        weights = np.zeros((1 + len(partners), *size))
        for b, (y0, x0, y1, x1) in enumerate(plan.box[i]):
            weights[:, y0:y1, x0:x1] = 0.0
            weights[b, y0:y1, x0:x1] = 1.0
        return weights
    given = np.atleast_1d(plan.blend[i])
    blend = np.zeros(1 + len(partners))
    blend[: len(given)] = given
    if len(given) == 1:
        blend[1] = 1.0 - blend[0]
    else:
        blend /= blend.sum()  # the sum is 1 up to rounding
    weights = np.empty((len(blend), *size))
    weights[:] = blend[:, None, None]
    mask = None if plan.mask is None else plan.mask[i]
    if mask is not None and mask.size:
        y, x = (np.arange(n) * cells // n for n, cells in zip(size, mask.shape, strict=True))
        weights[0] *= mask[np.ix_(y, x)] / 255.0
        weights[1] = 1.0 - weights[0]
    begin, end = (0, frame + 1) if plan.frames is None else plan.frames[i]
    if begin <= frame < end:
        for b, (y0, x0, y1, x1) in enumerate(np.reshape(plan.box[i], (-1, 4))):
            weights[:, y0:y1, x0:x1] = 0.0
            weights[1 if len(partners) == 1 else b + 1, y0:y1, x0:x1] = 1.0
            if plan.box_blend is not None:
                own = float(np.float32(plan.box_blend[i]))
                weights[0, y0:y1, x0:x1] = own
                weights[1, y0:y1, x0:x1] = 1.0 - own
    if len(partners) == 1 and partners[0] == i:
        weights[0], weights[1] = 1.0, 0.0
    return weights


def count_weights(plan: Plan, i: int, size: tuple[int, ...]) -> np.ndarray:
    """(K,) float32: the mean weight of each image of sample `i` over an output of `size`, (H, W) or
    (frames, H, W). The first is lam."""
    frames = range(size[0] if len(size) == 3 else 1)
    height, width = size[-2:]
    means = [image_weights(plan, i, (height, width), frame).mean((1, 2)) for frame in frames]
    return np.mean(means, axis=0).astype(np.float32)


def pair_labels(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y1, y2, lam): own labels, partners' labels, and the weight of the own labels."""
    return labels, labels[plan.partner], plan.lam

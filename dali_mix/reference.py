"""The definition of dali_mix in NumPy: boxes, weights, pixels. Read it in five minutes; it is never
optimised, draws nothing, and where a backend disagrees it is right until a test shows otherwise."""

from __future__ import annotations

import math

import numpy as np

from dali_mix.plan import Plan


def cut_box(
    lam: float, center: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Box of CutMix (Yun et al. 2019, eq. 2) that leaves the own image the share `lam`.

    Sides are sqrt(1 - lam) of the image's, rounded down; a side s covers [c - s//2, c + (s+1)//2),
    so odd sides are exact; then the box is clipped to the image. An empty box is all zero.
    """
    ratio = math.sqrt(1.0 - float(np.float32(lam)))
    ends = []
    for c, length in zip(center, size, strict=True):
        side = int(length * ratio)
        ends.append((max(c - side // 2, 0), min(c + (side + 1) // 2, length)))
    (y0, y1), (x0, x1) = ends
    return (y0, x0, y1, x1) if y0 < y1 and x0 < x1 else (0, 0, 0, 0)


def count_lam(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.float32:
    """Share of the own image's pixels, one minus the area of the box over that of the image."""
    y0, x0, y1, x1 = (int(edge) for edge in box)
    return np.float32(1.0 - (y1 - y0) * (x1 - x0) / (size[0] * size[1]))


def fold(t: np.ndarray) -> np.ndarray:
    """max(t, 1 - t): the own image dominates."""
    return np.maximum(t, 1.0 - t)


def own_weight(blend: float, box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """(H, W) float64, weight of the own image at each output pixel."""
    weight = np.full(size, float(np.float32(blend)))
    y0, x0, y1, x1 = box
    weight[y0:y1, x0:x1] = 0.0
    return weight


def window(
    image: np.ndarray,
    *,
    crop: tuple[int, int] | None = None,
    crop_pos: tuple[float, float] = (0.5, 0.5),
    mirror: bool = False,
) -> np.ndarray:
    """The part of an (H, W, C) image that the output sees: cropped at round(pos * (size - crop)),
    halves away from zero, then mirrored horizontally. `crop_pos` is (y, x) in [0, 1]."""
    if crop is not None:
        slack = [length - side for length, side in zip(image.shape, crop, strict=False)]
        y, x = (int(float(np.float32(p)) * s + 0.5) for p, s in zip(crop_pos, slack, strict=True))
        image = image[y : y + crop[0], x : x + crop[1]]
    return image[:, ::-1] if mirror else image


def mix_pair(
    own: np.ndarray, partner: np.ndarray, weight: np.ndarray, k: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """(H, W, C) float64: the two windows mixed and normalised. Where a weight is 0, that image is
    not read, whatever it holds."""
    w = weight[..., None]
    a = np.where(w != 0, own.astype(np.float64), 0.0)
    b = np.where(w != 1, partner.astype(np.float64), 0.0)
    return a * (w * k) + b * ((1.0 - w) * k) + s


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """To `dtype`; integers saturate and round halves to even, NaN becomes the lowest value."""
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        values = np.where(np.isnan(values), info.min, values)
        return np.rint(np.clip(values, info.min, info.max)).astype(dtype)
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(dtype)


def apply(
    images: list[np.ndarray],
    plan: Plan,
    *,
    mean: float | list[float] = 0.0,
    std: float | list[float] = 1.0,
    scale: float = 1.0,
    shift: float = 0.0,
    dtype: type = np.float32,
    input_layout: str = "HWC",
    output_layout: str = "CHW",
    pad_output: bool = False,
    windows: list[dict] | None = None,
) -> list[np.ndarray]:
    """Mix each image with its partner, normalise, lay out and cast.

    images:  N arrays in `input_layout`, uint8, float16 or float32; channels alike; not written to
    windows: for each image the arguments of `window`
    returns: N arrays in `output_layout` of `dtype`; `pad_output` adds channels of zeros up to a
             power of two

    For every sample i, with a, b its own and its partner's window and w = own_weight(...):
        out = cast(scale * ((w*a + (1-w)*b) - mean) / std + shift)
    """
    k = np.float64(np.float32(scale)) / np.asarray(std, np.float32).astype(np.float64)
    s = np.float64(np.float32(shift)) - np.asarray(mean, np.float32).astype(np.float64) * k
    if input_layout == "CHW":
        images = [image.transpose(1, 2, 0) for image in images]
    seen = [window(x, **kw) for x, kw in zip(images, windows or [{}] * len(images), strict=True)]
    outputs = []
    for i, own in enumerate(seen):
        j = int(plan.partner[i])
        weight = np.ones(own.shape[:2])
        if j != i:
            weight = own_weight(plan.blend[i], tuple(plan.box[i]), own.shape[:2])
        out = cast(mix_pair(own, seen[j], weight, k, s), np.dtype(dtype))
        if pad_output:
            channels = out.shape[-1]
            padding = 2 ** math.ceil(math.log2(channels)) - channels
            out = np.pad(out, ((0, 0), (0, 0), (0, padding)))
        outputs.append(out.transpose(2, 0, 1) if output_layout == "CHW" else out)
    return outputs


def pair_labels(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y1, y2, lam): own labels, partners' labels, and the weight of the own."""
    return labels, labels[plan.partner], plan.lam

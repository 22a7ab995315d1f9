"""The pixels of mixed images: cropped and mirrored, blended, normalised, laid out and cast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dali_mix.plan import Plan
from dali_mix.reference.weights import image_weights


def window(
    image: np.ndarray,
    *,
    crop: tuple[int, int] | None = None,
    crop_pos: tuple[float, float] = (0.5, 0.5),
    mirror: bool = False,
) -> np.ndarray:
    """The part of an (H, W, C) image that takes part: the crop, mirrored horizontally if `mirror`.

    The crop begins at round(crop_pos * (size - crop)), halves away from zero. `crop_pos` is (y, x)
    in [0, 1]."""
    if crop is not None:
        slack = [length - side for length, side in zip(image.shape, crop, strict=False)]
        y, x = (int(float(np.float32(p)) * s + 0.5) for p, s in zip(crop_pos, slack, strict=True))
        image = image[y : y + crop[0], x : x + crop[1]]
    return image[:, ::-1] if mirror else image


def place(image: np.ndarray, size: tuple[int, ...], offset: Any) -> np.ndarray:
    """(H, W, C) of `size`: output pixel (y, x) is pixel (y, x) + `offset` of the image, and zero
    outside the image."""
    placed = np.zeros((*size, image.shape[2]), image.dtype)
    y, x = (np.arange(n) + start for n, start in zip(size, offset, strict=True))
    in_y, in_x = ((at >= 0) & (at < n) for at, n in zip((y, x), image.shape, strict=False))
    placed[np.ix_(in_y, in_x)] = image[np.ix_(y[in_y], x[in_x])]
    return placed


def painted(plan: Plan, i: int, own: np.ndarray) -> np.ndarray:
    """The canvas of sample `i` for each frame, with the channels and the type of `own`."""
    height, width = (int(n) for n in plan.size[i][-2:])
    canvas = np.zeros((len(own), height, width, own.shape[-1]), own.dtype)
    canvas[:] = cast(np.asarray(plan.fill[i], np.float64), own.dtype)
    return canvas


def mix_images(images: list[np.ndarray], weights: np.ndarray, k: np.ndarray, s: Any) -> np.ndarray:
    """(H, W, C) float64: K images mixed with weights (K, H, W), and normalised. Where its weight is
    0, an image is not read, so a NaN there has no effect."""
    total = np.zeros(images[0].shape)
    for image, weight in zip(images, weights[..., None], strict=True):
        total += np.where(weight != 0, image.astype(np.float64), 0.0) * (weight * k)
    return total + s


def copy_images(images: list[np.ndarray], weights: np.ndarray, copied: int) -> np.ndarray:
    """(H, W, C): the pixel of the image that shows. Where several images are blended, image number
    `copied` shows, or the own image if that one has no weight."""
    blended = (weights != 0).sum(0) > 1
    shown = np.where(blended, np.where(weights[copied] != 0, copied, 0), weights.argmax(0))
    return np.choose(shown[..., None], images)


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values as `dtype`. Integers saturate and round halves to even; NaN becomes the lowest
    integer. float64 stays as it is."""
    if dtype == np.float64:
        return values
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        values = np.where(np.isnan(values), info.min, values)
        return np.rint(np.clip(values, info.min, info.max)).astype(dtype)
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(dtype)


def to_frames(image: np.ndarray, layout: str) -> np.ndarray:
    """(frames, H, W, C) of an array in `layout`. Axes that the layout lacks have length 1."""
    axes = layout.replace("D", "F")
    missing = [axis for axis in "FC" if axis not in axes]
    image = image.reshape(image.shape + (1,) * len(missing))
    return image.transpose([(axes + "".join(missing)).index(axis) for axis in "FHWC"])


def from_frames(frames: np.ndarray, layout: str) -> np.ndarray:
    """The array in `layout`, from (frames, H, W, C)."""
    axes = layout.replace("D", "F")
    missing = "".join(axis for axis in "FC" if axis not in axes)
    turned = frames.transpose(["FHWC".index(axis) for axis in missing + axes])
    return turned.reshape(turned.shape[len(missing) :])


def shown_images(
    plan: Plan, i: int, seen: list[np.ndarray], fitted: list[np.ndarray]
) -> list[np.ndarray]:
    """The K images of sample `i`, each (frames, H, W, C), placed on the output. If there is a
    canvas, it is the last.

    seen:   all images after their windows, those of `others` behind those of the batch
    fitted: the fitted images, mirrored
    """
    own, partners = seen[i], np.atleast_1d(plan.partner[i])
    offsets = np.zeros((len(partners), 2), int)
    if plan.offset is not None:
        offsets = np.reshape(plan.offset[i], (-1, 2))
    if plan.fill is not None:
        canvas = painted(plan, i, own)
        numbers = zip([i, *partners], offsets, strict=True)
        placed = [[place(f, canvas.shape[1:3], at) for f in seen[j]] for j, at in numbers]
        return [*map(np.stack, placed), canvas]
    images = [own]
    for k, j in enumerate(partners):
        image, offset = seen[j], offsets[k]
        if k == 0 and plan.fit is not None and np.any(plan.fit[i]):
            image, offset = fitted[i], -np.reshape(plan.box[i], (-1, 4))[0, :2]
        images.append(np.stack([place(frame, own.shape[1:3], offset) for frame in image]))
    return images


def apply(
    images: list[np.ndarray],
    plan: Plan,
    *,
    others: list[np.ndarray] | None = None,
    fitted: list[np.ndarray] | None = None,
    copied: int | None = None,
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
    """Mix each image with its partners, normalise, lay out and cast.

    images:  N arrays in `input_layout`, uint8, float16 or float32, with equal numbers of channels;
             not written to. Each frame ("FHWC", ...; "D" for slices) is mixed as an image
    others:  N more images, with the indices N to 2N - 1; image i has the window of image i
    fitted:  N more images. Where `plan.fit` is not 0, they show in the first box, from its corner,
             mirrored if the first partner is
    copied:  the images are class maps, which are copied: see `copy_images`
    windows: the arguments of `window` for each image
    returns: N arrays in `output_layout` of `dtype`; `pad_output` adds channels of zeros up to a
             power of two. For sequences, "CHW" and "HWC" are the layout of each frame

    For every sample i, with a[k] the window of its image k and w = image_weights(...):
        out = cast(scale * ((w[0]*a[0] + w[1]*a[1] + ...) - mean) / std + shift)
    """
    k = np.float64(np.float32(scale)) / np.asarray(std, np.float32).astype(np.float64)
    s = np.float64(np.float32(shift)) - np.asarray(mean, np.float32).astype(np.float64) * k
    windows = windows or [{}] * len(images)

    def see(batch: list[np.ndarray], windows: list[dict]) -> list[np.ndarray]:
        frames = [to_frames(image, input_layout) for image in batch]
        return [
            np.stack([window(x, **kw) for x in sample])
            for sample, kw in zip(frames, windows, strict=True)
        ]

    seen = see(images, windows) + see(others or [], windows if others else [])
    firsts = [int(np.atleast_1d(partners)[0]) % len(images) for partners in plan.partner]
    mirrored = [{"mirror": windows[j].get("mirror", False)} for j in firsts]
    fitted = see(fitted, mirrored) if fitted else []
    if len(output_layout) == 3 and len(input_layout) == 4:
        output_layout = input_layout.strip("CHW") + output_layout
    outputs = []
    for i, own in enumerate(seen[: len(images)]):
        frames = []
        layers = shown_images(plan, i, seen, fitted)
        for f in range(len(own)):
            shown = [layer[f] for layer in layers]
            weights = image_weights(plan, i, shown[0].shape[:2], f)
            if plan.fill is not None:
                weights = np.concatenate([weights, 1.0 - weights.sum(0, keepdims=True)])
            if copied is not None:
                frames.append(copy_images(shown, weights, copied))
            else:
                frames.append(cast(mix_images(shown, weights, k, s), np.dtype(dtype)))
        out = np.stack(frames)
        if pad_output:
            channels = out.shape[-1]
            padding = 2 ** math.ceil(math.log2(channels)) - channels
            out = np.pad(out, ((0, 0), (0, 0), (0, 0), (0, padding)))
        outputs.append(from_frames(out, output_layout))
    return outputs

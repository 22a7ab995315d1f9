"""Augmentations of single images, before they are mixed, from DALI's operators: random erasing,
RandAugment as timm has it, 3-Augment."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from nvidia.dali import fn, types
from nvidia.dali import math as dali_math
from nvidia.dali.auto_aug import augmentations as dali_augmentations
from nvidia.dali.auto_aug.rand_augment import apply_rand_augment
from nvidia.dali.pipeline import do_not_convert

from dali_mix.graph.recipe_arguments import check_probability, check_range
from dali_mix.methods.method import is_whole

IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
"""Means of the red, green and blue channels, for pixels from 0 to 255."""
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def random_erasing(
    images: Any,
    *,
    prob: float = 0.25,
    area: tuple[float, float] = (0.02, 1 / 3),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
    fill: Any = None,
) -> Any:
    """Paint over one rectangle of some images (Zhong et al. 2020); the ranges are timm's defaults.

    images:  uint8 (H, W, 3), CPU or GPU, before they are mixed. A rectangle on a mixed image would
             hide pixels that lam counts
    prob:    probability in [0, 1] that an image loses a rectangle
    area:    range, in (0, 1], of the rectangle's share of the image; drawn uniformly
    aspect:  range of its height over its width; drawn log-uniformly
    fill:    red, green and blue, numbers or a DALI tensor; "noise": a colour for each pixel, timm's
             mode "pixel"; default: one colour for each image. Colours are from normal distributions
             with IMAGENET_MEAN and IMAGENET_STD, clipped to [0, 255]

    The place is uniform over all places inside the image. A side that is longer than the image is
    cut to the image's.
    """
    check_probability("prob", prob)
    check_range("area", area, 1)
    check_range("aspect", aspect, math.inf)
    if isinstance(fill, str) and fill != "noise":
        raise ValueError(f'fill must be three numbers, a DALI tensor or "noise", got {fill!r}.')
    whole = fn.cast(images.shape()[:2], dtype=types.FLOAT)
    share = fn.random.uniform(range=[*area]) * whole[0] * whole[1]
    stretch = fn.random.uniform(range=[math.log(bound) / 2 for bound in aspect])
    sides = dali_math.sqrt(share) * dali_math.exp(fn.stack(stretch, -stretch))
    sides = dali_math.min(dali_math.floor(sides + 0.5), whole)
    anchor = dali_math.floor(fn.random.uniform(range=[0, 1], shape=[2]) * (whole - sides + 1))
    sides *= fn.random.coin_flip(probability=prob)
    place = {"anchor": anchor, "shape": sides, "axis_names": "HW"}
    if isinstance(fill, str):
        erased = fn.erase(images, fill_value=0, **place)
        return erased + _noise_at(anchor, sides, whole, images.device)
    return fn.erase(images, fill_value=_colors([3]) if fill is None else fill, **place)


def _colors(shape: Any, device: str = "cpu") -> Any:
    """Colours of ImageNet's mean and deviation; the last dimension of the shape is 3."""
    mean, std = (types.Constant([*v], device=device) for v in (IMAGENET_MEAN, IMAGENET_STD))
    noise = fn.random.normal(shape=shape, device=device)
    return dali_math.clamp(noise * std + mean, 0.0, 255.0)


def _noise_at(anchor: Any, sides: Any, whole: Any, device: str) -> Any:
    """Images of zeros, uint8 (H, W, 3), with colours in a rectangle."""
    shape = fn.cat(fn.cast(sides, dtype=types.INT32), types.Constant([3], dtype=types.INT32))
    noise = fn.cast(_colors(shape, device), dtype=types.UINT8)
    window = {"start": fn.cast(-anchor, dtype=types.INT32), "axes": [0, 1]}
    window["shape"] = fn.cast(whole, dtype=types.INT32)
    return fn.slice(noise, **window, out_of_bounds_policy="pad", fill_values=0)


def _posterized(magnitude: float) -> np.ndarray:
    return dali_augmentations.poster_mask_uint8(4 - int(magnitude))


@do_not_convert
def _timm_operations() -> list[Any]:
    """timm's "increasing" transforms, with their largest magnitudes."""
    a = dali_augmentations
    enhanced = {"mag_range": (0, 0.9), "randomly_negate": True}
    shifted = enhanced | {"mag_to_param": a.shift_enhance_range}
    moved = {"mag_range": (0, 0.45), "randomly_negate": True}
    return [
        a.auto_contrast,
        a.equalize,
        a.invert,
        a.rotate.augmentation(mag_range=(0, 30), randomly_negate=True),
        a.posterize.augmentation(mag_range=(0, 4), mag_to_param=_posterized),
        a.solarize.augmentation(mag_range=(256, 0)),
        a.solarize_add.augmentation(mag_range=(0, 110)),
        a.color.augmentation(**shifted),
        a.contrast.augmentation(**shifted),
        a.brightness.augmentation(**shifted),
        a.sharpness.augmentation(**enhanced, mag_to_param=a.sharpness_kernel),
        a.shear_x.augmentation(mag_range=(0, 0.3), randomly_negate=True),
        a.shear_y.augmentation(mag_range=(0, 0.3), randomly_negate=True),
        a.translate_x.augmentation(**moved, mag_to_param=a.warp_x_param),
        a.translate_y.augmentation(**moved, mag_to_param=a.warp_y_param),
    ]


def rand_augment(images: Any, *, magnitude: int = 9) -> Any:
    """RandAugment as timm's "rand-m9-inc1" has it: two of fifteen operations, each with
    probability 1/2.

    images:    uint8 (H, W, 3), CPU or GPU, before they are mixed, in a pipeline with
               enable_conditionals=True
    magnitude: strength of the operations, a whole number from 0 to 10

    The operations are DALI's augmentations, with the ranges of timm's "increasing" transforms.
    timm's "mstd0.5" draws a magnitude around this one for each operation; here all have this one.
    Areas outside an image become grey, 128.
    """
    if not (is_whole(magnitude) and 0 <= magnitude <= 10):
        raise ValueError(f"magnitude must be a whole number from 0 to 10, got {magnitude!r}.")
    operations = _timm_operations()
    # What does nothing is as likely as the operations together.
    operations += [dali_augmentations.identity] * len(operations)
    bins = {"m": int(magnitude), "num_magnitude_bins": 11}
    return apply_rand_augment(operations, images, 2, **bins, shape=images.shape())


def three_augment(images: Any, *, jitter: float = 0.3) -> Any:
    """3-Augment (Touvron et al. 2022, DeiT III): greyscale, solarization or Gaussian blur, one of
    them for each image, then colour jitter.

    images: uint8 (H, W, 3), CPU or GPU, before they are mixed
    jitter: brightness, contrast and saturation are multiplied by factors from 1 - jitter to
            1 + jitter, drawn uniformly; in [0, 1]

    Solarization inverts values from 128 on. The sigma of the blur is uniform from 0.1 to 2 pixels.
    Contrast is around 128; torchvision's ColorJitter takes the mean grey of the image, and draws
    the order of the three changes.
    """
    check_probability("jitter", jitter)
    kind = fn.random.uniform(values=[0, 1, 2], dtype=types.INT32)
    inverted = images ^ fn.cast((kind == 1) * 255, dtype=types.UINT8)
    images = dali_math.min(images, inverted)  # a value below 128 is less than its inverse
    blurred = fn.cast(kind == 2, dtype=types.INT32)
    sigma = fn.random.uniform(range=[0.1, 2.0]) * blurred
    images = fn.gaussian_blur(images, sigma=sigma, window_size=1 - blurred)

    def factor() -> Any:
        return 1 + float(jitter) * fn.random.uniform(range=[-1.0, 1.0])

    saturation = factor() * (kind != 0)
    return fn.color_twist(images, brightness=factor(), contrast=factor(), saturation=saturation)

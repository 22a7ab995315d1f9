"""The standard recipes as graph functions: an image folder to training and to validation batches.

    @pipeline_def(batch_size=256, num_threads=8, device_id=0)
    def training():
        return recipes.imagefolder_train("imagenet/train", dtype=types.FLOAT16)

An image folder holds one folder of images for each class. Whole programs are in pipelines/; what
turns a pipeline into a loader lives elsewhere.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dali_mix.fn as dmix  # before DALI, because it says in a sentence if DALI is missing
from dali_mix._class_folders import IMAGE_FILES, class_names, is_image
from dali_mix._image_list import Names, chosen
from dali_mix._method import is_whole
from dali_mix._reader import read
from dali_mix.methods import CutMix, Method, MixUp

# isort: split
from nvidia.dali import fn, types
from nvidia.dali import math as dali_math
from nvidia.dali.pipeline import Pipeline

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from dali_mix._arguments import Draw

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "IMAGE_FILES",
    "class_names",
    "header_checked",
    "imagefolder_train",
    "imagefolder_val",
    "is_image",
    "random_erasing",
]

IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
"""Of the red, green and blue channel, for pixels from 0 to 255."""
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_DEFAULT_METHODS = (MixUp(alpha=0.2), CutMix(alpha=1.0))


def imagefolder_train(
    root: str | os.PathLike[str],
    *,
    methods: Method | Sequence[Method] | None = _DEFAULT_METHODS,
    weights: Sequence[Any] | None = None,
    size: int | tuple[int, int] = 224,
    files: Names | None = None,
    classes: Sequence[str] | None = None,
    shard_id: int = 0,
    num_shards: int = 1,
    shuffle_seed: int = 0,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    mirror: float = 0.5,
    augment: Callable[[Any], Any] | None = None,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
    dtype: Any = types.FLOAT,
    layout: str = "CHW",
    device: str | None = None,
    **draw: Unpack[Draw],
) -> tuple[Any, ...]:
    """Training batches: random resized crop and horizontal flip, as torchvision's, then mixing.

    root:         folder with one folder of images for each class; grey and CMYK become RGB
    methods:      as in `dali_mix.fn.mix`; None: nothing is mixed, lam is 1 and y2 is y1
    weights:      relative weight of each method; default: all alike
    size:         output height and width in pixels, one number for both
    files:        the images to read: path of a list that `dali-mix check --fix-list` wrote, or
                  names relative to `root`; default: all in `root`
    classes:      names of the class folders in the order of their labels, as `class_names` of the
                  training set: labels are places in it. Folders without images may then be there,
                  or be missing; a folder of images that it does not name is an error. Default:
                  `class_names(root)`
    shard_id:     which of `num_shards` parts of the files to read, from 0
    shuffle_seed: of the order of the files; the same in every shard, unlike the pipeline's seed
    area, aspect: ranges of the random crop: share of the image's area, width over height
    mirror:       probability of a horizontal flip
    augment:      function in the graph from images to images, uint8 (H, W, 3) of the output size,
                  before they are mixed, such as `random_erasing`
    mean, std:    for pixels from 0 to 255
    dtype:        types.FLOAT, FLOAT16, UINT8 or INT8 (for bytes, choose mean and std to suit)
    layout:       "CHW" or "HWC"
    device:       "cpu" or "gpu"; default: the GPU of the pipeline, if it has one
    draw:         per, prob, partner … as in `dali_mix.fn.plan`
    returns:      (x, y1, y2, lam), or (x, ys, weights) of methods that mix more than two images, as
                  `dali_mix.fn.mix`, on `device`; labels are places in `classes`, int32 of shape
                  (1,)

    The reader is named "Reader" and shuffles all files anew for every epoch. It pads each shard
    with its last file, so that all shards have the same number of batches: iterate with
    `dali_mix.MixLoader`. DALI's own iterators may put out a batch of copies of one file, even with
    `LastBatchPolicy.DROP`.
    """
    height, width = _checked_size(size)
    _check_probability("mirror", mirror)
    _check_range("area", area, 1, zero=True, equal=True)
    _check_range("aspect", aspect, math.inf, equal=True)
    if not is_whole(shuffle_seed):
        raise ValueError(f"shuffle_seed must be a whole number, got {shuffle_seed!r}.")
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a function of images, got {augment!r}.")
    # A true shuffle of all files, unlike random_shuffle, which only stirs a buffer.
    order = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": shuffle_seed}
    encoded, labels = _read(root, files, classes, shard_id, num_shards, **order)
    images = fn.decoders.image_random_crop(
        encoded,
        device=_decoder_device(device),
        output_type=types.RGB,
        random_area=list(area),
        random_aspect_ratio=list(aspect),
    )
    images = fn.resize(images, size=(height, width), interp_type=types.INTERP_LINEAR)
    return dmix.mix(
        images if augment is None else augment(images),
        labels,
        MixUp(alpha=0) if methods is None else methods,
        weights=None if methods is None else weights,
        mirror=fn.random.coin_flip(probability=mirror) if mirror else 0,
        mean=mean,
        std=std,
        dtype=dtype,
        output_layout=layout,
        **draw,
    )


def imagefolder_val(
    root: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] = 224,
    resize: int | None = None,
    files: Names | None = None,
    classes: Sequence[str] | None = None,
    shard_id: int = 0,
    num_shards: int = 1,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
    dtype: Any = types.FLOAT,
    layout: str = "CHW",
    device: str | None = None,
) -> tuple[Any, Any]:
    """Validation batches: the shorter side resized, the centre cropped, nothing random.

    resize:  length of the shorter side in pixels; default: 256 for 224, and in that proportion
    returns: (x, y), on `device`; y is int32 of shape (1,)

    The other arguments are those of `imagefolder_train`. The reader is named "Reader", keeps the
    order of the files, and pads each shard with its last file: `dali_mix.MixLoader`, or
    `LastBatchPolicy.PARTIAL` in DALI's iterators, cuts the copies off, so that every file counts
    once.
    """
    height, width = _checked_size(size)
    shorter = round(max(height, width) * 256 / 224) if resize is None else resize
    if not (isinstance(shorter, numbers.Real) and max(height, width) <= shorter < math.inf):
        rule = f"finite and at least the size of the crop, {height}x{width} pixels"
        raise ValueError(f"resize must be {rule}, got {shorter!r}.")
    decoder = _decoder_device(device)
    encoded, labels = _read(root, files, classes, shard_id, num_shards, stick_to_shard=True)
    images = fn.decoders.image(encoded, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=shorter, mode="not_smaller", interp_type=types.INTERP_LINEAR)
    unmixed = dmix.Plan(partner=None, blend=None, box=None, lam=None, size=None)
    x = dmix.apply(
        images,
        unmixed,
        crop=(height, width),
        mean=mean,
        std=std,
        dtype=dtype,
        output_layout=layout,
    )
    return x, fn.dali_mix.upload(labels, device="mixed") if decoder == "mixed" else labels


def random_erasing(
    images: Any,
    *,
    prob: float = 0.25,
    area: tuple[float, float] = (0.02, 1 / 3),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
    fill: Any = None,
) -> Any:
    """Paint over one rectangle of some images (Zhong et al. 2020); the ranges are timm's defaults.

    images:  uint8 (H, W, 3), CPU or GPU, that are not mixed yet: a rectangle painted over a mixed
             image hides pixels of either, which lam does not know of
    prob:    probability in [0, 1] that an image loses a rectangle
    area:    range in (0, 1] of its share of the image, drawn uniformly
    aspect:  range of its height over its width, drawn log-uniformly
    fill:    red, green and blue, numbers or a DALI tensor; default: one colour for each image, from
             normal distributions with IMAGENET_MEAN and IMAGENET_STD, cut to [0, 255]

    The place is drawn uniformly among those inside the image. A side longer than the image is cut
    to it.
    """
    _check_probability("prob", prob)
    _check_range("area", area, 1)
    _check_range("aspect", aspect, math.inf)
    if fill is None:
        mean, std = types.Constant([*IMAGENET_MEAN]), types.Constant([*IMAGENET_STD])
        fill = dali_math.clamp(fn.random.normal(shape=[3]) * std + mean, 0.0, 255.0)
    whole = fn.cast(images.shape()[:2], dtype=types.FLOAT)
    share = fn.random.uniform(range=[*area]) * whole[0] * whole[1]
    stretch = fn.random.uniform(range=[math.log(bound) / 2 for bound in aspect])
    sides = dali_math.sqrt(share) * dali_math.exp(fn.stack(stretch, -stretch))
    sides = dali_math.min(dali_math.floor(sides + 0.5), whole)
    anchor = dali_math.floor(fn.random.uniform(range=[0, 1], shape=[2]) * (whole - sides + 1))
    erased = fn.random.coin_flip(probability=prob)
    return fn.erase(images, anchor=anchor, shape=sides * erased, axis_names="HW", fill_value=fill)


def header_checked(encoded: Any) -> Any:
    """Encoded images, once the headers of the whole batch have been read without fault.

    encoded: from a reader, on the CPU; comes back as it is

    To be put before a decoder. A header that cannot be read fails the pipeline here, with an error
    that `MixLoader` can explain. The decoders of DALI 2.4 fail as well, but let other threads go on
    with what has been freed: batches of more than about four images a thread often end the whole
    process, by a segmentation fault.
    """
    shape = fn.peek_image_shape(encoded, dtype=types.INT32)
    # -1: as long as it is. The decoder waits for this number, and so for all headers.
    return fn.reshape(encoded, shape=dali_math.clamp(shape[:1], -1, -1))


def _read(
    root: str | os.PathLike[str],
    files: Names | None,
    classes: Sequence[str] | None,
    shard_id: int,
    num_shards: int,
    **order: Any,
) -> tuple[Any, Any]:
    """Encoded images and labels of one shard."""
    if not (is_whole(shard_id) and is_whole(num_shards)):
        raise ValueError(
            f"shard_id and num_shards must be whole numbers, got {shard_id!r} and {num_shards!r}."
        )
    if not 0 <= shard_id < num_shards:
        raise ValueError(
            f"shard_id must lie in [0, num_shards), got {shard_id} with num_shards {num_shards}."
        )
    encoded, labels = read(
        root,
        chosen(files, root, classes),
        name="Reader",
        shard_id=shard_id,
        num_shards=num_shards,
        pad_last_batch=True,
        **order,
    )
    return header_checked(encoded), labels


def _checked_size(size: Any) -> tuple[int, int]:
    try:
        height, width = (size, size) if is_whole(size) else size
        right = is_whole(height) and is_whole(width)
    except (TypeError, ValueError):  # not two
        right = False
    if not right:
        raise ValueError(f"size must be whole pixels, one number or (height, width), got {size!r}.")
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least one pixel each way, got {size}.")
    return int(height), int(width)


def _check_range(
    name: str, ends: Any, most: float, *, zero: bool = False, equal: bool = False
) -> None:
    """`zero`: it may begin at 0; `equal`: both ends may be the same."""
    try:
        low, high = ends
        begins = low >= 0 if zero else low > 0
        ends_later = low <= high if equal else low < high
        right = begins and ends_later and high <= most and high < math.inf
    except (TypeError, ValueError):  # not two, or no numbers
        right = False
    if not right:
        first, second = "<=" if zero else "<", "<=" if equal else "<"
        rule = f"0 {first} low {second} high {'< inf' if math.isinf(most) else f'<= {most}'}"
        raise ValueError(f"{name} must be (low, high) with {rule}, got {ends!r}.")


def _check_probability(name: str, value: Any) -> None:
    if not (isinstance(value, numbers.Real) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must be a probability in [0, 1], got {value!r}.")


def _decoder_device(device: str | None) -> str:
    """What DALI's decoders call it: "cpu", or "mixed" for images that end on the GPU."""
    if device is None:
        pipeline = Pipeline.current()
        device = "cpu" if pipeline is None or pipeline.device_id is None else "gpu"
    if device not in ("cpu", "gpu"):
        raise ValueError(f'device must be "cpu" or "gpu", got {device!r}.')
    return "mixed" if device == "gpu" else "cpu"

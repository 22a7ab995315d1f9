"""The standard recipes as graph functions: an image folder to training and to validation batches.

    @pipeline_def(batch_size=256, num_threads=8, device_id=0)
    def training():
        return recipes.imagefolder_train("imagenet/train", dtype=types.FLOAT16)

An image folder holds one folder of images for each class. `dali_mix.MixLoader` iterates over such
a pipeline. Whole programs are in pipelines/.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dali_mix.fn as dmix  # before DALI, because it says in a sentence if DALI is missing
from dali_mix import migrate
from dali_mix.graph.arguments import Draw
from dali_mix.graph.augmentations import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    rand_augment,
    random_erasing,
    three_augment,
)
from dali_mix.graph.checks import as_methods, images_of
from dali_mix.graph.door import spelled_out
from dali_mix.graph.recipe_arguments import (
    check_probability,
    check_range,
    checked_size,
    decoder_device,
    size_of_resize,
)
from dali_mix.graph.schedule import Scheduled
from dali_mix.images.class_folders import IMAGE_FILES, class_names, is_image
from dali_mix.images.image_list import Names
from dali_mix.images.reader import header_checked, shard_of
from dali_mix.methods import CutMix, Method, MixUp
from dali_mix.methods.method import is_whole

# isort: split
from nvidia.dali import fn, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import Pipeline, do_not_convert

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "IMAGE_FILES",
    "class_names",
    "header_checked",
    "imagefolder_train",
    "imagefolder_val",
    "is_image",
    "published",
    "rand_augment",
    "random_erasing",
    "three_augment",
]

REPEATED_PLAN = "plan=True cannot be combined with repeats, each of which has its own plan."
_DEFAULT_METHODS = (MixUp(alpha=0.2), CutMix(alpha=1.0))


@spelled_out
def imagefolder_train(
    root: str | os.PathLike[str],
    *,
    methods: Method | Sequence[Method] | None = _DEFAULT_METHODS,
    weights: Sequence[Any] | None = None,
    size: int | Scheduled | tuple[int | Scheduled, int | Scheduled] = 224,
    files: Names | None = None,
    classes: Sequence[str] | None = None,
    shard_id: int = 0,
    num_shards: int = 1,
    shuffle_seed: int = 0,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    mirror: float = 0.5,
    repeats: int = 1,
    augment: Callable[[Any], Any] | None = None,
    interpolation: Any = types.INTERP_LINEAR,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
    dtype: Any = types.FLOAT,
    layout: str = "CHW",
    device: str | None = None,
    plan: bool = False,
    **draw: Unpack[Draw],
) -> tuple[Any, ...]:
    """Training batches: random resized crop and horizontal flip, as torchvision's, then mixing.

    root:         folder with one folder of images for each class; grey and CMYK become RGB
    methods:      as in `dali_mix.fn.mix`; None: nothing is mixed, lam is 1 and y2 is y1
    weights:      relative weight of each method; default: all equal
    size:         output height and width in pixels, one number for both; a `dali_mix.Scheduled` may
                  change while the pipeline runs
    files:        the images to read: path of a list that `dali-mix check --fix-list` wrote, or
                  names relative to `root`; default: all images in `root`
    classes:      names of the class folders; a class has its index in this list as label. A named
                  folder may be empty or missing. A folder with images must be named. Default:
                  `class_names(root)`; for validation pass the `class_names` of the training set
    shard_id:     which of `num_shards` parts of the files to read, from 0
    shuffle_seed: seed of the order of the files. Pass the same to every shard; only the seeds of
                  their pipelines should differ
    area, aspect: ranges of the random crop: its share of the image's area, its width over height
    mirror:       probability of a horizontal flip
    repeats:      repeated augmentation (Hoffer et al. 2020): each image is decoded once, and gives
                  so many crops, which are augmented and mixed apart. A crop is never mixed with
                  one of the same image
    augment:      function that changes the images in the graph before they are mixed, such as
                  `random_erasing`. It takes and returns uint8 (H, W, 3) of the output size.
                  `rand_augment` and what is in nvidia.dali.auto_aug need
                  @pipeline_def(enable_conditionals=True)
    interpolation: of the resize, such as types.INTERP_CUBIC; it is antialiased
    mean, std:    for pixels from 0 to 255
    dtype:        types.FLOAT, FLOAT16, UINT8 or INT8 (for bytes, choose mean and std to suit)
    layout:       "CHW" or "HWC"
    device:       "cpu" or "gpu"; default: the GPU of the pipeline, if it has one
    plan:         also put out the columns of the plan, last, for MixLoader(plan=True)
    returns:      (x, y1, y2, lam), or (x, ys, weights) if a method mixes more than two images, as
                  `dali_mix.fn.mix`, on `device`; labels are int32 of shape (1,). With repeats, so
                  many of these one after the other, which MixLoader(repeats=…) makes one batch

    The reader is named "Reader" and shuffles all files anew for every epoch. It pads each shard
    with copies of its last file, so that all shards have the same number of batches. Iterate with
    `dali_mix.MixLoader`, which drops the copies. DALI's own iterators may return a batch of copies
    of one file, even with `LastBatchPolicy.DROP`.
    """
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a function of images, got {augment!r}.")
    read = (root, files, classes, shard_id, num_shards, shuffle_seed)
    if plan and repeats != 1:
        raise ValueError(REPEATED_PLAN)
    crops, labels = _random_crops(*read, size, interpolation, area, aspect, mirror, device, repeats)
    output = {"mean": mean, "std": std, "dtype": dtype, "output_layout": layout}
    outputs: list[Any] = []
    for images in crops:
        if augment is not None:
            images = augment(images)
        outputs += _mixed(images, labels, methods, weights, mirror, output, draw, plan)
    return tuple(outputs)


# A pipeline with conditionals translates its Python code. Only `augment` may need that; for the
# rest of a recipe it would only take long.
@do_not_convert
def _random_crops(
    root: str | os.PathLike[str],
    files: Names | None,
    classes: Sequence[str] | None,
    shard_id: int,
    num_shards: int,
    shuffle_seed: int,
    size: Any,
    interpolation: Any,
    area: Any,
    aspect: Any,
    mirror: float,
    device: str | None,
    repeats: int,
) -> tuple[list[Any], Any]:
    """`repeats` crops of each image, uint8 (H, W, 3) of `size`, and their labels."""
    sides = size_of_resize(size)
    check_probability("mirror", mirror)
    check_range("area", area, 1, zero=True, equal=True)
    check_range("aspect", aspect, math.inf, equal=True)
    if not (is_whole(repeats) and repeats >= 1):
        raise ValueError(f"repeats must be a whole number, at least 1, got {repeats!r}.")
    if not is_whole(shuffle_seed):
        raise ValueError(f"shuffle_seed must be a whole number, got {shuffle_seed!r}.")
    # This shuffles all files; random_shuffle only shuffles within a buffer.
    order = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": shuffle_seed}
    encoded, labels = shard_of(root, files, classes, shard_id, num_shards, **order)
    decoder = {"device": decoder_device(device), "output_type": types.RGB}
    window: dict[str, Any] = {"random_area": [*area], "random_aspect_ratio": [*aspect]}
    resize: dict[str, Any] = {"size": sides, "interp_type": interpolation}
    if repeats == 1:  # decodes no more than the crop
        crop = fn.decoders.image_random_crop(encoded, **decoder, **window)
        return [fn.resize(crop, **resize)], labels
    images = fn.decoders.image(encoded, **decoder)
    if isinstance(sides, DataNode):
        raise ValueError("size must be whole pixels with repeats, got a Scheduled.")
    return [fn.random_resized_crop(images, **window, **resize) for _ in range(repeats)], labels


@do_not_convert
def _mixed(
    images: Any,
    labels: Any,
    methods: Method | Sequence[Method] | None,
    weights: Sequence[Any] | None,
    mirror: float,
    output: dict[str, Any],
    draw: Any,
    with_plan: bool,
) -> tuple[Any, ...]:
    if not isinstance(images, DataNode):
        raise TypeError(
            f"augment must return the images that it was given, changed, got {images!r}."
        )
    output = output | {"mirror": fn.random.coin_flip(probability=mirror) if mirror else 0}
    if methods is None:
        methods, weights = MixUp(alpha=0), None
    if not with_plan:
        return dmix.mix(images, labels, methods, weights=weights, **output, **draw)
    plan = dmix.plan(images, labels, methods, weights=weights, **draw)
    x, count = dmix.apply(images, plan, **output), images_of(as_methods(methods))
    ys = dmix.pair_labels(labels, plan, images=count)
    targets = (*(ys if count == 2 else (fn.stack(*ys),)), plan.lam)
    if images.device == "gpu":
        targets = tuple(map(_on_gpu, targets))
    return x, *targets, *plan.columns


@do_not_convert
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

    resize:  length of the shorter side in pixels; default: 256/224 of the larger side of `size`,
             but images that have the size are taken whole
    returns: (x, y), on `device`; y is int32 of shape (1,)

    The other arguments are those of `imagefolder_train`. The reader is named "Reader", keeps the
    order of the files, and pads each shard with copies of its last file. `dali_mix.MixLoader` cuts
    the copies off, so that every file counts once. So does `LastBatchPolicy.PARTIAL` in DALI's
    iterators.
    """
    height, width = checked_size(size)
    shorter = round(max(height, width) * 256 / 224) if resize is None else resize
    if not (isinstance(shorter, numbers.Real) and max(height, width) <= shorter < math.inf):
        rule = f"finite and at least the size of the crop, {height}x{width} pixels"
        raise ValueError(f"resize must be {rule}, got {shorter!r}.")
    decoder = decoder_device(device)
    encoded, labels = shard_of(root, files, classes, shard_id, num_shards, stick_to_shard=True)
    images = fn.decoders.image(encoded, device=decoder, output_type=types.RGB)
    pipeline = Pipeline.current()
    if resize is None and (images.device == "cpu" or (pipeline and pipeline.exec_dynamic)):
        sides = images.shape()
        whole = (sides[0] == height) * (sides[1] == width)
        shorter = fn.cast(shorter - whole * (shorter - min(height, width)), dtype=types.FLOAT)
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
    return x, _on_gpu(labels) if decoder == "mixed" else labels


def _on_gpu(values: Any) -> Any:
    ops: Any = fn
    return ops.dali_mix.upload(values, device="mixed")


def _augment_and_erase(images: Any, *, magnitude: int) -> Any:
    return random_erasing(rand_augment(images, magnitude=magnitude), fill="noise")


_TRANSFORMER = (0.8, 224, partial(_augment_and_erase, magnitude=9))
_PUBLISHED: dict[str, tuple[float, int, Callable[[Any], Any]]] = {
    "A1": (0.2, 224, partial(rand_augment, magnitude=7)),
    "A2": (0.1, 224, partial(rand_augment, magnitude=7)),
    "A3": (0.1, 160, partial(rand_augment, magnitude=6)),
    "DeiT": _TRANSFORMER,
    "Swin": _TRANSFORMER,
    "ConvNeXt": _TRANSFORMER,
    "DeiT III": (0.8, 224, partial(three_augment, jitter=0.3)),
}
"""Alpha of mixup, size in pixels, and augmentation."""


def published(name: str) -> dict[str, Any]:
    """Arguments of `imagefolder_train`, and of `MixLoader.from_imagefolder`, for a known training:

        MixLoader.from_imagefolder(root, batch_size=256, **recipes.published("DeiT III"))

    name: "A1", "A2" or "A3" (Wightman et al. 2021, ResNet strikes back), "DeiT" (Touvron et al.
          2021, and timm's vision transformers), "DeiT III" (Touvron et al. 2022), "Swin" (Liu et
          al. 2021), "ConvNeXt" (Liu et al. 2022)

    Change single arguments by `recipes.published(name) | {"size": 384}`. Mixing is drawn as timm
    draws it, once for the batch. A pipeline of your own needs enable_conditionals=True. What is not
    of the images (loss, repeated augmentation, optimizer), and what differs from the published
    programs, is on the page about recipes.
    """
    if name not in _PUBLISHED:
        names = ", ".join(map(repr, _PUBLISHED))
        raise ValueError(f"name must be one of {names}, got {name!r}.")
    alpha, size, augment = _PUBLISHED[name]
    mixing = migrate.from_timm(mixup_alpha=alpha, cutmix_alpha=1.0)
    return {"size": size, "augment": augment, "interpolation": types.INTERP_CUBIC, **mixing}

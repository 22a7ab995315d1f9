"""Tensors mixed as the pipeline has mixed the images: the plan in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dali_mix.plan import Plan
from dali_mix.training.batch_target import describe
from dali_mix.training.plan_tensors import checked, images_of, partners_of
from dali_mix.training.views import Mix, View, nearest_pixels, smaller

__all__ = ["apply", "apply_mask", "pair_labels"]


def apply(
    tensor: Tensor,
    plan: Plan,
    *,
    others: Tensor | None = None,
    mirror: Tensor | None = None,
    layout: str | None = None,
    grid: Sequence[int] | None = None,
) -> Tensor:
    """Mix any tensor of a batch as `dali_mix.fn.apply` mixed its images.

    tensor:  N samples in floating point: feature maps, logits or images (N, C, H, W), maps
             (N, H, W) with layout="HW", tokens (N, L, …) with `grid`, or values without a place,
             (N,) or (N, C). H and W are its own: the plan is scaled to them, as
             `dali_mix.fn.resized` does
    plan:    of tensors, as MixLoader(plan=True) gives it, on the device of the tensor. A plan on
             the CPU is copied to a GPU at every call
    others:  what `tensor` is, for the second batch: that of `second=`, or the batch before with
             partner="previous". Image i of it has index N + i in the plan
    mirror:  N values; where they are not 0, the tensor is flipped along W first, if `tensor` is of
             images before the `mirror=` that they were mixed with
    layout:  the axes of one sample, by the letters of DALI, such as "HW", "HWC", "FCHW" or "CDHW";
             default: "CHW", and without a place "C" and ""
    grid:    (h, w) of tokens (N, L, …), the last h*w of L, row by row; (t, h, w) for videos. Tokens
             before them, such as a class token, see the whole image: they are mixed by lam
    returns: the mixed tensor, of the same shape, dtype and device

    Gradients flow to both images of a pair. No GPU is waited for. Values without a place are mixed
    by lam. With float32 the result is that of `dali_mix.fn.apply` to the bit, where torch.addcmul
    is a fused multiply-add, as in PyTorch 2.13. ResizeMix is different: partners that are made
    smaller agree up to rounding.

    The sample must be in the place that its image has after crop and mirror. A ValueError tells
    what cannot be followed. Values of the plan are checked on the CPU only.
    """
    if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
        given = describe(tensor) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(
            f"apply blends, so it takes floating point tensors, got {given}; use apply_mask for "
            "maps of classes, pair_labels for class ids, or tensor.float()."
        )
    dtype = torch.promote_types(tensor.dtype, torch.float32)

    def blended(images: list[Tensor], weights: Sequence[Tensor]) -> Tensor:
        total = tensor.new_zeros((), dtype=dtype)
        for image, weight in zip(images[::-1], weights[::-1], strict=True):
            weight = weight.to(dtype)
            # Where its weight is 0 an image is not read: a NaN there has no effect.
            more = torch.addcmul(total, image.to(dtype), weight)
            total = torch.where(weight != 0, more, total)
        return total.to(tensor.dtype)

    (mixed,) = View(tensor, plan, others, mirror, layout, grid).mixed([blended], smaller)
    return mixed


def apply_mask(
    maps: Tensor,
    plan: Plan,
    *,
    count: int = 2,
    others: Tensor | None = None,
    mirror: Tensor | None = None,
    layout: str | None = None,
    grid: Sequence[int] | None = None,
) -> tuple[Tensor, ...]:
    """Cut maps as `dali_mix.fn.apply_mask` does. Values are copied, never blended.

    maps:    N maps of any dtype, such as class ids (N, H, W) or the pixels to ignore
    count:   how many maps to make: one for each image that a sample mixes. 1 is enough if all
             methods cut
    returns: `count` tensors like `maps`. Where images are blended, the first has the own values
             and the second the partner's; lam weighs their two losses. Where images are cut, all
             are equal

    plan, others, mirror, layout and grid are as in `apply`; the layout of integers (N, H, W) is
    known.
    """
    view = View(maps, plan, others, mirror, layout, grid)
    if not view.placed:
        raise ValueError(
            f"maps must have a height and a width, got {describe(maps)}; labels without a place "
            "are paired, by pair_labels."
        )
    if not 1 <= count <= max(images_of(plan), 2):
        most = max(images_of(plan), 2)
        raise ValueError(f"count must be a whole number from 1 to {most}, got {count}.")

    def copied(k: int) -> Mix:
        def chosen(images: list[Tensor], weights: Sequence[Tensor]) -> Tensor:
            # A blend shows image k, or the own one if that has no weight.
            alone = sum((weight != 0).int() for weight in weights) == 1
            shown = images[0]
            for j, (image, weight) in enumerate(zip(images, weights, strict=True)):
                here = weight != 0 if j == k else (weight != 0) & alone
                shown = torch.where(here, image, shown)
            return shown

        return chosen

    return tuple(view.mixed([copied(k) for k in range(count)], nearest_pixels))


def pair_labels(labels: Tensor, plan: Plan, *, second: Tensor | None = None) -> tuple[Tensor, ...]:
    """The own labels and those of the partners, K tensors like `labels`: (y1, y2) of a pair.

    labels: (N, …) of any dtype, such as the class ids of a teacher
    second: labels of the second batch, if the plan takes partners from one

    MixTarget(*pair_labels(labels, plan), plan.lam) is the target of the mixed images.
    """
    plan = checked(plan, labels, 1 if second is None else 2)
    every = labels if second is None else torch.cat([labels, second])
    return labels, *(every.index_select(0, partner) for partner in partners_of(plan))

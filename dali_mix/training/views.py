"""A tensor as a plan sees it: which of its axes are places, and which images show in it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from dali_mix.plan import Plan
from dali_mix.training.batch_target import check_range, describe
from dali_mix.training.plan_tensors import checked, partners_of, scaled, shares_of, weights_of

_LAYOUTS = {1: "", 2: "C", 3: "HW", 4: "CHW"}
Mix: TypeAlias = Callable[[list[Tensor], Sequence[Tensor]], Tensor]
"""Makes the output of K images and their weights, which broadcast."""
Shrink: TypeAlias = Callable[[Tensor, int, int, Tensor, Tensor], Tensor]
"""Resizes the partner to the box, along one axis at a time."""


class View:
    """A tensor as the plan sees it: which of its axes are places, and which image shows in it."""

    def __init__(
        self,
        tensor: Tensor,
        plan: Plan,
        others: Tensor | None,
        mirror: Tensor | None,
        layout: str | None,
        grid: Sequence[int] | None,
    ) -> None:
        if not isinstance(tensor, Tensor) or tensor.dim() == 0:
            given = "a tensor without dimensions" if isinstance(tensor, Tensor) else type(tensor)
            raise TypeError(f"what is mixed must be a tensor of N samples, got {given}.")
        if others is not None and (others.shape, others.dtype) != (tensor.shape, tensor.dtype):
            raise ValueError(
                f"others must be like the tensor, {describe(tensor)}, got {describe(others)}."
            )
        self.plan = checked(plan, tensor, 1 if others is None else 2)
        self.tensor, self.others, self.mirror = tensor, others, mirror
        self.front = 0  # tokens without a place
        self.grid = None if grid is None else tuple(grid)
        if self.grid is None:
            self.layout = _layout(tensor, layout)
        else:
            self._check_grid(tensor, layout)
            self.layout = "FHW"[-len(self.grid) :] + "C" * (tensor.dim() - 2)
            self.front = tensor.shape[1] - math.prod(self.grid)
        self.placed = "H" in self.layout
        if mirror is not None and mirror.numel() != tensor.shape[0]:
            raise ValueError(
                f"mirror must hold one value for each of {tensor.shape[0]} samples, got "
                f"{describe(mirror)}."
            )

    def _check_grid(self, tensor: Tensor, layout: str | None) -> None:
        assert self.grid is not None
        if layout is not None:
            raise ValueError("layout cannot be combined with grid: tokens are (N, L, …).")
        fits = tensor.dim() > 1 and 0 < math.prod(self.grid) <= tensor.shape[1]
        if len(self.grid) not in (2, 3) or not fits:
            raise ValueError(
                "grid must be (h, w) or (t, h, w) with at most L tokens in all, for a tensor "
                f"(N, L, …), got {self.grid} and {tuple(tensor.shape)}."
            )

    def mixed(self, mixes: Sequence[Mix], shrink: Shrink) -> list[Tensor]:
        """For each of `mixes` the tensor, mixed so."""
        if not self.placed:
            images, shares = self._seen(self.tensor, self.others), self._shares(self.tensor.dim())
            return [mix(images, shares) for mix in mixes]
        if self.grid is None:
            return self._mixed(self.tensor, self.others, mixes, shrink)
        front, tokens = self.tensor.tensor_split((self.front,), 1)
        ahead, rest = None, None
        if self.others is not None:
            ahead, rest = self.others.tensor_split((self.front,), 1)
            rest = rest.unflatten(1, self.grid)
        bodies = self._mixed(tokens.unflatten(1, self.grid), rest, mixes, shrink)
        bodies = [body.flatten(1, len(self.grid)) for body in bodies]
        if not self.front:
            return bodies
        images, shares = self._seen(front, ahead), self._shares(front.dim())
        fronts = (mix(images, shares) for mix in mixes)
        return [torch.cat(parts, 1) for parts in zip(fronts, bodies, strict=True)]

    def _seen(self, tensor: Tensor, others: Tensor | None) -> list[Tensor]:
        every = tensor if others is None else torch.cat([tensor, others])
        return [tensor, *(every.index_select(0, j) for j in partners_of(self.plan))]

    def _shares(self, dimensions: int) -> list[Tensor]:
        if self.plan.lam is None:
            raise ValueError("values without a place are mixed by lam, and the plan has none.")
        return [share.view(-1, *(1,) * (dimensions - 1)) for share in shares_of(self.plan)]

    def _mixed(
        self, tensor: Tensor, others: Tensor | None, mixes: Sequence[Mix], shrink: Shrink
    ) -> list[Tensor]:
        h, w = self.layout.index("H") + 1, self.layout.index("W") + 1
        size = tensor.shape[h], tensor.shape[w]
        frames = tensor.shape[self.layout.index("F") + 1] if "F" in self.layout else None
        if self.plan.frames is not None and frames is None:
            raise ValueError(
                f"the boxes of the plan are in some frames, and a tensor {tuple(tensor.shape)} of "
                f"layout {self.layout!r} has none; name them, as layout='FCHW' does."
            )
        if self.mirror is not None:
            flips = self.mirror.to(tensor.device, non_blocking=True).reshape(-1) != 0
            flips = flips.view(-1, *(1,) * (tensor.dim() - 1))
            tensor = torch.where(flips, tensor.flip(w), tensor)
            others = None if others is None else torch.where(flips, others.flip(w), others)
        self._check_offsets()
        plan = scaled(self.plan, size, frames)
        images = self._seen(tensor, others)
        if plan.offset is not None:
            for k in range(1, len(images)):
                for axis, at in ((h, 0), (w, 1)):
                    start = plan.offset[:, k - 1, at : at + 1]
                    images[k] = _taken(images[k], axis, start, tensor.shape[axis])
        if plan.fit is not None and len(images) > 1:
            shrunk = images[1]
            for axis, at in ((h, 0), (w, 1)):
                begin = plan.box[:, 0, at : at + 1]
                shrunk = shrink(shrunk, axis, tensor.shape[axis], begin, plan.fit[:, at : at + 1])
            fitted = (plan.fit[:, 0] > 0).view(-1, *(1,) * (tensor.dim() - 1))
            images[1] = torch.where(fitted, shrunk, images[1])
        weights = weights_of(plan, tensor, size, frames)
        axes = "FHW" if weights.dim() == 5 else "HW"
        shown = [_along(weight, axes, self.layout) for weight in weights.unbind(1)]
        return [mix(images, shown) for mix in mixes]

    def _check_offsets(self) -> None:
        """Refuses a plan whose partners are larger or smaller than its outputs."""
        plan = self.plan
        if plan.offset is None or plan.size is None or plan.box is None:
            return
        box = plan.box if plan.box.dim() == 3 else plan.box.unsqueeze(1)
        shown = (box[..., 2:] > box[..., :2]).all(-1, keepdim=True)
        room = plan.size[:, None, -2:] - (box[..., 2:] + plan.offset)
        low, high = (torch.where(shown, v, 0) for v in (box[..., :2] + plan.offset, room))
        sentence = (
            "the plan must take partners of the size of the output, as all samples of a tensor "
            "are, got an offset beyond that size; mix such images in the pipeline."
        )
        check_range(torch.stack([low, high]), 0, math.inf, sentence)


def _layout(tensor: Tensor, layout: str | None) -> str:
    """The axes of one sample. Slices of volumes are frames."""
    if layout is None:
        if tensor.dim() == 3 and tensor.is_floating_point():
            raise ValueError(
                f"a tensor {tuple(tensor.shape)} may hold maps or tokens; say layout='HW' or "
                "grid=(h, w)."
            )
        if tensor.dim() not in _LAYOUTS:
            raise ValueError(
                f"a tensor of {tensor.dim()} dimensions needs its layout, such as layout='FCHW', "
                "or 'CDHW' for volumes."
            )
        return _LAYOUTS[tensor.dim()]
    named = layout.upper().replace("D", "F")
    if len(named) != tensor.dim() - 1 or any(named.count(axis) > 1 for axis in "FHW"):
        raise ValueError(
            f"layout must name the {tensor.dim() - 1} axes of one sample, such as 'CHW', got "
            f"{layout!r} for {tuple(tensor.shape)}."
        )
    if ("H" in named) != ("W" in named):
        raise ValueError(f"layout must name both H and W, or neither, got {layout!r}.")
    return named


def _along(values: Tensor, axes: str, layout: str) -> Tensor:
    """(N, axes…) with the axes in the order of the layout, and length 1 for its other axes."""
    order = sorted(axes, key=layout.index)
    values = values.permute(0, *(1 + axes.index(axis) for axis in order))
    for at, axis in enumerate(layout, 1):
        if axis not in axes:
            values = values.unsqueeze(at)
    return values


def _at(values: Tensor, axis: int, like: Tensor) -> Tensor:
    """(N, length) as a view that has the length along `axis`."""
    shape = [1] * like.dim()
    shape[0], shape[axis] = values.shape
    return values.view(shape)


def _taken(image: Tensor, axis: int, start: Tensor, length: int) -> Tensor:
    """The pixels from `start`, (N, 1), on along an axis; its last pixel again beyond its end."""
    at = torch.arange(length, device=image.device) + start
    return torch.take_along_dim(image, _at(at.clamp(0, length - 1), axis, image), axis)


def nearest_pixels(image: Tensor, axis: int, length: int, begin: Tensor, side: Tensor) -> Tensor:
    """An axis made as long as `side`, (N, 1), from pixel `begin` on. Pixels are copied."""
    at = torch.arange(length, device=image.device) - begin
    at = ((2 * at + 1) * length).div(2 * side.clamp(1), rounding_mode="floor")
    return torch.take_along_dim(image, _at(at.clamp(0, length - 1), axis, image), axis)


def smaller(image: Tensor, axis: int, length: int, begin: Tensor, side: Tensor) -> Tensor:
    """The same by a triangular filter, as fn.resize makes images smaller: pixels on the edge stand
    for those beyond it."""
    beyond = length // 2 + 1  # the filter is as wide as two pixels of the result
    pixels = torch.arange(-beyond, length + beyond, device=image.device)
    scale = length / side.clamp(1).float().unsqueeze(2)
    center = (pixels[beyond:-beyond] - begin + 0.5).unsqueeze(2) * scale
    taps = (1 - (pixels + 0.5 - center).abs() / scale).clamp(0)
    taps = taps / taps.sum(2, keepdim=True).clamp(1e-6)
    seen = image.movedim(axis, -1).index_select(-1, pixels.clamp(0, length - 1))
    dtype = torch.promote_types(image.dtype, taps.dtype)
    kind, without = image.device.type, contextlib.ExitStack()
    with without:
        if torch.amp.is_autocast_available(kind):
            without.enter_context(torch.autocast(kind, enabled=False))
        shrunk = seen.to(dtype).flatten(1, -2) @ taps.to(dtype).transpose(1, 2)
    return shrunk.unflatten(1, seen.shape[1:-1]).movedim(-1, axis)

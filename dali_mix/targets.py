"""MixTarget: the two labels of every sample and the weight between them. No loss lives here.

Imports torch, never DALI.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MixTarget"]

_LARGEST_EXACT_FLOAT32 = 2**24


class _Triple(NamedTuple):
    y1: Tensor
    """(N, ...) own labels: class ids (integer) or label vectors, quantities (float)."""
    y2: Tensor
    """Like y1: the labels of the partners."""
    lam: Tensor
    """(N,) float32 in [0, 1]: the weight of y1; y2 weighs 1 - lam."""


class MixTarget(_Triple):
    """The target of a mixed batch of N samples.

    y1:  (N,), (N, 1) or (N, d1, ...) own labels. Integers of shape (N,) or (N, 1) become (N,) int64
         class ids; everything else keeps its shape and dtype: float (N, 1) is a regression target,
         (N, C) one label vector per sample, integer (N, H, W) a segmentation map.
    y2:  the partners' labels, with the shape, dtype and device of y1
    lam: weight of y1 in [0, 1]: (N,) or (N, 1), or one number for the whole batch; becomes (N,)
         float32, detached

    A ValueError or TypeError names what does not fit. The range of lam is checked on the CPU only:
    a GPU would have to be waited for. Where no part is a tensor all are kept as they are, so that
    frameworks can map over the triple.
    """

    __slots__ = ()

    def __new__(cls, y1: Tensor, y2: Tensor, lam: Tensor | float) -> MixTarget:
        if any(isinstance(part, Tensor) for part in (y1, y2, lam)):
            y1, y2, lam = checked_parts(y1, y2, lam)
        return super().__new__(cls, y1, y2, lam)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        parts = (f"{name}={_describe(part)}" for name, part in zip(self._fields, self, strict=True))
        return f"MixTarget({', '.join(parts)})"

    @property
    def batch_size(self) -> int:
        """N, the number of samples."""
        return self.lam.shape[0]

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> MixTarget:
        """The same target on `device`; dtypes stay."""
        return self._replace(
            y1=self.y1.to(device, non_blocking=non_blocking),
            y2=self.y2.to(device, non_blocking=non_blocking),
            lam=self.lam.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> MixTarget:
        """The same target in page-locked memory, whence copies to a GPU run in the background."""
        return self._replace(
            y1=self.y1.pin_memory(), y2=self.y2.pin_memory(), lam=self.lam.pin_memory()
        )

    def dense(self, num_classes: int, smoothing: float = 0.0) -> Tensor:
        """One probability vector per label: (N, C, d1, ...) float32 for ids (N, d1, ...).

        num_classes: C; every id must lie in [0, C), ids to ignore have no dense form
        smoothing:   e in [0, 1)

        Equivalent to timm's mixup target, with on = 1 - e + e/C and off = e/C:
            lam * one_hot(y1, on, off) + (1 - lam) * one_hot(y2, on, off)
        Float labels (N, C, d1, ...) are probabilities already: p becomes p * (1 - e) + e/C.
        """
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}.")
        off = smoothing / num_classes
        lam = broadcast_lam(self.lam, self.y1)
        if self.y1.is_floating_point():
            _check_columns(self.y1, num_classes)
            return torch.lerp(self.y2.float(), self.y1.float(), lam) * (1 - smoothing) + off
        ids = torch.stack((self.y1, self.y2), 1).long()
        _check_ids(ids, num_classes)
        share = torch.stack((lam, 1 - lam), 1).expand(ids.shape) * (1 - smoothing)
        shape = (ids.shape[0], num_classes, *ids.shape[2:])
        return torch.full(shape, off, device=share.device).scatter_add_(1, ids, share)

    def stacked(self) -> Tensor:
        """(N, 3) float32 with columns y1, y2, lam, as fastai v1 stacks them.

        Class ids of shape (N,) only, up to 2**24: float32 does not tell larger ones apart.
        """
        if self.y1.dim() != 1 or self.y1.is_floating_point():
            raise ValueError(
                f"stacked() needs class ids of shape (N,), got y1 {_describe(self.y1)}. "
                "Pass the MixTarget itself."
            )
        if (
            self.y1.numel()
            and max(self.y1.abs().max(), self.y2.abs().max()) > _LARGEST_EXACT_FLOAT32
        ):
            raise ValueError(
                "stacked() needs class ids up to 2**24, float32 cannot tell larger ones apart."
            )
        return torch.stack((self.y1.float(), self.y2.float(), self.lam), 1)

    @classmethod
    def from_stacked(cls, stacked: Tensor) -> MixTarget:
        """The MixTarget of class ids that `stacked()`, or fastai v1, wrote as (N, 3) floats."""
        if stacked.dim() != 2 or stacked.shape[1] != 3:
            raise ValueError(f"stacked must have shape (N, 3), got {tuple(stacked.shape)}.")
        return cls(stacked[:, 0].long(), stacked[:, 1].long(), stacked[:, 2])


def checked_parts(y1: Tensor, y2: Tensor, lam: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """The three parts as MixTarget promises them; a ValueError or TypeError if they do not fit."""
    for name, y in (("y1", y1), ("y2", y2)):
        if not isinstance(y, Tensor):
            raise TypeError(
                f"{name} must be a tensor, got {type(y).__name__}. Use torch.as_tensor({name})."
            )
    if y1.shape != y2.shape or y1.dtype != y2.dtype or y1.device != y2.device:
        raise ValueError(
            "y1 and y2 must have one shape, dtype and device, got "
            f"{_describe(y1)} and {_describe(y2)}. Take y2 from y1, as y1[partner]."
        )
    if y1.dim() == 0:
        raise ValueError(
            "y1 must have a batch dimension, got shape (). Use y1.unsqueeze(0) for a single sample."
        )
    if _holds_class_ids(y1):
        y1, y2 = y1.reshape(-1).long(), y2.reshape(-1).long()
    return y1, y2, _checked_lam(lam, y1)


def broadcast_lam(lam: Tensor, like: Tensor) -> Tensor:
    """lam (N,) as (N, 1, ..., 1), with as many dimensions as `like`."""
    return lam if like.dim() == 1 else lam.view(-1, *(1,) * (like.dim() - 1))


def _holds_class_ids(y: Tensor) -> bool:
    integer = not y.is_floating_point() and y.dtype != torch.bool
    return integer and (y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1))


def _checked_lam(lam: Tensor | float, y1: Tensor) -> Tensor:
    n = y1.shape[0]
    if not isinstance(lam, Tensor):
        if not isinstance(lam, (int, float)):
            raise TypeError(
                f"lam must be a tensor or a number, got {type(lam).__name__}. "
                "Use torch.as_tensor(lam)."
            )
        lam = torch.full((n,), float(lam), device=y1.device)
    if lam.device != y1.device:
        raise ValueError(
            f"lam must be on the device of the labels, {y1.device}, got {lam.device}. "
            "Use lam.to(…)."
        )
    if lam.dim() == 0:
        lam = lam.expand(n)
    if lam.shape != (n,):
        if lam.shape != (n, 1):
            raise ValueError(
                f"lam must have shape ({n},), one weight per sample, got {tuple(lam.shape)}."
            )
        lam = lam.squeeze(1)
    lam = lam.detach().float()
    if lam.device.type == "cpu" and n and not torch.compiler.is_compiling():
        _check_range(lam)
    return lam


def _check_range(lam: Tensor) -> None:
    low, high = (bound.item() for bound in lam.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"lam must lie in [0, 1], got values from {low} to {high}. It is the weight of y1."
        )


def _check_ids(ids: Tensor, num_classes: int) -> None:
    """On the CPU only; a GPU reports such an id by an assertion of its own."""
    if ids.device.type != "cpu" or not ids.numel():
        return
    low, high = (bound.item() for bound in ids.aminmax())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"class ids must lie in [0, {num_classes}), got ids from {low} to {high}. "
            "Ids to ignore have no dense form: use MixLoss."
        )


def _check_columns(y: Tensor, num_classes: int) -> None:
    if y.dim() < 2 or y.shape[1] != num_classes:
        raise ValueError(
            f"float labels must have shape (N, {num_classes}, …), got {tuple(y.shape)}."
        )


def _describe(part: object) -> str:
    if not isinstance(part, Tensor):
        return repr(part)
    return f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')} {part.device}"

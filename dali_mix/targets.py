"""MixTarget: the two labels of every sample and the weight between them. No loss lives here.

Imports torch, never DALI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dali_mix._batch_target import (
    BatchTarget,
    along_batch,
    as_labels,
    describe,
    holds_class_ids,
    known_range,
)

__all__ = ["MixTarget"]

_LARGEST_EXACT_FLOAT32 = 2**24


class _Triple(NamedTuple):
    y1: Tensor
    """(N, ...) own labels: class ids (integer) or label vectors, quantities (float)."""
    y2: Tensor
    """Like y1: the labels of the partners."""
    lam: Tensor
    """(N,) float32 in [0, 1]: the weight of y1; y2 weighs 1 - lam."""


class MixTarget(BatchTarget, _Triple):
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

    def __new__(cls, y1: Any, y2: Any = None, lam: Any = None) -> MixTarget:
        return cls._rebuilt(y1, y2, lam)

    @classmethod
    def _checked(cls, *parts: Any) -> tuple[Tensor, ...]:
        return checked_parts(*parts)

    @property
    def labels(self) -> tuple[Tensor, ...]:
        return as_labels(self.y1), as_labels(self.y2)

    @property
    def shares(self) -> tuple[Tensor, ...]:
        return self.lam, 1 - self.lam

    def blend(self, parts: Sequence[Tensor]) -> Tensor:
        own, partners = parts
        return torch.lerp(partners, own, along_batch(self.lam, own).to(own.dtype))

    def stacked(self) -> Tensor:
        """(N, 3) float32 with columns y1, y2, lam, as fastai v1 stacks them.

        Class ids of shape (N,) only, up to 2**24: float32 does not tell larger ones apart.
        """
        if self.y1.dim() != 1 or self.y1.is_floating_point():
            raise ValueError(
                f"stacked() needs class ids of shape (N,), got y1 {describe(self.y1)}. "
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
            f"{describe(y1)} and {describe(y2)}. Take y2 from y1, as y1[partner]."
        )
    if y1.dim() == 0:
        raise ValueError(
            "y1 must have a batch dimension, got shape (). Use y1.unsqueeze(0) for a single sample."
        )
    if holds_class_ids(y1):
        y1, y2 = as_labels(y1), as_labels(y2)
    return y1, y2, _checked_lam(lam, y1)


def _checked_lam(lam: Tensor | float, y1: Tensor) -> Tensor:
    n = y1.shape[0]
    if not isinstance(lam, Tensor):
        if not isinstance(lam, (int, float)):
            raise TypeError(
                f"lam must be a tensor or a number, got {type(lam).__name__}. "
                "Use torch.as_tensor(lam)."
            )
        lam = torch.full((n,), float(lam), dtype=torch.float32, device=y1.device)
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
    found = known_range(lam)
    if found and not (found[0] >= 0 and found[1] <= 1):
        raise ValueError(
            f"lam must lie in [0, 1], got values from {found[0]} to {found[1]}. It is the weight "
            "of y1."
        )
    return lam

"""MixTarget: the two labels of every sample and the weight between them. No loss lives here."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dali_mix.training.batch_target import (
    BatchTarget,
    along_batch,
    as_labels,
    check_part,
    checked_shares,
    describe,
    holds_class_ids,
)

__all__ = ["MixTarget"]


class PairTarget(BatchTarget):
    """A target whose first three parts are y1, y2 and lam, as MixTarget promises them."""

    __slots__ = ()
    y1: Tensor
    y2: Tensor
    lam: Tensor

    @staticmethod
    def _checked(*parts: Any) -> tuple[Tensor, ...]:
        y1, y2, lam = parts
        check_part("y1", y1)
        check_part("y2", y2)
        if y1.shape != y2.shape or y1.dtype != y2.dtype or y1.device != y2.device:
            raise ValueError(
                "y1 and y2 must have one shape, dtype and device, got "
                f"{describe(y1)} and {describe(y2)}. Take y2 from y1, as y1[partner]."
            )
        if y1.dim() == 0:
            raise ValueError("y1 must have a batch dimension, got shape (). Use y1.unsqueeze(0).")
        if holds_class_ids(y1):
            y1, y2 = as_labels(y1), as_labels(y2)
        return y1, y2, _checked_lam(lam, y1)

    @property
    def labels(self) -> tuple[Tensor, ...]:
        return as_labels(self.y1), as_labels(self.y2)

    @property
    def shares(self) -> tuple[Tensor, ...]:
        return self.lam, 1 - self.lam

    def blend(self, parts: Sequence[Tensor]) -> Tensor:
        own, partners = parts
        return torch.lerp(partners, own, along_batch(self.lam, own).to(own.dtype))


class MixTarget(PairTarget, namedtuple("_Triple", "y1 y2 lam")):  # type: ignore[misc]
    """The target of a mixed batch of N samples.

    y1:  (N,), (N, 1) or (N, d1, ...) own labels. Integers of shape (N,) or (N, 1) become (N,) int64
         class ids; everything else keeps its shape and dtype: float (N, 1) is a regression target,
         float, bool or integer (N, C) one label vector per sample, integer (N, H, W) a class map.
    y2:  the partners' labels, with the shape, dtype and device of y1
    lam: weight of y1 in [0, 1]: (N,) or (N, 1), or one number for the whole batch; becomes (N,)
         float32, detached; what misses the bounds by a rounding is clamped

    A ValueError or TypeError names what does not fit. The range of lam is checked on the CPU only:
    a GPU would have to be waited for. Where no part is a tensor all are kept as they are, so that
    frameworks can map over the triple. torch.load(…, weights_only=True) needs the class imported.
    """

    __slots__ = ()

    def __new__(cls, y1: Any, y2: Any = None, lam: Any = None) -> MixTarget:
        return cls._rebuilt(y1, y2, lam)

    def stacked(self) -> Tensor:
        """(N, 3) float32 with columns y1, y2, lam, as fastai v1 stacks them.

        Class ids of shape (N,) only, up to 2**24: float32 does not tell larger ones apart.
        """
        if not holds_class_ids(self.y1):
            raise ValueError(
                f"stacked() needs class ids of shape (N,), got y1 {describe(self.y1)}. "
                "Pass the MixTarget itself."
            )
        if torch.cat((self.y1, self.y2)).abs().gt(2**24).any():
            raise ValueError("stacked() needs class ids up to 2**24, as float32 holds no others.")
        return torch.stack((self.y1.float(), self.y2.float(), self.lam), 1)

    @classmethod
    def from_stacked(cls, stacked: Tensor) -> MixTarget:
        """The MixTarget of class ids that `stacked()`, or fastai v1, wrote as (N, 3) floats."""
        if stacked.dim() != 2 or stacked.shape[1] != 3:
            raise ValueError(f"stacked must have shape (N, 3), got {tuple(stacked.shape)}.")
        return cls(stacked[:, 0].long(), stacked[:, 1].long(), stacked[:, 2])


def _checked_lam(lam: Tensor | float, y1: Tensor) -> Tensor:
    n = y1.shape[0]
    if isinstance(lam, (int, float)):
        lam = torch.full((n,), lam, dtype=torch.float32, device=y1.device)
    if not isinstance(lam, Tensor):
        given = type(lam).__name__
        raise TypeError(f"lam must be a tensor or a number, got {given}. Use torch.as_tensor(lam).")
    lam = checked_shares("lam", lam, y1, ((n,), (n, 1), ()), "one weight per sample")
    return lam.reshape(-1).expand(n)

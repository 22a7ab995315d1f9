"""MultiMixTarget: the K labels of every sample and their weights. That of K = 2 is in targets.py.

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

__all__ = ["MultiMixTarget"]

_TOLERANCE = 1e-5
"""By which weights may miss the sum of 1: more than float32 rounds the sums of hundreds."""


class _Pair(NamedTuple):
    ys: Tensor
    """(N, K, ...) labels, the own one first: class ids (integer) or label vectors (float)."""
    weights: Tensor
    """(N, K) float32 in [0, 1]: the weight of each label; rows sum to 1."""


class MultiMixTarget(BatchTarget, _Pair):
    """The target of a batch of N samples that mix K images each, such as those of a mosaic.

    ys:      (N, K, ...) labels, those of the samples themselves first. Integers of shape (N, K) or
             (N, K, 1) become (N, K) int64 class ids; everything else keeps its shape and dtype:
             float (N, K, C) is one label vector per image, integer (N, K, H, W) a segmentation map.
    weights: the weight of each label in [0, 1], some may be 0: (N, K), or (K,) for the whole batch;
             each row sums to 1; becomes (N, K) float32, detached

    MixLoss and the metrics take it as they take a MixTarget, of which this with K = 2 and weights
    (lam, 1 - lam) is an equal. A ValueError or TypeError names what does not fit. The weights are
    checked on the CPU only: a GPU would have to be waited for. Where no part is a tensor both are
    kept as they are, so that frameworks can map over the pair.
    """

    __slots__ = ()

    def __new__(cls, ys: Any, weights: Any = None) -> MultiMixTarget:
        return cls._rebuilt(ys, weights)

    @classmethod
    def _checked(cls, *parts: Any) -> tuple[Tensor, ...]:
        return _checked_parts(*parts)

    @property
    def labels(self) -> tuple[Tensor, ...]:
        return tuple(as_labels(y) for y in self.ys.unbind(1))

    @property
    def shares(self) -> tuple[Tensor, ...]:
        return self.weights.unbind(1)

    def blend(self, parts: Sequence[Tensor]) -> Tensor:
        first, *others = self.weights.to(parts[0].dtype).unbind(1)
        total = parts[0] * along_batch(first, parts[0])
        for part, share in zip(parts[1:], others, strict=True):
            total = torch.addcmul(total, part, along_batch(share, part))
        return total


def _checked_parts(ys: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Both parts as MultiMixTarget promises them; a ValueError or TypeError if they do not fit."""
    for name, part in (("ys", ys), ("weights", weights)):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"{name} must be a tensor, got {type(part).__name__}. Use torch.as_tensor({name})."
            )
    if ys.dim() < 2 or ys.shape[1] == 0:
        raise ValueError(
            "ys must have shape (N, K, …), K labels for each sample, the own one first, got "
            f"{tuple(ys.shape)}. Use torch.stack(labels, 1)."
        )
    if holds_class_ids(ys[:, 0]):
        ys = ys.reshape(ys.shape[:2]).long()
    return ys, _checked_weights(weights, ys)


def _checked_weights(weights: Tensor, ys: Tensor) -> Tensor:
    n, k = ys.shape[:2]
    if not weights.is_floating_point():
        raise TypeError(f"weights must be float, got {weights.dtype}. Use shares that sum to 1.")
    if weights.device != ys.device:
        raise ValueError(
            f"weights must be on the device of the labels, {ys.device}, got {weights.device}. "
            "Use weights.to(…)."
        )
    if weights.shape == (k,):
        weights = weights.expand(n, k)
    if weights.shape != (n, k):
        raise ValueError(
            f"weights must have shape ({n}, {k}), one for each label of ys {describe(ys)}, got "
            f"{tuple(weights.shape)}."
        )
    weights = weights.detach().float()
    found = known_range(weights)
    if found and not (found[0] >= 0 and found[1] <= 1 + _TOLERANCE):
        raise ValueError(f"weights must lie in [0, 1], got values from {found[0]} to {found[1]}.")
    found = known_range(weights.sum(1))
    if found and not (found[0] >= 1 - _TOLERANCE and found[1] <= 1 + _TOLERANCE):
        raise ValueError(
            f"the weights of a sample must sum to 1, got sums from {found[0]} to {found[1]}. "
            "Divide them by weights.sum(1, keepdim=True)."
        )
    return weights

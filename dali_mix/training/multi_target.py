"""MultiMixTarget: the K labels of every sample and their weights. That of K = 2 is in targets.py.

Imports torch, never DALI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dali_mix.training.batch_target import (
    ROUNDING,
    BatchTarget,
    along_batch,
    as_labels,
    check_part,
    check_range,
    describe,
    holds_class_ids,
)

__all__ = ["MultiMixTarget"]

_TOLERANCE = 1e-5
"""Weights whose sum misses 1 by less stay to the bit; float32 rounds the sums of hundreds so."""


class _Pair(NamedTuple):
    ys: Tensor
    weights: Tensor


class MultiMixTarget(BatchTarget, _Pair):  # type: ignore[misc]
    """The target of a batch of N samples that mix K images each, such as those of a mosaic.

    ys:      (N, K, ...) labels, those of the samples themselves first. Integers of shape (N, K) or
             (N, K, 1) become (N, K) int64 class ids; everything else keeps its shape and dtype:
             (N, K, C) is one label vector per image, integer (N, K, H, W) a class map.
    weights: the weight of each label in [0, 1], some may be 0: (N, K), or (K,) for the whole batch;
             each row sums to 1; becomes (N, K) float32, detached. Rows that miss the sum by a
             rounding, as those cast to bfloat16 do, are divided by it.

    MixLoss and the metrics take it as they take a MixTarget, of which this with K = 2 and weights
    (lam, 1 - lam) is an equal. A ValueError or TypeError names what does not fit. The weights are
    checked on the CPU only: a GPU would have to be waited for. Where no part is a tensor both are
    kept as they are, so that frameworks can map over the pair.

    torch.load(…, weights_only=True) reads it once the class has been imported.
    """

    __slots__ = ()

    def __new__(cls, ys: Any, weights: Any = None) -> MultiMixTarget:
        return cls._rebuilt(ys, weights)

    @classmethod
    def _checked(cls, *parts: Any) -> tuple[Tensor, ...]:
        ys, weights = parts
        check_part("ys", ys)
        check_part("weights", weights, ys)
        if ys.dim() < 2 or ys.shape[1] == 0:
            raise ValueError(
                "ys must have shape (N, K, …), K labels for each sample, the own one first, got "
                f"{tuple(ys.shape)}. Use torch.stack(labels, 1)."
            )
        if holds_class_ids(ys[:, 0]):
            ys = as_labels(ys.flatten()).view(ys.shape[:2])
        return ys, _checked_weights(weights, ys)

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


torch.serialization.add_safe_globals([MultiMixTarget])


def _checked_weights(weights: Tensor, ys: Tensor) -> Tensor:
    n, k = ys.shape[:2]
    if not weights.is_floating_point():
        raise TypeError(f"weights must be float, got {weights.dtype}. Use shares that sum to 1.")
    if weights.shape not in ((n, k), (k,)):
        raise ValueError(
            f"weights must have shape ({n}, {k}), one for each label of ys {describe(ys)}, got "
            f"{tuple(weights.shape)}."
        )
    weights = weights.detach().float().expand(n, k)
    sentence = "weights must lie in [0, 1], got values {}."
    check_range(weights, -ROUNDING, 1 + ROUNDING, sentence)
    weights = weights.clamp(0, 1)
    total = weights.sum(1, keepdim=True)
    sentence = (
        "the weights of a sample must sum to 1, got sums {}. Divide them by "
        "weights.sum(1, keepdim=True)."
    )
    check_range(total, 1 - ROUNDING, 1 + ROUNDING, sentence)
    # No if: a GPU would have to be waited for.
    return torch.where((total - 1).abs() > _TOLERANCE, weights / total, weights)

"""MultiMixTarget: the K labels of every sample and their weights. K = 2 is in targets.py."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import torch
from torch import Tensor

from dali_mix.training.batch_target import (
    ROUNDING,
    BatchTarget,
    as_labels,
    check_part,
    check_range,
    checked_shares,
    describe,
    holds_class_ids,
)

__all__ = ["MultiMixTarget"]

_TOLERANCE = 1e-5
"""Weights whose sum misses 1 by less stay to the bit; float32 rounds the sums of hundreds so."""


class MultiMixTarget(BatchTarget, namedtuple("_Pair", "ys weights")):  # type: ignore[misc]
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
    kept as they are, so that frameworks can map over the pair. torch.load(…, weights_only=True)
    needs the class imported.
    """

    __slots__ = ()
    ys: Tensor
    weights: Tensor

    def __new__(cls, ys: Any, weights: Any = None) -> MultiMixTarget:
        return cls._rebuilt(ys, weights)

    @staticmethod
    def _checked(*parts: Any) -> tuple[Tensor, ...]:
        ys, weights = parts
        check_part("ys", ys)
        check_part("weights", weights)
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


def _checked_weights(weights: Tensor, ys: Tensor) -> Tensor:
    n, k = ys.shape[:2]
    if not weights.is_floating_point():
        raise TypeError(f"weights must be float, got {weights.dtype}. Use shares that sum to 1.")
    what = f"one for each label of ys {describe(ys)}"
    weights = checked_shares("weights", weights, ys, ((n, k), (k,)), what).expand(n, k)
    total = weights.sum(1, keepdim=True)
    sentence = "the weights of a sample must sum to 1, got sums {}. Divide them by their sum."
    check_range(total, 1 - ROUNDING, 1 + ROUNDING, sentence)
    # No if: a GPU would have to be waited for.
    return torch.where((total - 1).abs() > _TOLERANCE, weights / total, weights)

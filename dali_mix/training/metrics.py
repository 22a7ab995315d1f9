"""Accuracy on mixed batches, so that it means something during training.

The classes have the methods of torchmetrics, which is not needed: update, compute, reset, and a
call that updates and returns the value of that batch alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dali_mix.training.batch_target import BatchTarget, along_batch
from dali_mix.training.mix_target import MixTarget

__all__ = ["DominantAccuracy", "MixAccuracy"]


class MixAccuracy(nn.Module):
    """The weight of the labels that are among the top k classes, over the weight of all labels.

        sum(lam * hit(y1) + (1 - lam) * hit(y2)) / sum of the same with every hit 1

    and likewise with the weights of a MultiMixTarget. At lam = 1 it is ordinary accuracy; the best
    top-1 guess on a mixed batch scores the mean of max(lam, 1 - lam).

    top_k:        k, at least 1
    ignore_index: labels of this value count on neither side
    sync:         compute() adds the counts of all ranks where torch.distributed is initialised;
                  then every rank must call it

    update(logits, target) takes logits (N, C, d1, ...) and a MixTarget, MultiMixTarget or
    ManifoldTarget of class ids (N, d1, ...); or y1, y2, lam in its place, or plain ids. compute()
    is a float64 scalar, nan before the first label.
    """

    def __init__(self, top_k: int = 1, *, ignore_index: int = -100, sync: bool = True) -> None:
        super().__init__()
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}.")
        self.top_k = top_k
        self.ignore_index = ignore_index
        self.sync = sync
        # No buffer: DistributedDataParallel would overwrite those of the other ranks with rank 0's.
        self.counts = torch.zeros(2, dtype=torch.float64)

    def extra_repr(self) -> str:
        return f"top_k={self.top_k}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MixAccuracy:
        """Follow to another device; in half precision counting would stop."""
        super()._apply(fn, recurse)
        device = fn(self.counts).device
        if self.counts.is_meta and device != self.counts.device:  # nothing to copy, by to_empty()
            self.counts = torch.zeros_like(self.counts, device=device)
        self.counts = self.counts.to(device)
        return self

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Count one batch: (logits, target) or (logits, y1, y2, lam)."""
        self.forward(*args, **kwargs)

    @torch.no_grad()
    def compute(self) -> Tensor:
        """The accuracy of everything counted since the last reset."""
        counts = self.counts.clone()
        if self.sync and dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
        return counts[0] / counts[1]

    def reset(self) -> None:
        """Forget every count."""
        self.counts.zero_()

    @torch.no_grad()
    def forward(self, logits: Tensor, target: Any, y2: Any = None, lam: Any = None) -> Tensor:
        """Count one batch and return its own accuracy, of this rank."""
        counts = self._count(logits, _as_target(target, y2, lam))
        self.counts += counts
        return counts[0] / counts[1]

    def _weights(self, target: BatchTarget) -> list[Tensor]:
        """Of each label, (N, 1, ...) or (N, d1, ...)."""
        like = target.labels[0]
        return [along_batch(share, like) for share in target.shares]

    def _count(self, logits: Tensor, target: BatchTarget) -> Tensor:
        """(2,) float64: the weight of the labels hit, the weight of all labels."""
        self._check(logits, target.labels[0])
        top = logits.topk(self.top_k, dim=1).indices
        counts = torch.zeros_like(self.counts)
        for weight, y in zip(self._weights(target), target.labels, strict=True):
            weight = weight * (y != self.ignore_index)
            hit = (top == y.unsqueeze(1)).any(1)
            counts += torch.stack([w.sum(dtype=counts.dtype) for w in (weight * hit, weight)])
        return counts

    def _check(self, logits: Tensor, y1: Tensor) -> None:
        ids = y1.dtype == torch.int64 and logits.dim() > 1
        if not ids or (len(logits), *logits.shape[2:]) != y1.shape:
            raise ValueError(
                "labels must be class ids with the shape of the logits without dimension 1, got "
                f"logits {tuple(logits.shape)} and y1 {tuple(y1.shape)} {y1.dtype}."
            )
        if self.top_k > logits.shape[1]:
            raise ValueError(
                f"top_k must be at most the number of classes, {logits.shape[1]}, got {self.top_k}."
            )
        if not logits.device == y1.device == self.counts.device:
            raise ValueError(
                f"logits, target and metric must be on one device, got {logits.device}, "
                f"{y1.device} and {self.counts.device}. Use metric.to(…) and target.to(…)."
            )


class DominantAccuracy(MixAccuracy):
    """MixAccuracy where the heaviest label is the only one: y1 where lam >= 0.5, else y2.

    Of more labels, those of one class weigh together; of equals the first wins.
    """

    def _weights(self, target: BatchTarget) -> list[Tensor]:
        labels = torch.stack(target.labels, 1)
        shares = torch.stack(super()._weights(target), 1)
        same = labels.unsqueeze(1) == labels.unsqueeze(2)
        heaviest = (same * shares.unsqueeze(1)).sum(2).argmax(1)
        return [(heaviest == k).to(shares.dtype) for k in range(len(target.labels))]


def _as_target(target: Any, y2: Any, lam: Any) -> BatchTarget:
    if isinstance(target, BatchTarget):
        return target
    if (y2 is None) != (lam is None):
        raise TypeError("update(logits, y1, y2, lam) needs both y2 and lam. Or pass one MixTarget.")
    return MixTarget(target, target, 1.0) if lam is None else MixTarget(target, y2, lam)

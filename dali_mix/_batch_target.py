"""What the targets of a mixed batch have in common, whether K = 2 labels mix in a sample or more.

The loss and the metrics are written against this alone. Imports torch, never DALI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self


class BatchTarget(tuple):
    """A named tuple of tensors, for N samples with K labels each, the own label first."""

    __slots__ = ()

    @property
    def labels(self) -> tuple[Tensor, ...]:
        """K tensors (N, ...): the own labels, then those of the partners."""
        raise NotImplementedError

    @property
    def shares(self) -> tuple[Tensor, ...]:
        """K tensors (N,) float32: the weights of `labels`, which sum to 1."""
        raise NotImplementedError

    def blend(self, parts: Sequence[Tensor]) -> Tensor:
        """The weighted sum of K tensors (N, ...), one for each of `labels`; no broadcasting.

        For a loss of one's own: target.blend([my_loss(logits, y) for y in target.labels]).mean()
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        parts = (f"{n}={describe(part)}" for n, part in zip(self._names(), self, strict=True))
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def batch_size(self) -> int:
        """N, the number of samples."""
        return self[-1].shape[0]

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> Self:
        """The same target on `device`; dtypes stay."""
        return self._of(part.to(device, non_blocking=non_blocking) for part in self)

    def pin_memory(self) -> Self:
        """The same target in page-locked memory, whence copies to a GPU run in the background."""
        return self._of(part.pin_memory() for part in self)

    def dense(self, num_classes: int, smoothing: float = 0.0) -> Tensor:
        """One probability vector per label: (N, C, d1, ...) float32 for ids (N, d1, ...).

        num_classes: C; every id must lie in [0, C), ids to ignore have no dense form
        smoothing:   e in [0, 1)

        Equivalent to timm's mixup target, with on = 1 - e + e/C and off = e/C:
            sum over k of shares[k] * one_hot(labels[k], on, off)
        Float labels (N, C, d1, ...) are probabilities already: p becomes p * (1 - e) + e/C.
        """
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}.")
        off = smoothing / num_classes
        labels = self.labels
        if labels[0].is_floating_point():
            _check_columns(labels[0], num_classes)
            return self.blend([y.float() for y in labels]) * (1 - smoothing) + off
        ids = torch.stack(labels, 1).long()
        _check_ids(ids, num_classes)
        shares = torch.stack([along_batch(share, labels[0]) for share in self.shares], 1)
        shape = (ids.shape[0], num_classes, *ids.shape[2:])
        rows = torch.full(shape, off, device=shares.device)
        return rows.scatter_add_(1, ids, shares.expand(ids.shape) * (1 - smoothing))

    def _of(self, parts: Any) -> Self:
        """Such a target of parts that need no check."""
        kind: Any = type(self)
        return kind._make(parts)

    def _names(self) -> tuple[str, ...]:
        kind: Any = type(self)
        return kind._fields


def along_batch(values: Tensor, like: Tensor) -> Tensor:
    """(N,) as (N, 1, ..., 1), with as many dimensions as `like`."""
    return values if like.dim() == 1 else values.view(-1, *(1,) * (like.dim() - 1))


def describe(part: object) -> str:
    """Shape, dtype and device, for sentences."""
    if not isinstance(part, Tensor):
        return repr(part)
    return f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')} {part.device}"


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

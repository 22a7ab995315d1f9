"""What the targets of a mixed batch have in common, whether K = 2 labels mix in a sample or more.

The loss and the metrics are written against this alone, and here is the one door through which
labels of every kind come. Imports torch, never DALI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self


class BatchTarget(tuple):
    """A named tuple of tensors, for N samples with K labels each, the own label first."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]]

    @property
    def labels(self) -> tuple[Tensor, ...]:
        """K tensors (N, ...), as `as_labels` gives them: the own labels, then the partners'."""
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

    @classmethod
    def _checked(cls, *parts: Any) -> tuple[Tensor, ...]:
        """The parts as the class promises them; a ValueError or TypeError if they do not fit."""
        raise NotImplementedError

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:
        """The target of its parts. Where none is a tensor, all are kept as they are."""
        parts = tuple(iterable)
        if len(parts) != len(cls._fields):
            raise TypeError(
                f"{cls.__name__} takes {len(cls._fields)} parts, {', '.join(cls._fields)}, got "
                f"{len(parts)}."
            )
        if any(isinstance(part, Tensor) for part in parts):
            parts = cls._checked(*parts)
        return tuple.__new__(cls, parts)

    @classmethod
    def _rebuilt(cls, first: Any, *others: Any) -> Self:
        """The target of its parts, or of one iterable of them, as fastai and PyTorch call it."""
        alone = all(part is None for part in others)
        if alone and isinstance(first, Iterable) and not isinstance(first, Tensor):
            return cls._make(first)
        return cls._make((first, *others))

    def __repr__(self) -> str:
        parts = (f"{n}={describe(part)}" for n, part in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({', '.join(parts)})"

    @property
    def batch_size(self) -> int:
        """N, the number of samples."""
        return self[-1].shape[0]

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> Self:
        """The same target on `device`; dtypes stay."""
        return self._make(part.to(device, non_blocking=non_blocking) for part in self)

    def pin_memory(self) -> Self:
        """The same target in page-locked memory, whence copies to a GPU run in the background."""
        return self._make(part.pin_memory() for part in self)

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


def as_labels(y: Tensor) -> Tensor:
    """Labels as losses and metrics compute with them: what every label goes through, mixed or not.

    integers (N,) or (N, 1)  class ids: (N,) int64
    other integers           class maps (N, d1, ...) or multi-hot vectors (N, C): int64, same shape
    bool                     multi-hot: as they are
    float                    label vectors, probabilities or quantities: as they are

    Integers may be of any type, uint8 to uint64 and int8 to int64.
    """
    if y.is_floating_point() or y.dtype == torch.bool:
        return y
    return (y.reshape(-1) if holds_class_ids(y) else y).to(torch.int64)


def holds_class_ids(y: Tensor) -> bool:
    """Whether labels are one class id per sample: integers of shape (N,) or (N, 1)."""
    integer = not y.is_floating_point() and y.dtype != torch.bool
    return integer and (y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1))


def known_range(values: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest value; None where there is none, or it cannot be had for free.

    A GPU would have to be waited for. Under torch.compile, torch.export, make_fx, torch.jit.trace,
    torch.func's transforms, FakeTensorMode and on the device "meta" there are no values. A check
    of values is skipped there.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    if type(values) is not Tensor or values.device.type != "cpu" or not values.numel():
        return None
    traced = torch._C._len_torch_dispatch_stack() > 0
    if traced or torch._C._functorch.peek_interpreter_stack() is not None:
        return None
    if values.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch has no minimum of them
        values = values.to(torch.int64)
    low, high = values.aminmax()
    return low.item(), high.item()


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
    found = known_range(ids)
    if found and (found[0] < 0 or found[1] >= num_classes):
        raise ValueError(
            f"class ids must lie in [0, {num_classes}), got ids from {found[0]} to {found[1]}. "
            "Ids to ignore have no dense form: use MixLoss."
        )


def _check_columns(y: Tensor, num_classes: int) -> None:
    if y.dim() < 2 or y.shape[1] != num_classes:
        raise ValueError(
            f"float labels must have shape (N, {num_classes}, …), got {tuple(y.shape)}."
        )

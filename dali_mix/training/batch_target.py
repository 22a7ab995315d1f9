"""What the targets of a mixed batch have in common, whether K = 2 labels mix in a sample or more.

The loss and the metrics are written against this alone. as_labels is the one door for labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

ROUNDING = 2**-8
"""Weights rounded to bfloat16 miss a sum of 1, or the bounds 0 and 1, by less."""


class BatchTarget(tuple):
    """A named tuple of tensors, for N samples with K labels each, the own label first.

    Frameworks may take it apart and rebuild it, as kind(*parts), kind(parts) or kind._make(parts):
    each makes the parts what the class promises. Where none is a tensor, all are kept as they are.
    """

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]]
    _checked: ClassVar[Callable[..., tuple[Tensor, ...]]]
    """The parts as the class promises them; a ValueError or TypeError if they do not fit."""

    def __init_subclass__(cls) -> None:
        torch.serialization.add_safe_globals([cls])  # for torch.load(…, weights_only=True)

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
        first, *others = (share.to(parts[0].dtype) for share in self.shares)
        total = parts[0] * along_batch(first, parts[0])
        for part, share in zip(parts[1:], others, strict=True):
            total = torch.addcmul(total, part, along_batch(share, part))
        return total

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:
        parts = tuple(iterable)
        if len(parts) != len(cls._fields):
            raise TypeError(
                f"{cls.__name__} takes the parts {', '.join(cls._fields)}, got {len(parts)} parts."
            )
        checked = any(isinstance(part, Tensor) for part in parts)
        return tuple.__new__(cls, cls._checked(*parts) if checked else parts)

    @classmethod
    def _rebuilt(cls, first: Any, *others: Any) -> Self:
        """Of all parts, or of one iterable of them, as fastai and PyTorch call it."""
        alone = all(part is None for part in others) and not isinstance(first, Tensor)
        return cls._make(first if alone and isinstance(first, Iterable) else (first, *others))

    def _of(self, parts: Iterable[Tensor]) -> Self:
        """Such a target of parts that need no check."""
        return tuple.__new__(type(self), parts)

    def __repr__(self) -> str:
        parts = (f"{n}={describe(part)}" for n, part in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({', '.join(parts)})"

    def __getitem__(self, index: Any) -> Any:
        """A part, or some of the parts. A slice of all parts is the target itself."""
        if not isinstance(index, slice):
            return super().__getitem__(index)
        if any(bound is not None and abs(bound) > len(self) for bound in (index.start, index.stop)):
            raise IndexError(
                f"a slice of a {type(self).__name__} takes from the parts "
                f"{', '.join(self._fields)}, not from the samples, got [{index.start}:"
                f"{index.stop}]. Use target.narrow(start, length) or target.split(n)."
            )
        return self if index.indices(len(self)) == (0, len(self), 1) else super().__getitem__(index)

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, self._no_tensor("==", other))

    def __ne__(self, other: object) -> bool:
        return tuple.__ne__(self, self._no_tensor("!=", other))

    __hash__ = tuple.__hash__

    @classmethod
    def _no_tensor(cls, function: str, other: Any) -> Any:
        """What a target is compared with; Tensor's own == leaves it to the target to refuse."""
        if isinstance(other, Tensor):
            raise TypeError(cls._misused(function))
        return other

    @classmethod
    def __torch_function__(cls, func: Any, *_: Any) -> NoReturn:
        """PyTorch calls this where one of its functions is given a target as a tensor."""
        raise TypeError(cls._misused(func.__name__))

    def __getattr__(self, name: str) -> NoReturn:
        """Python calls this where a target has no such attribute."""
        if hasattr(Tensor, name):
            raise AttributeError(self._misused(name))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def _misused(cls, name: str) -> str:
        return (
            f"{name} is for tensors, got a {cls.__name__}, which holds {', '.join(cls._fields)}. "
            "Use MixLoss(criterion) for its loss, MixAccuracy() for its accuracy, target.to(device)"
            " to move it, and target.batch_size for the number of samples."
        )

    @property
    def batch_size(self) -> int:
        """N, the number of samples; len() counts the parts."""
        return self[-1].shape[0]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The target elsewhere: to(device), to(dtype), to(device, dtype) or to(other_tensor).

        dtype: of float labels, a floating point type. Class ids, multi-hot labels and weights keep
               theirs. A TypeError names a dtype that does not fit. Also takes non_blocking=True.
        """
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"dtype must be floating point, got {dtype}. Use target.to(device).")

        def moved(name: str, part: Tensor) -> Tensor:
            own = dtype if name[0] == "y" and part.is_floating_point() else None
            return part.to(device=device, dtype=own, non_blocking=non_blocking)

        return self._of(map(moved, self._fields, self))

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """The target on a GPU, as Tensor.cuda takes its arguments."""
        return self._of(part.cuda(*args, **kwargs) for part in self)

    def pin_memory(self) -> Self:
        """The target in page-locked memory: copies from there to a GPU run in the background."""
        return self._of(part.pin_memory() for part in self)

    def split(self, size: int | Sequence[int]) -> tuple[Self, ...]:
        """Targets of `size` samples each, the last one of what is left, as torch.split has it."""
        return tuple(self._of(p) for p in zip(*(part.split(size) for part in self), strict=True))

    def narrow(self, start: int, length: int) -> Self:
        """The target of `length` samples from sample `start` on."""
        return self._of(part.narrow(0, start, length) for part in self)

    def dense(
        self, num_classes: int, smoothing: float = 0.0, threshold: float | None = None
    ) -> Tensor:
        """One vector over C classes per label: (N, C, d1, ...) float32 for ids (N, d1, ...).

        num_classes: C; every id must lie in [0, C), ids to ignore have no dense form
        smoothing:   e in [0, 1)
        threshold:   in [0, 1): entries become 1 where they are larger than it, else 0, as timm's
                     --bce-target-thresh does; 0 makes the targets of DeiT III. Smoothing comes
                     first, and gives every entry at least e/C.

        Equivalent to timm's mixup target, with on = 1 - e + e/C and off = e/C:
            sum over k of shares[k] * one_hot(labels[k], on, off)
        Labels that are vectors already, p, become p * (1 - e) + e/C: float and bool (N, C, d1, ...)
        and integers (N, C), which must be 0 or 1.
        """
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        for name, value in (("smoothing", smoothing), ("threshold", threshold or 0)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {value}.")
        labels = self.labels
        off = smoothing / num_classes
        if _are_vectors(labels, num_classes):
            rows = self.blend([y.float() for y in labels]) * (1 - smoothing) + off
        else:
            ids = torch.stack(labels, 1)
            shares = torch.stack([along_batch(share, labels[0]) for share in self.shares], 1)
            shape = (ids.shape[0], num_classes, *ids.shape[2:])
            rows = torch.full(shape, off, dtype=torch.float32, device=ids.device)
            rows = rows.scatter_add(1, ids, shares.expand(ids.shape) * (1 - smoothing))
        return rows if threshold is None else rows.gt(threshold).float()


def as_labels(y: Tensor) -> Tensor:
    """Labels as losses and metrics compute with them: what every label goes through, mixed or not.

    integers (N,) or (N, 1)  class ids: (N,) int64
    other integers           class maps (N, d1, ...) or multi-hot vectors (N, C): int64, same shape
    bool                     multi-hot: as they are
    float                    label vectors, probabilities or quantities: as they are

    Integers may be of any type, uint8 to uint64 and int8 to int64.
    """
    check_part("labels", y)
    if not is_integer(y):
        return y
    return (y.squeeze(1) if y.dim() == 2 and y.shape[1] == 1 else y).long()


def holds_class_ids(y: Tensor) -> bool:
    """Whether labels are one class id per sample: integers of shape (N,) or (N, 1)."""
    return is_integer(y) and (y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1))


def known_range(values: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest value; None where there is none, or it cannot be had for free.

    A GPU would have to be waited for. Under torch.compile, torch.export, make_fx, torch.func's
    transforms, FakeTensorMode and on the device "meta" there are no values. A check of values is
    skipped there.
    """
    if torch.compiler.is_compiling() or type(values) is not Tensor:
        return None
    traced = torch._C._len_torch_dispatch_stack() or torch._C._functorch.peek_interpreter_stack()
    if traced or values.device.type != "cpu" or not values.numel():
        return None
    low, high = values.aminmax()
    return low.item(), high.item()


def check_range(values: Tensor, low: float, high: float, sentence: str) -> None:
    """A ValueError where values are known not to lie in [low, high]; {} becomes their range."""
    found = known_range(values)
    if found and not (found[0] >= low and found[1] <= high):
        raise ValueError(sentence.format(f"from {found[0]} to {found[1]}"))


def check_part(
    name: str, part: Any, like: Tensor | None = None, shapes: Any = (), what: str = "a tensor"
) -> None:
    """A TypeError for what is no tensor, a ValueError for another device or none of the shapes."""
    if not isinstance(part, Tensor):
        given = type(part).__name__
        raise TypeError(f"{name} must be a tensor, got {given}. Use torch.as_tensor({name}).")
    if like is not None and part.device != like.device:
        devices = f"{like.device}, got {part.device}"
        raise ValueError(
            f"{name} must be on the device of the labels, {devices}. Use {name}.to(…)."
        )
    if shapes and tuple(part.shape) not in shapes:
        raise ValueError(f"{name} must have shape {shapes[0]}, {what}, got {tuple(part.shape)}.")


def checked_shares(name: str, shares: Any, like: Tensor, shapes: Any, what: str) -> Tensor:
    """Weights as float32 in [0, 1], detached; what misses the bounds by a rounding is clamped."""
    check_part(name, shares, like, shapes, what)
    shares = shares.detach().float()
    sentence = f"{name} must lie in [0, 1], got values {{}}. It weighs labels."
    check_range(shares, -ROUNDING, 1 + ROUNDING, sentence)
    return shares.clamp(0, 1)


def along_batch(values: Tensor, like: Tensor) -> Tensor:
    """(N,) as (N, 1, ..., 1), with as many dimensions as `like`."""
    return values if like.dim() == 1 else values.view(-1, *(1,) * (like.dim() - 1))


def describe(part: object) -> str:
    """Shape, dtype and device, for sentences."""
    if not isinstance(part, Tensor):
        return repr(part)
    return f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')} {part.device}"


def is_integer(y: Tensor) -> bool:
    """Whether values are integers; bool is none."""
    return not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)


def _are_vectors(labels: tuple[Tensor, ...], num_classes: int) -> bool:
    """Whether labels are vectors over the classes, not ids; a ValueError if they are neither."""
    y = labels[0]
    columns = y.dim() > 1 and y.shape[1] == num_classes
    if not is_integer(y):
        if not columns:
            shape = f"(N, {num_classes}, …), got {tuple(y.shape)}"
            raise ValueError(f"float and bool labels must have shape {shape}.")
        return True
    last, sentence = num_classes - 1, "Ids to ignore have no dense form: use MixLoss."
    sentence = f"class ids must lie in [0, {num_classes}), got ids {{}}. {sentence}"
    multi_hot = columns and y.dim() == 2
    if multi_hot:
        last, sentence = 1, "got values {}. Use y.unsqueeze(1) for rows of class ids."
        sentence = f"integers (N, {num_classes}) are multi-hot labels, 0 or 1, {sentence}"
    check_range(torch.stack(labels), 0, last, sentence)
    return multi_hot

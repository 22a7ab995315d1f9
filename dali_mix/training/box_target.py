"""BoxTarget: the boxes of a batch for detectors, with a label and a weight each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["BoxTarget"]


class BoxTarget:
    """The boxes of N images, of which each has any number, also none.

    boxes:   N tensors (M, 4) float32: (left, top, right, bottom) in [0, 1], relative to the image
    labels:  N tensors (M,) of integers; become int64
    weights: N tensors (M,) float32: how much each box counts in the loss; default: 1

    `boxes`, `labels` and `weights` are tuples of N tensors, views of one tensor each. `target[i]`
    is a dict of the three of one image, and `list(target)` what torchvision's detectors take.
    A ValueError or TypeError names what does not fit.
    """

    __slots__ = ("_boxes", "_counts", "_labels", "_weights")

    def __init__(
        self,
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
        weights: Sequence[Tensor] | None = None,
    ) -> None:
        if weights is None:
            weights = [torch.ones(len(part), device=part.device) for part in boxes]
        if not len(boxes) == len(labels) == len(weights):
            raise ValueError(
                "boxes, labels and weights must have a tensor for each image, got "
                f"{len(boxes)}, {len(labels)} and {len(weights)}."
            )
        for i, (b, y, w) in enumerate(zip(boxes, labels, weights, strict=True)):
            _check(i, b, y, w)
        self._counts = tuple(len(part) for part in boxes)
        self._boxes = _joined(boxes, torch.empty(0, 4)).detach()
        self._labels = _joined(labels, torch.empty(0, dtype=torch.int64)).long()
        self._weights = _joined(weights, torch.empty(0)).float().detach()

    @property
    def boxes(self) -> tuple[Tensor, ...]:
        return self._boxes.split(self._counts)

    @property
    def labels(self) -> tuple[Tensor, ...]:
        return self._labels.split(self._counts)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return self._weights.split(self._counts)

    @property
    def batch_size(self) -> int:
        """N, the number of images."""
        return len(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "boxes": self.boxes[index],
            "labels": self.labels[index],
            "weights": self.weights[index],
        }

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        rows = zip(self.boxes, self.labels, self.weights, strict=True)
        return ({"boxes": b, "labels": y, "weights": w} for b, y, w in rows)

    def flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All boxes of the batch: (image, boxes, labels, weights). `image`, (T,) int64, is the
        number of the image of each. Losses like YOLO's take it."""
        device = self._boxes.device
        counts = torch.tensor(self._counts, dtype=torch.int64)
        image = torch.repeat_interleave(torch.arange(len(counts)), counts)
        return image.to(device, non_blocking=True), self._boxes, self._labels, self._weights

    def scaled(self, height: float, width: float) -> BoxTarget:
        """The same with boxes in pixels of images of that size."""
        return self._with(self._boxes * self._boxes.new_tensor([width, height, width, height]))

    def centered(self) -> BoxTarget:
        """The same with boxes as (x of the centre, y of the centre, width, height)."""
        begin, end = self._boxes[:, :2], self._boxes[:, 2:]
        return self._with(torch.cat([(begin + end) / 2, end - begin], 1))

    def to(self, device: Any, *, non_blocking: bool = False) -> BoxTarget:
        """The target on another device. Three copies, however many images there are."""
        parts = (part.to(device, non_blocking=non_blocking) for part in self._parts)
        return self._of(tuple(parts), self._counts)

    def pin_memory(self) -> BoxTarget:
        """The target in page-locked memory: copies from there to a GPU run in the background."""
        return self._of(tuple(part.pin_memory() for part in self._parts), self._counts)

    def __repr__(self) -> str:
        return (
            f"BoxTarget({len(self._boxes)} boxes of {len(self)} images, "
            f"device={str(self._boxes.device)!r})"
        )

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return self._boxes, self._labels, self._weights

    def _with(self, boxes: Tensor) -> BoxTarget:
        return self._of((boxes, self._labels, self._weights), self._counts)

    @classmethod
    def _of(cls, parts: tuple[Tensor, ...], counts: tuple[int, ...]) -> BoxTarget:
        """Of parts that need no check."""
        target = object.__new__(cls)
        target._boxes, target._labels, target._weights = parts
        target._counts = counts
        return target

    def __reduce__(self) -> Any:
        return BoxTarget._of, (self._parts, self._counts)


def _check(i: int, boxes: Tensor, labels: Tensor, weights: Tensor) -> None:
    if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(
            f"boxes must be float tensors (M, 4), got {tuple(boxes.shape)} {boxes.dtype} for image "
            f"{i}."
        )
    for name, part in (("labels", labels), ("weights", weights)):
        if part.shape != boxes.shape[:1]:
            raise ValueError(
                f"{name} must have one value for each of the {len(boxes)} boxes of image {i}, got "
                f"{tuple(part.shape)}."
            )
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"labels must be integers, got {labels.dtype} for image {i}.")


def _joined(parts: Sequence[Tensor], empty: Tensor) -> Tensor:
    return torch.cat(list(parts)) if parts else empty

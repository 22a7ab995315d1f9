"""Bounding boxes and points, when their images are mixed.

Coordinates are in [0, 1], relative to the image after its crop and mirror."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dali_mix.plan import Plan
from dali_mix.reference.weights import image_weights

SNAP = 1e-3
"""Relative coordinates are rounded numbers. An edge that lies this close, in pixels, to a border
between pixels is moved onto it."""


def place_of(plan: Plan, i: int, k: int, views: Sequence[Sequence[int]] | None) -> np.ndarray:
    """(2, 2) float64: (width, height) and (x, y) of image `k` of sample `i`, placed on the output,
    in output pixels."""
    height, width = (int(n) for n in plan.size[i][-2:])
    index = [i, *np.atleast_1d(plan.partner[i])][k]
    if plan.fill is not None:
        views = plan.view if views is None else views
        y, x = plan.offset[i][k]
        height, width = (height, width) if views is None else views[index]
        return np.array([(width, height), (-x, -y)], np.float64)
    boxes = [box for box in np.reshape(plan.box[i], (-1, 4)) if (box[:2] < box[2:]).all()]
    if k == 1 and plan.fit is not None and np.any(plan.fit[i]) and boxes:
        y0, x0, y1, x1 = boxes[0]
        return np.array([(x1 - x0, y1 - y0), (x0, y0)], np.float64)
    if views is not None:
        height, width = views[index]
    y, x = (0, 0) if k == 0 or plan.offset is None else np.reshape(plan.offset[i], (-1, 2))[k - 1]
    return np.array([(width, height), (-x, -y)], np.float64)


def snap(pixels: np.ndarray) -> np.ndarray:
    edges = np.round(pixels)
    return np.where(np.abs(pixels - edges) < SNAP, edges, pixels)


def visible_box(
    box: np.ndarray, place: np.ndarray, weight: np.ndarray, min_visible: float = 0.0
) -> tuple[np.ndarray, float] | None:
    """The smallest box around the visible pixels of `box`, and the mean of `weight`, (H, W), over
    the whole area of `box`; None if nothing shows, or less than `min_visible` of its area. Edges
    that are not cut stay as they are."""
    lengths = np.array([weight.shape[1], weight.shape[0]] * 2)
    ends = np.tile(place[0], 2) * box + np.tile(place[1], 2)
    left, top, right, bottom = snap(ends)
    inside = [
        np.clip(np.minimum(end, np.arange(n) + 1.0) - np.maximum(begin, np.arange(n)), 0, None)
        for begin, end, n in ((top, bottom, weight.shape[0]), (left, right, weight.shape[1]))
    ]
    share = np.outer(*inside)
    y, x = np.nonzero((share > 0) & (weight > 0))
    if y.size == 0:
        return None
    seen = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
    pixels = np.array([np.floor(left), np.floor(top), np.ceil(right), np.ceil(bottom)])
    cut = np.array([*(seen[:2] > pixels[:2]), *(seen[2:] < pixels[2:])])
    whole = (right - left) * (bottom - top)
    if share[weight > 0].sum() < min_visible * whole:
        return None
    mean = (weight * share).sum() / whole
    return np.where(cut, seen, ends) / lengths, mean


def visible_point(
    point: np.ndarray, place: np.ndarray, weight: np.ndarray, min_visible: float = 0.0
) -> tuple[np.ndarray, float] | None:
    """The point on the output, and the weight at its pixel; None if that is 0. A point on the right
    or lower edge of the output belongs to the last pixel."""
    lengths = np.array([weight.shape[1], weight.shape[0]])
    at = place[0] * point + place[1]
    if (snap(at) < 0).any() or (snap(at) > lengths).any():
        return None
    x, y = np.minimum(snap(at).astype(int), lengths - 1)
    return None if weight[y, x] == 0 else (at / lengths, weight[y, x])


def travel(
    shapes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    plan: Plan,
    *,
    views: Sequence[Sequence[int]] | None = None,
    weights: Sequence[np.ndarray] | None = None,
    min_visible: float = 0.0,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """The visible parts of the boxes, or points, of all images of a sample: own ones first, then
    those of the partners in their order.

    shapes:  for each image an array (M, 4), (left, top, right, bottom), or (M, 2), (x, y). The
             images of `others`, if there are any, come after those of the batch
    labels:  for each image an array (M,)
    plan:    must have `size`
    views:   for each image its (height, width) in pixels after its crop; None: `plan.view`, else
             `plan.size`
    weights: for each image an array (M,), the weights that its shapes have already
    min_visible: boxes of whose area a smaller share shows are left out
    returns: (shapes, labels, weights): for each sample arrays (R, 4 or 2) float32, (R,) and (R,)
             float32
    """
    visible = visible_box if shapes[0].shape[1] == 4 else visible_point
    outputs: tuple[list, list, list] = ([], [], [])
    for i, partners in enumerate(plan.partner):
        height, width = (int(n) for n in plan.size[i][-2:])
        shown = image_weights(plan, i, (height, width))
        kept: list[tuple[np.ndarray, float, int]] = []
        for k, j in enumerate([i, *np.atleast_1d(partners)]):
            if k == 1 and j == i and np.size(partners) == 1 and plan.fill is None:
                continue
            place = place_of(plan, i, k, views)
            had = np.ones(len(labels[j])) if weights is None else weights[j]
            for shape, label, weight in zip(shapes[j], labels[j], had, strict=True):
                found = visible(shape.astype(np.float64), place, shown[k], min_visible)
                if found is not None:
                    kept.append((found[0], found[1] * weight, label))
        values = np.array([shape for shape, _, _ in kept], np.float32)
        outputs[0].append(values.reshape(-1, shapes[0].shape[1]))
        outputs[1].append(np.array([label for _, _, label in kept], labels[0].dtype))
        outputs[2].append(np.array([weight for _, weight, _ in kept], np.float32))
    return outputs

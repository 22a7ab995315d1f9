"""Bounding boxes and points, mixed by the plan of the images they belong to."""

from __future__ import annotations

from typing import Any

from dali_mix.graph.arguments import Batch, BatchAndLabels, DrawnForImages, Numbers, given
from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan


def apply_boxes(
    mode: Mode,
    boxes: Batch,
    labels: Batch,
    plan: DrawnForImages,
    *,
    others: BatchAndLabels = None,
    views: Numbers = None,
) -> tuple[Any, Any, Any]:
    """Mix bounding boxes as `apply` mixes the images they belong to.

    boxes:   batch of (M, 4) float32 on the CPU, (left, top, right, bottom) in [0, 1], relative
             to what `apply` sees of the image, after its crop and its mirror: as DALI's box
             operators with `ltrb=True` leave them. M may differ, and be 0
    labels:  batch of (M,) integers on the CPU
    plan:    of the images; not one for some frames of sequences
    others:  (boxes, labels) of the images that `apply` takes as `others`
    views:   batch of (height, width) int32: the size, in pixels, of what is seen of each image,
             where an offset lets sizes differ; with `others` theirs behind it, 4 values
    returns: (boxes, labels, weights): own boxes first, then those of the partners. A box
             shrinks to what shows of it, and is left out where nothing does. weights, (R,)
             float32: the mean weight of the box's image over its area before; lam for the own
             boxes of mixup, the visible share where images are cut

    Where the plan says `fit`, the box is taken to show the whole of the partner, resized.
    """
    return _travel(mode, boxes, labels, plan, others, views)


def apply_points(
    mode: Mode,
    points: Batch,
    labels: Batch,
    plan: DrawnForImages,
    *,
    others: BatchAndLabels = None,
    views: Numbers = None,
) -> tuple[Any, Any, Any]:
    """Mix points, such as keypoints, as `apply` mixes the images they belong to.

    points:  batch of (M, 2) float32 on the CPU, (x, y) in [0, 1], relative as in `apply_boxes`
    returns: (points, labels, weights): those that show, own ones first; weights, (R,) float32:
             that of the point's image at its pixel

    labels, plan, others and views are as in `apply_boxes`.
    """
    return _travel(mode, points, labels, plan, others, views)


def _travel(
    mode: Mode, shapes: Any, labels: Any, plan: Plan, others: Any, views: Any
) -> tuple[Any, Any, Any]:
    further = given(mask=plan.mask)
    if others is not None:
        further |= {"other_shapes": others[0], "other_labels": mode.cast(others[1], "INT32")}
    columns = given(
        partner=plan.partner,
        blend=plan.blend,
        box=plan.box,
        size=plan.size,
        offset=plan.offset,
        fit=plan.fit,
        views=views,
    )
    inputs = (shapes, mode.cast(labels, "INT32"), *further.values())
    kept: tuple[Any, Any, Any] = mode.ops.dali_mix.travel(*inputs, inputs=list(further), **columns)
    return kept

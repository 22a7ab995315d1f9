"""Bounding boxes and points, mixed by the plan of the images they belong to."""

from __future__ import annotations

from typing import Any

from dali_mix.graph.arguments import Batch, BatchAndLabels, DrawnForImages, Numbers, Share, given
from dali_mix.graph.checks import is_tensor
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
    weights: Batch = None,
    min_visible: Share = 0.0,
) -> tuple[Any, Any, Any]:
    """Mix bounding boxes as `apply` mixes the images they belong to.

    boxes:   batch of (M, 4) float32 on the CPU, (left, top, right, bottom) in [0, 1], relative
             to the image after its crop and mirror. DALI's box operators with `ltrb=True` make
             such boxes. M may differ between samples, and may be 0
    labels:  batch of (M,) integers on the CPU
    plan:    the plan of the images; its `frames` must be None
    others:  (boxes, labels) of the images that `apply` takes as `others`
    views:   batch of (height, width): the size of each image in pixels, after its crop.
             Needed only if the plan has an offset and sizes differ; a drawn plan with a canvas
             knows them. With `others`: 4 values, the size of its image last
    weights: batch of (M,) float32 on the CPU, the weights that another plan gave these boxes
             already; they are multiplied. Not with `others`
    min_visible: boxes of whose area a smaller share shows are left out
    returns: (boxes, labels, weights): own boxes first, then those of the partners. A box
             shrinks to its visible part, and is left out if nothing of it shows. weights, (R,)
             float32: the mean weight of the box's image over the area of the whole box. It is
             lam for the own boxes of mixup, and the visible share where images are cut

    If the plan has `fit`, its box is assumed to show the whole partner, resized.
    """
    return _travel(mode, boxes, labels, plan, others, views, weights, min_visible)


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
    returns: (points, labels, weights) of the points that show, own ones first. weights, (R,)
             float32: the weight of the point's image at its pixel

    labels, plan, others and views are as in `apply_boxes`.
    """
    return _travel(mode, points, labels, plan, others, views)


def _travel(
    mode: Mode,
    shapes: Any,
    labels: Any,
    plan: Plan,
    others: Any,
    views: Any,
    weights: Any = None,
    min_visible: float = 0.0,
) -> tuple[Any, Any, Any]:
    further = given(mask=plan.mask, weights=weights)
    if others is not None and weights is not None:
        raise ValueError("weights cannot be combined with others: they have none.")
    if others is not None:
        further |= {"other_shapes": others[0], "other_labels": mode.cast(others[1], "INT32")}
    columns = given(
        partner=plan.partner,
        blend=plan.blend,
        box=plan.box,
        size=plan.size,
        offset=plan.offset,
        fit=plan.fit,
        fill=plan.fill,
        view=plan.view,
        box_blend=plan.box_blend,
        views=mode.cast(views, "INT32") if views is not None and is_tensor(views) else views,
    )
    inputs = (shapes, mode.cast(labels, "INT32"), *further.values())
    kept: tuple[Any, Any, Any] = mode.ops.dali_mix.travel(
        *inputs, inputs=list(further), min_visible=min_visible, **columns
    )
    return kept

"""Bounding boxes and points, mixed by the plan of the images they belong to."""

from __future__ import annotations

from typing import Any

from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan


class Travel:
    """The functions for one mode."""

    _mode: Mode

    def apply_boxes(
        self, boxes: Any, labels: Any, plan: Plan, *, others: Any = None, views: Any = None
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
        return self._travel("apply_boxes", boxes, labels, plan, others, views)

    def apply_points(
        self, points: Any, labels: Any, plan: Plan, *, others: Any = None, views: Any = None
    ) -> tuple[Any, Any, Any]:
        """Mix points, such as keypoints, as `apply` mixes the images they belong to.

        points:  batch of (M, 2) float32 on the CPU, (x, y) in [0, 1], relative as in `apply_boxes`
        returns: (points, labels, weights): those that show, own ones first; weights, (R,) float32:
                 that of the point's image at its pixel

        The other arguments are those of `apply_boxes`.
        """
        return self._travel("apply_points", points, labels, plan, others, views)

    def _travel(
        self, caller: str, shapes: Any, labels: Any, plan: Plan, others: Any, views: Any
    ) -> tuple[Any, Any, Any]:
        if plan.frames is not None:
            raise ValueError(
                f"{caller} mixes the boxes or points of single images, got a plan for some frames "
                "of sequences. Leave frames out of the plan."
            )
        further = {"mask": plan.mask}
        if others is not None:
            other_shapes, other_labels = others
            further |= {
                "other_shapes": other_shapes,
                "other_labels": self._mode.cast(other_labels, "INT32"),
            }
        further = {name: value for name, value in further.items() if value is not None}
        columns = {
            "partner": plan.partner,
            "blend": plan.blend,
            "box": plan.box,
            "size": plan.size,
            "offset": plan.offset,
            "fit": plan.fit,
            "views": views,
        }
        given = {name: value for name, value in columns.items() if value is not None}
        inputs = (shapes, self._mode.cast(labels, "INT32"), *further.values())
        kept: tuple[Any, Any, Any] = self._mode.ops.dali_mix.travel(
            *inputs, inputs=list(further), **given
        )
        return kept

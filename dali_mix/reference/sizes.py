"""The same plan for outputs of another size, as `plan.resized` makes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dali_mix.plan import Plan
from dali_mix.reference.weights import count_weights


def nearest(edges: np.ndarray, to: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Edges (or distances) scaled from `size` to `to` and rounded, halves away from zero."""
    scaled = np.asarray(edges, np.int64) * 2 * to + np.sign(edges) * size
    return (np.abs(scaled) // (2 * size) * np.sign(scaled)).astype(np.int32)


def resized(plan: Plan, size: tuple[int, int]) -> Plan:
    """The plan for outputs of `size`, (height, width) in pixels.

    The edges of boxes are rounded to whole pixels. A box that becomes empty is all zero. Offsets
    are changed so that a box shows pixels inside its image. lam is counted again. Mask, frames and
    weights stay as they are.
    """
    if plan.fill is not None:
        raise ValueError(
            "plan cannot be resized if it has a canvas: its images have sizes of their own."
        )
    to, old = np.array(size, np.int32), np.asarray(plan.size)
    if (to <= 0).any():
        raise ValueError(f"size must be a height and a width above 0, got {size[0]} x {size[1]}.")
    new_size = old.copy()
    new_size[:, -2:] = to
    per_box = old[:, None, -2:]
    edges = np.reshape(plan.box, (len(old), -1, 4))
    box = np.concatenate([nearest(edges[..., k : k + 2], to, per_box) for k in (0, 2)], -1)
    box[(box[..., :2] == box[..., 2:]).any(-1)] = 0
    columns: dict[str, Any] = {"box": box.reshape(np.shape(plan.box)), "size": new_size}
    if plan.offset is not None:
        offset = nearest(plan.offset, to, per_box)
        columns["offset"] = np.clip(offset, -box[..., :2], to - box[..., 2:])
    if plan.fit is not None:
        fitted = np.asarray(plan.fit)[:, :1] > 0
        columns["fit"] = np.where(fitted, box[:, 0, 2:] - box[:, 0, :2], 0)
    plan = plan._replace(**columns)
    lams = [count_weights(plan, i, tuple(new_size[i])) for i in range(len(old))]
    many = np.ndim(plan.lam) > 1
    return plan._replace(lam=np.stack(lams) if many else np.array([lam[0] for lam in lams]))

"""The plan: everything random about one batch, as columns. What draws it lives in `dali_mix.fn`."""

from __future__ import annotations

from typing import Any, NamedTuple


class Plan(NamedTuple):
    """How the N images of a batch are mixed, for one output size. Nothing else is random.

    The columns are what the place of use works with: DALI graph nodes in a pipeline, DALI batches
    in dynamic mode, NumPy arrays of the shapes below in `dali_mix.reference`.

    A sample mixes K = 2 images. Methods that mix more will widen the columns to (N, K-1) partners,
    (N, K) weights and (N, K-1, 4) boxes, and leave those for K = 2 as they are.
    """

    partner: Any
    """(N,) int32, index in the batch of the image mixed in; its own index: unmixed."""
    blend: Any
    """(N,) float32 in [0, 1], weight of the own image outside the box."""
    box: Any
    """(N, 4) int32, (y0, x0, y1, x1) in output pixels, half-open; all zero: no box."""
    lam: Any
    """(N,) float32 in [0, 1], weight of the own label: the exact share of own pixels."""
    size: Any
    """(N, 2) int32, height and width, in pixels, of the output that the plan is for."""

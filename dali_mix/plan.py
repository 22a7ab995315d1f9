"""The plan: everything random about one batch, as columns. What draws it lives in `dali_mix.fn`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """How the N images of a batch are mixed, for one output size. Nothing else is random.

    The columns are what the place of use works with: DALI graph nodes in a pipeline, DALI batches
    in dynamic mode, NumPy arrays of the shapes below in `dali_mix.reference`.

    A sample mixes K = 2 images. Where a method mixes more, the columns widen for the whole batch:
    (N, K-1) partners, (N, K) weights, own first, (N, K-1, 4) boxes, one for each partner, where
    later ones cover earlier ones, and (N, K) shares; a pair among them has weights of 0.
    """

    partner: Any
    """(N,) int32, index in the batch of the image mixed in; its own index: unmixed. From N on: an
    index into the other batch."""
    blend: Any
    """(N,) float32 in [0, 1], weight of the own image outside the box; None: 1."""
    box: Any
    """(N, 4) int32, (y0, x0, y1, x1) in output pixels, half-open; all zero: no box. (N, M, 4): M
    boxes of the one partner. None: no box."""
    lam: Any
    """(N,) float32 in [0, 1], weight of the own label: the exact share of own pixels."""
    size: Any
    """(N, 2) int32, height and width, in pixels, of the output that the plan is for; of sequences
    (N, 3), frames first. None: any."""
    offset: Any = None
    """(N, K-1, 2) int32, (y, x): a box shows what lies there in the partner, moved by this."""
    fit: Any = None
    """(N, 2) int32, height and width of the box that shows the whole partner, resized; (0, 0): the
    box shows what lies there in the partner."""
    frames: Any = None
    """(N, 2) int32, (begin, end), half-open, of the frames that have the box."""
    mask: Any = None
    """(N, h, w) uint8, own weight in 1/255, which multiplies `blend` where there is no box; for
    pixels, or for cells: pixel y of H has row y*h // H. (0, 0): none. A list where sizes differ."""

    def resized(self, height: int, width: int) -> Plan:
        """The same plan for outputs of another size: boxes to the nearest pixel, lam counted again.

        For a second view of the images, mixed alike.
        """
        kind = type(self.lam).__module__
        if kind.startswith("numpy"):
            place = "dali_mix.reference"
        elif "dynamic" in kind:
            place = "dali_mix.dynamic"
        else:
            place = "dali_mix.fn"
        plan: Plan = import_module(place).resized(self, (height, width))
        return plan

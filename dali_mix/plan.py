"""The plan: everything random about one batch, as columns. What draws it lives in `dali_mix.fn`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """How the N images of a batch are mixed, for one output size. Nothing else is random.

    The columns are what the place of use works with: DALI graph nodes in a pipeline, DALI batches
    in dynamic mode, NumPy arrays of the shapes below in `dali_mix.reference`.

    A sample mixes K = 2 images, its own and its partner, or up to K = 8: its own and K-1 partners.
    Columns that are None (the default of the last ones) say nothing: see each.
    """

    partner: Any
    """(N,) int32, index in the batch of the image mixed in; its own index: unmixed. K > 2:
    (N, K-1). The images of a second batch, `others`, have the indices N to 2N - 1."""
    blend: Any
    """(N,) float32 in [0, 1], weight of the own image outside the boxes; the first partner has the
    rest. K > 2: also (N, K), weights of all images, own first, that sum to 1."""
    box: Any
    """(N, 4) int32, (y0, x0, y1, x1) in output pixels, half-open; all zero: no box. Several boxes
    of the partner: (N, M, 4), M up to 8. K > 2: (N, K-1, 4), one for each partner. Later boxes
    cover earlier ones."""
    lam: Any
    """(N,) float32 in [0, 1], weight of the own label: the exact share of own pixels. K > 2:
    (N, K), weights of all labels."""
    size: Any
    """(N, 2) int32, height and width, in pixels, of the output that the plan is for; or (N, 3),
    with the number of frames before them."""
    offset: Any = None
    """(N, K-1, 2) int32, (y, x): in a box, output pixel p shows pixel p + offset of the partner as
    cropped and mirrored, which may then be of any size. For partners that show in boxes alone.
    None: zeros."""
    fit: Any = None
    """(N, 2) int32, height and width of an image made for the box of the first partner, such as the
    whole partner resized, which shows there in its place, mirrored if the partner is. (0, 0): the
    partner as it is. None: zeros."""
    frames: Any = None
    """(N, 2) int32, (begin, end): the frames of a sequence that have the boxes. None: all."""
    mask: Any = None
    """N arrays (h, w) of uint8: what `blend` is multiplied with, in 1/255, at each pixel or at each
    of h x w cells, row y*h // H at y; the first partner has the rest. (0, 0): no mask. Where K > 2,
    further partners must not show. None: no masks."""

    @property
    def columns(self) -> tuple[Any, ...]:
        """Those that are there, in order: what a pipeline puts out to show its plan."""
        return tuple(column for column in self if column is not None)

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

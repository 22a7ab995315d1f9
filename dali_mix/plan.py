"""The plan: everything random about one batch, as columns. `dali_mix.fn.plan` draws it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """How the N images of a batch are mixed, for one output size. Nothing else is random.

    A column is a DALI graph node in a pipeline, a DALI batch in dynamic mode, and an array of the
    shape below in `dali_mix.reference`, of NumPy, and in `dali_mix.training`, of PyTorch.

    A sample mixes K images: its own and K-1 partners. K is 2 for most methods, and at most 8.
    The last columns may be None; each says what None means.
    """

    partner: Any
    """(N,) int32: index in the batch of the image mixed in. An unmixed sample has its own index.
    K > 2: (N, K-1). The images of a second batch, `others`, have the indices N to 2N - 1."""
    blend: Any
    """(N,) float32 in [0, 1]: weight of the own image outside the boxes. The first partner has the
    rest. K > 2: also (N, K), the weights of all images, the own first. They sum to 1."""
    box: Any
    """(N, 4) int32: (y0, x0, y1, x1) in output pixels, half-open. The partner shows there. All
    zero: no box. Several boxes: (N, M, 4), M up to 8. K > 2: (N, K-1, 4), one for each partner.
    Later boxes cover earlier ones."""
    lam: Any
    """(N,) float32 in [0, 1]: weight of the own label. It is the exact share of own pixels. K > 2:
    (N, K), the weights of all labels, the own first."""
    size: Any
    """(N, 2) int32: height and width, in pixels, of the output that the plan is for. Sequences:
    (N, 3), with the number of frames first."""
    offset: Any = None
    """(N, K-1, 2) int32, (y, x): in its box, output pixel p shows pixel p + offset of the partner,
    counted after the partner's crop and mirror. Such a partner may have any size, but may show in
    boxes only. None: zeros."""
    fit: Any = None
    """(N, 2) int32: height and width of an image made for the box of the first partner, such as
    the whole partner resized. It shows in the box instead of the partner, and is mirrored if the
    partner is. (0, 0): the partner itself shows. None: zeros."""
    frames: Any = None
    """(N, 2) int32, (begin, end): the boxes are in these frames of a sequence, half-open. None: in
    all frames."""
    mask: Any = None
    """N arrays (h, w) of uint8: at each pixel, `blend` is multiplied by the mask's value / 255. The
    first partner has the rest. The mask may be smaller than the output: row y takes row y*h // H of
    the mask, and columns likewise. (0, 0): no mask. If K > 2, only the own image and the first
    partner may show where there is a mask. None: no masks. In PyTorch: one tensor (N, h, w), and
    255 where there is no mask."""
    fill: Any = None
    """(N, 1) or (N, C) float32: value of the pixels that no image covers. The output is then a
    canvas of `size`. Each image has a box and an offset, the own one first: `box` is (N, K, 4) and
    `offset` (N, K, 2). Images may have any size. They show in boxes only, so `blend` is not used,
    and `lam` sums to 1 at most. None: there is no canvas."""
    view: Any = None
    """(N, 2) int32: height and width of each image after its crop, that a plan with `fill` is for.
    None: any."""
    box_blend: Any = None
    """(N,) float32 in [0, 1]: weight of the own image inside the boxes; the partner has the rest.
    Where it is above 0, `blend` must be 1. Only if K is 2. None: zeros."""

    @property
    def columns(self) -> tuple[Any, ...]:
        """The columns that are not None, in order. A pipeline returns them to show its plan."""
        return tuple(column for column in self if column is not None)

    def resized(self, height: int, width: int) -> Plan:
        """The same plan for outputs of another size, to mix a second view in the same way.

        The edges of boxes are rounded to whole pixels, and lam is counted again. A plan with `fill`
        cannot be resized: its images have sizes of their own.
        """
        kind = type(self.lam).__module__
        if kind.startswith("numpy"):
            place = "dali_mix.reference"
        elif kind.startswith("torch"):
            place = "dali_mix.training"
        elif "dynamic" in kind:
            place = "dali_mix.dynamic"
        else:
            place = "dali_mix.fn"
        plan: Plan = import_module(place).resized(self, (height, width))
        return plan

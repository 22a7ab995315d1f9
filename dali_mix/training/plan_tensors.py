"""A plan whose columns are PyTorch tensors: at any size, what shows where, and with which weight.

It follows `dali_mix.reference`. Nothing here waits for a GPU: the values of a plan decide no shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dali_mix.plan import Plan
from dali_mix.training.batch_target import check_range

_DIMENSIONS = {
    "partner": (1, 2),
    "blend": (1, 2),
    "box": (2, 3),
    "lam": (1, 2),
    "size": (2,),
    "offset": (3,),
    "box_blend": (1,),
    "fit": (2,),
    "frames": (2,),
    "mask": (3,),
}
_WHERE = "MixLoader(plan=True) gives such a plan; torch.as_tensor makes tensors of arrays"


def checked(plan: Any, like: Tensor, inputs: int = 1) -> Plan:
    """The plan on the device of `like`, a tensor of its batch; indices are int64.

    inputs: 2 if the partners may lie in a second batch
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be a dali_mix.Plan, got a {type(plan).__name__}; {_WHERE}.")
    beyond = [k for k, v in plan._asdict().items() if v is not None and k not in _DIMENSIONS]
    if beyond:
        raise ValueError(
            f"the plan has {' and '.join(beyond)}, which tensors cannot follow, as all samples of "
            "a tensor have one size; mix in the pipeline."
        )
    n = like.shape[0]
    columns = {k: _checked(k, v, like) for k, v in plan._asdict().items() if v is not None}
    if "partner" in columns:
        last = f"[0, {inputs * n})"
        hint = "" if inputs > 1 else " If partners come from a second batch, give it as others."
        sentence = f"partner must lie in {last}, the indices of {like.shape[0]} samples, got {{}}."
        check_range(columns["partner"], 0, inputs * n - 1, sentence + hint)
    return Plan(**dict.fromkeys(Plan._fields) | columns)


def _checked(name: str, column: Any, like: Tensor) -> Tensor:
    if not isinstance(column, Tensor):
        raise TypeError(
            f"the plan must hold tensors, got a {type(column).__name__} as {name}; {_WHERE}."
        )
    dimensions, n = _DIMENSIONS[name], like.shape[0]
    if column.dim() not in dimensions or column.shape[0] != n:
        raise ValueError(
            f"{name} of the plan must have {' or '.join(map(str, dimensions))} dimensions, the "
            f"first of length {n} as the batch has, got {tuple(column.shape)}."
        )
    if column.device != like.device and column.device.type != "cpu":
        raise ValueError(
            f"the plan must be on the device of the tensor, {like.device}, or on the CPU, got "
            f"{name} on {column.device}; move the tensor there."
        )
    column = column.to(like.device, non_blocking=True)
    whole = name not in ("blend", "lam", "mask", "box_blend")
    return column.long() if whole else column


def images_of(plan: Plan) -> int:
    """K, how many images a sample mixes."""
    if plan.partner is None:
        return 1
    return 1 + (plan.partner.shape[1] if plan.partner.dim() == 2 else 1)


def partners_of(plan: Plan) -> tuple[Tensor, ...]:
    """K-1 tensors (N,): the index of each partner."""
    if plan.partner is None:
        return ()
    return plan.partner.unbind(1) if plan.partner.dim() == 2 else (plan.partner,)


def shares_of(plan: Plan) -> tuple[Tensor, ...]:
    """K tensors (N,) float32: the weights of the labels."""
    if plan.lam.dim() == 2 and plan.lam.shape[1] > 1:
        return plan.lam.unbind(1)
    lam = plan.lam.reshape(-1)
    return (lam, 1 - lam)[: images_of(plan)]


def _boxes(plan: Plan) -> Tensor:
    """(N, M, 4)."""
    return plan.box if plan.box.dim() == 3 else plan.box.unsqueeze(1)


def _nearest(edges: Tensor, to: int, size: Tensor) -> Tensor:
    """Edges (or distances) scaled from `size` to `to` and rounded, halves away from zero."""
    size = size.view(-1, *(1,) * (edges.dim() - 1))
    scaled = 2 * edges * to + edges.sign() * size
    return scaled.abs() // (2 * size) * scaled.sign()


def scaled(plan: Plan, to: tuple[int, int], frames: int | None = None) -> Plan:
    """The plan for outputs of `to`, (height, width), except that lam stays as it is. Box is
    (N, M, 4) then. `frames`: the number of frames of the output, if they are to be scaled too."""
    box = None if plan.box is None else _boxes(plan)
    if plan.size is None:
        return plan._replace(box=box)
    size = plan.size[:, -2:]

    def pairs(values: Tensor) -> Tensor:
        """(…, 2), as (y, x), or (…, 4)."""
        axes = [_nearest(values[..., k::2], to[k], size[:, k]) for k in (0, 1)]
        return torch.stack(axes, -1).flatten(-2)

    columns: dict[str, Any] = {}
    if box is not None:
        box = pairs(box)
        empty = (box[..., :2] == box[..., 2:]).any(-1, keepdim=True)
        columns["box"] = box = box.masked_fill(empty, 0)
    if plan.offset is not None:
        offset = pairs(plan.offset)
        if box is not None:
            # The boxes must show pixels inside their images.
            ends = [(-box[..., k], to[k] - box[..., 2 + k]) for k in (0, 1)]
            clipped = [torch.clamp(offset[..., k], *ends[k]) for k in (0, 1)]
            offset = torch.stack(clipped, -1)
        columns["offset"] = offset
    if plan.fit is not None and box is not None:
        sides = box[:, 0, 2:] - box[:, 0, :2]
        columns["fit"] = sides.masked_fill(plan.fit[:, :1] <= 0, 0)
    if plan.frames is not None and frames is not None and plan.size.shape[1] == 3:
        columns["frames"] = _nearest(plan.frames, frames, plan.size[:, 0])
    return plan._replace(**columns)


def _blends(plan: Plan, n: int, device: torch.device) -> Tensor:
    """(N, K) float64: the weights outside boxes and mask."""
    images = images_of(plan)
    given = torch.ones(n, 1, device=device) if plan.blend is None else plan.blend
    given = (given if given.dim() == 2 else given.unsqueeze(1)).double()
    if given.shape[1] == 1:
        blends = torch.cat([given, 1 - given, given.new_zeros(n, max(images - 2, 0))], 1)
        return blends[:, :images] if images > 1 else given.new_ones(n, 1)
    return given / given.sum(1, keepdim=True)  # the sum is 1 up to rounding


def weights_of(
    plan: Plan, like: Tensor, size: tuple[int, int], frames: int | None = None
) -> Tensor:
    """(N, K, H, W) float32, or (N, K, F, H, W) where boxes are in some frames only: the weight of
    each image at each pixel. The plan is `scaled` to this size."""
    n, device = like.shape[0], like.device
    blends = _blends(plan, n, device)
    images = blends.shape[1]
    mixed = torch.ones(n, dtype=torch.bool, device=device)
    if images == 2:  # an image that is its own partner is unmixed
        mixed = partners_of(plan)[0] != torch.arange(n, device=device)
        whole = torch.arange(2, device=device) == 0
        blends = torch.where(mixed[:, None], blends, whole.double())
    y, x = (torch.arange(length, device=device) for length in size)
    numbers = torch.arange(images, device=device).view(-1, 1, 1)
    weights = blends.float()[:, :, None, None].expand(n, images, *size)
    if plan.mask is not None and images > 1:
        rows, columns = (
            at * cells // length
            for at, cells, length in zip((y, x), plan.mask.shape[1:], size, strict=True)
        )
        levels = plan.mask[:, rows][:, :, columns].double().unsqueeze(1)
        own = blends[:, :1, None, None] * (levels / 255)
        pair = torch.where(numbers == 0, own, torch.where(numbers == 1, 1 - own, 0)).float()
        weights = torch.where((levels < 255) & mixed.view(-1, 1, 1, 1), pair, weights)
    if plan.box is None or images == 1:
        return weights
    inside_frames = None
    if plan.frames is not None and frames is not None:
        f = torch.arange(frames, device=device)
        inside_frames = (plan.frames[:, :1] <= f) & (f < plan.frames[:, 1:])
        weights = weights.unsqueeze(2)
        numbers = numbers.unsqueeze(-1)
    for b, edges in enumerate(plan.box.unbind(1)):
        y0, x0, y1, x1 = edges.unsqueeze(2).unbind(1)
        row, column = (y0 <= y) & (y < y1) & mixed[:, None], (x0 <= x) & (x < x1)
        inside = row[:, :, None] & column[:, None]
        if inside_frames is not None:
            inside = inside[:, None] & inside_frames[:, :, None, None]
        shown = (numbers == (1 if images == 2 else b + 1)).float()
        if plan.box_blend is not None:
            own = plan.box_blend.double().view(-1, *(1,) * (weights.dim() - 1))
            shown = torch.where(numbers == 0, own, 1 - own).float()
        weights = torch.where(inside.unsqueeze(1), shown, weights)
    return weights


def resized(plan: Plan, size: tuple[int, int]) -> Plan:
    """The same plan for outputs of another size, to mix a second view in the same way.

    size:    (height, width) in pixels
    returns: the plan with the edges of its boxes rounded to whole pixels of that size, and with
             lam counted again

    `apply` needs no such plan: it takes the plan of the images, whatever the size of its tensor.
    """
    plan = checked(plan, plan.lam)
    height, width = (int(length) for length in size)
    if height < 1 or width < 1:
        raise ValueError(f"size must be a height and a width above 0, got {height} x {width}.")
    if plan.size is None:
        raise ValueError("a plan without size cannot be resized; give it the size that it is for.")
    other = scaled(plan, (height, width))
    shares, bare = (
        weights_of(view, plan.lam, (height, width)).double().mean((-2, -1))
        for view in (other, other._replace(box=None))
    )
    if plan.frames is not None and plan.size.shape[1] == 3:
        boxed = (plan.frames[:, 1:] - plan.frames[:, :1]).double() / plan.size[:, :1]
        bare = (
            weights_of(other._replace(box=None), plan.lam, (height, width)).double().mean((-2, -1))
        )
        shares = boxed * shares + (1 - boxed) * bare
    shares = shares.float()
    new_size = torch.cat(
        [plan.size[:, :-2]] + [torch.full_like(plan.size[:, :1], n) for n in (height, width)], 1
    )
    box = other.box if plan.box is None or plan.box.dim() == 3 else other.box.squeeze(1)
    lam = shares if plan.lam.dim() == 2 else shares[:, 0]
    return other._replace(box=box, lam=lam, size=new_size)

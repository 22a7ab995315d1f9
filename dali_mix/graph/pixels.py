"""Images, and the class maps that belong to them, mixed by a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dali_mix.graph.arguments import (
    SIZE,
    WINDOW,
    Batch,
    Count,
    Drawn,
    Numbers,
    Output,
    View,
    Whole,
    given,
    named,
    only,
)
from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack


def apply(
    mode: Mode, images: Batch, plan: Drawn, *, others: Batch = None, **output: Unpack[Output]
) -> Any:
    """Mix each image with its partner; crop, mirror, normalise, lay out and cast, in one pass.

    images:  batch of N (H, W, C) or (C, H, W) uint8, float32 or float16 images, CPU or GPU; they
             are not written to. Videos are FHWC, FCHW or CFHW, volumes DHWC, DCHW or CDHW
    plan:    for the same batch; a column that is None takes its default (no partner, blend 1,
             no box, any size, no canvas)
    others:  a second batch of N images of the same kind and size. Its image i has index N + i in
             the plan, and gets the crop and mirror of image i
    returns: batch of (C, H, W) or (H, W, C) images, on the device of `images`. Sequences have
             their frames first, unless `output_layout` says otherwise

    Equivalent to, for every sample i with partner j and every output pixel outside its box:
        k = scale/std;  k*blend[i]*a + k*(1-blend[i])*b + shift - mean*k
    and inside it the same with box_blend[i], by default 0. Here a, b are the pixels of images i and
    j, each after its own crop and mirror; then cast. Integer types saturate and round halves to
    even.

    ValueError, when the pipeline runs: the sizes of a pair differ, a window leaves its image, the
    plan was drawn for another size, or an argument is out of its range.
    """
    return _applied(mode, images, plan, _further(mode, images, plan, others, output, False), output)


def apply_mask(
    mode: Mode,
    maps: Batch,
    plan: Drawn,
    *,
    others: Batch = None,
    count: Count = 2,
    fill: Whole = 0,
    **view: Unpack[View],
) -> tuple[Any, ...]:
    """Cut class maps as their images are cut. Classes are copied, never blended.

    maps:    batch of (H, W), (H, W, C) or (C, H, W) maps, or sequences, of any integer type,
             CPU or GPU. With ResizeMix: (H, W) or (H, W, 1), with values below 2^24
    plan:    the plan of the images
    others:  maps of the second batch, if the plan takes partners from one
    count:   how many maps to make: one for each image that a sample mixes. 1 is enough if all
             methods cut
    fill:    class of the pixels that no image covers, if the plan has a canvas
    view:    mirror, crop, or crop_h and crop_w, crop_pos_x and crop_pos_y, as given to `apply`
             for the images
    returns: `count` batches of the layout and type of `maps`. Where images are blended, the
             first has the own classes and the second the partner's; lam weighs their two
             losses. Where images are cut, all maps are equal
    """
    if plan.fill is not None:
        plan = plan._replace(fill=[float(fill)])
    further = _further(mode, maps, plan, others, view, classes=True)
    return tuple(_applied(mode, maps, plan, further, {**view, "copied": k}) for k in range(count))


def resized(mode: Mode, plan: Drawn, size: Numbers) -> Plan:
    """The same plan for outputs of another size, to mix a second view in the same way.

    size:    (height, width) in pixels, numbers or an int DALI tensor
    returns: the plan with the edges of its boxes rounded to whole pixels of that size, and with
             lam counted again
    """
    if plan.fill is not None:
        raise ValueError(
            "plan cannot be resized if it has a canvas: its images have sizes of their own. Resize "
            "the output of apply."
        )
    mask = () if plan.mask is None else (plan.mask,)
    columns = given(
        partner=plan.partner,
        box=plan.box,
        blend=plan.blend,
        size=plan.size,
        offset=plan.offset,
        fit=plan.fit,
        frames=plan.frames,
        box_blend=plan.box_blend,
    )
    outputs = mode.ops.dali_mix.resized(*mask, to=size, **columns)
    names = ["box", "lam", "size", *(name for name in ("offset", "fit") if name in columns)]
    return plan._replace(**named(names, outputs))


def _further(
    mode: Mode, images: Any, plan: Plan, others: Any, output: Any, classes: bool
) -> dict[str, Any]:
    """The inputs of the operator after the images, by name."""
    inputs = given(others=others)
    if plan.fit is not None:
        inputs["fitted"] = _fitted(mode, images, plan, others, output, classes)
    if plan.mask is not None:
        inputs["mask"] = mode.place_like(plan.mask, images)
    return inputs


def _applied(
    mode: Mode, images: Any, plan: Plan, further: dict[str, Any], output: Mapping[str, Any]
) -> Any:
    columns = given(**{**plan._asdict(), "lam": None, "mask": None})
    if further:
        columns["inputs"] = list(further)
    return mode.ops.dali_mix.apply(images, *further.values(), **columns, **output)


def _fitted(mode: Mode, images: Any, plan: Plan, others: Any, output: Any, classes: bool) -> Any:
    """The whole partners, cropped but not mirrored, resized to their boxes."""
    ops, cast = mode.ops, mode.cast
    seen = [batch for batch in (images, others) if batch is not None]
    if classes:
        # fn.resize needs an axis of channels, and does not take every integer type.
        seen = [
            ops.reshape(cast(batch, "FLOAT"), rel_shape=[1, 1, -1], layout="HWC") for batch in seen
        ]
    window = only(output, WINDOW)
    if any(name in window for name in SIZE):
        seen = [ops.crop(batch, **window) for batch in seen]
    partners = mode.gather(seen[0], seen[1] if len(seen) > 1 else None, plan.partner, 0)
    # Where nothing is fitted the size is 1 x 1, not 0 x 0. The number of frames stays as it is.
    size = cast(plan.fit + cast(plan.fit == 0, "INT32"), "FLOAT")
    to = {name: mode.element(size, k) for k, name in enumerate(("resize_y", "resize_x"))}
    to["mode"] = "stretch"
    if not classes:
        return ops.resize(partners, **to)
    fitted = ops.resize(partners, interp_type=mode.nearest, **to)
    return ops.cast_like(fitted, images)

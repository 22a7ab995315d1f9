"""The pixels of the plan: images, and maps of classes that travel with them."""

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

    images:  batch of (H, W, C) or (C, H, W) uint8, float32 or float16 images, CPU or GPU; not
             written to. Videos are FHWC, FCHW or CFHW, volumes DHWC, DCHW or CDHW
    plan:    for the same batch; a column that is None takes its default (no partner, blend 1,
             no box, any size)
    others:  a second batch, alike in number, kind and size, whose images have the indices
             behind those of `images`; image i of it is cropped and mirrored as image i
    returns: batch of (C, H, W) or (H, W, C) images, on the device of `images`; of sequences
             the same with the frames before them, or as `output_layout` says

    Equivalent to, for every sample i with partner j and every output pixel outside its box:
        k = scale/std;  k*blend[i]*a + k*(1-blend[i])*b + shift - mean*k
    and k*b + shift - mean*k inside it, where a, b are the pixels of images i and j, each after
    its own crop and mirror; then cast. Integer types saturate and round halves to even.

    ValueError: sizes of a pair that differ, a window that leaves its image, a plan drawn for
    another size, and arguments out of their range, when the pipeline runs.
    """
    return _applied(mode, images, plan, _further(mode, images, plan, others, output, False), output)


def apply_mask(
    mode: Mode,
    maps: Batch,
    plan: Drawn,
    *,
    others: Batch = None,
    count: Count = 2,
    **view: Unpack[View],
) -> tuple[Any, ...]:
    """Cut maps of classes as the images are cut; they are copied, never blended.

    maps:    batch of (H, W), (H, W, C) or (C, H, W) maps, or sequences, of any integer type,
             CPU or GPU; with ResizeMix (H, W) or (H, W, 1), of values below 2^24
    plan:    that of the images
    others:  maps of the other batch, where the plan points into it
    count:   maps to make: as many as one sample mixes images. 1 is enough where all methods cut
    view:    mirror, crop, or crop_h and crop_w, crop_pos_x and crop_pos_y, as given to `apply`
             for the images
    returns: `count` batches of the layout and type of `maps`. Where an image is blended
             the first has the own classes, the second those of the partner, for the pair of
             losses that lam weighs; where it is cut all of them are the same
    """
    further = _further(mode, maps, plan, others, view, classes=True)
    return tuple(_applied(mode, maps, plan, further, {**view, "copied": k}) for k in range(count))


def resized(mode: Mode, plan: Drawn, size: Numbers) -> Plan:
    """The same plan for outputs of another size, to mix a second view of the images alike.

    size:    (height, width) in pixels, numbers or an int DALI tensor
    returns: the plan with boxes at the nearest pixel of that size, and lam counted again
    """
    mask = () if plan.mask is None else (plan.mask,)
    columns = given(
        partner=plan.partner,
        box=plan.box,
        blend=plan.blend,
        size=plan.size,
        offset=plan.offset,
        fit=plan.fit,
        frames=plan.frames,
    )
    outputs = mode.ops.dali_mix.resized(*mask, to=size, **columns)
    names = ["box", "lam", "size", *(name for name in ("offset", "fit") if name in columns)]
    return plan._replace(**named(names, outputs))


def _further(
    mode: Mode, images: Any, plan: Plan, others: Any, output: Any, classes: bool
) -> dict[str, Any]:
    """What the operator is given besides the images, by name."""
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
    """The whole partners, as they are seen without the mirror, in the sizes of their boxes."""
    ops, cast = mode.ops, mode.cast
    seen = [batch for batch in (images, others) if batch is not None]
    if classes:
        # As images of one channel: the only ones that can be resized without blending.
        seen = [
            ops.reshape(cast(batch, "FLOAT"), rel_shape=[1, 1, -1], layout="HWC") for batch in seen
        ]
    window = only(output, WINDOW)
    if any(name in window for name in SIZE):
        seen = [ops.crop(batch, **window) for batch in seen]
    partners = mode.gather(seen[0], seen[1] if len(seen) > 1 else None, plan.partner, 0)
    # At least one pixel, where nothing is to be fitted. Frames and slices stay as they are.
    size = cast(plan.fit + cast(plan.fit == 0, "INT32"), "FLOAT")
    to = {name: mode.element(size, k) for k, name in enumerate(("resize_y", "resize_x"))}
    to["mode"] = "stretch"
    if not classes:
        return ops.resize(partners, **to)
    fitted = ops.resize(partners, interp_type=mode.nearest, **to)
    return ops.cast_like(fitted, images)

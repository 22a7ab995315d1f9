"""The pixels of the plan: images, and maps of classes that travel with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dali_mix.graph import arguments as args
from dali_mix.graph.arguments import Output, View
from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Pixels:
    """The functions for one mode."""

    def __init__(self, mode: Mode):
        self._mode = mode

    def apply(
        self, images: Any, plan: Plan, *, others: Any = None, **output: Unpack[Output]
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

        Output arguments, as in `fn.crop_mirror_normalize`:
          mean, std:               per channel or one for all; default 0 and 1
          scale, shift:            default 1 and 0
          dtype:                   FLOAT (default), FLOAT16, UINT8, INT8
          output_layout:           "CHW" (default) or "HWC", of each frame; or "CFHW", "CDHW"
          mirror:                  nonzero flips horizontally, number or DALI tensor; default 0
          crop, or crop_h, crop_w: output size in pixels; default: the whole image
          crop_pos_y, crop_pos_x:  place of the window in [0, 1]; default 0.5, the centre
          pad_output:              add channels of zeros up to a power of two; default False

        ValueError: sizes of a pair that differ, a window that leaves its image, a plan drawn for
        another size, and arguments out of their range, when the pipeline runs.
        """
        args.reject_unknown(self._mode.random, "apply", output, Output)
        return self._apply(images, plan, self._further(images, plan, others, output, False), output)

    def apply_mask(
        self, maps: Any, plan: Plan, *, others: Any = None, count: int = 2, **view: Unpack[View]
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
        args.reject_unknown(self._mode.random, "apply_mask", view, View)
        further = self._further(maps, plan, others, view, classes=True)
        return tuple(self._apply(maps, plan, further, {**view, "copied": k}) for k in range(count))

    def resized(self, plan: Plan, size: Any) -> Plan:
        """The same plan for outputs of another size, to mix a second view of the images alike.

        size:    (height, width) in pixels, numbers or an int DALI tensor
        returns: the plan with boxes at the nearest pixel of that size, and lam counted again
        """
        mask = () if plan.mask is None else (plan.mask,)
        columns = args.given(
            partner=plan.partner,
            box=plan.box,
            blend=plan.blend,
            size=plan.size,
            offset=plan.offset,
            fit=plan.fit,
            frames=plan.frames,
        )
        outputs = self._mode.ops.dali_mix.resized(*mask, to=size, **columns)
        names = ["box", "lam", "size", *(name for name in ("offset", "fit") if name in columns)]
        return plan._replace(**args.named(names, outputs))

    def _further(
        self, images: Any, plan: Plan, others: Any, output: Any, classes: bool
    ) -> dict[str, Any]:
        """What the operator is given besides the images, by name."""
        inputs = args.given(others=others)
        if plan.fit is not None:
            inputs["fitted"] = self._fitted(images, plan, others, output, classes)
        if plan.mask is not None:
            inputs["mask"] = self._mode.place_like(plan.mask, images)
        return inputs

    def _apply(self, images: Any, plan: Plan, further: dict[str, Any], output: Any) -> Any:
        dtype = output.get("dtype")
        if dtype is not None and not isinstance(dtype, self._mode.dtype_kinds):
            raise TypeError(f"dtype must be one of DALI's, such as types.FLOAT16, got {dtype!r}.")
        args.check_no_words(output)
        columns = args.given(**{**plan._asdict(), "lam": None, "mask": None})
        if further:
            columns["inputs"] = list(further)
        return self._mode.ops.dali_mix.apply(images, *further.values(), **columns, **output)

    def _fitted(self, images: Any, plan: Plan, others: Any, output: Any, classes: bool) -> Any:
        """The whole partners, as they are seen but for the mirror, in the sizes of their boxes."""
        ops, cast = self._mode.ops, self._mode.cast
        seen = [batch for batch in (images, others) if batch is not None]
        if classes:
            # As images of one channel: the only ones that can be resized without blending.
            seen = [
                ops.reshape(cast(batch, "FLOAT"), rel_shape=[1, 1, -1], layout="HWC")
                for batch in seen
            ]
        window = args.only(output, args.WINDOW)
        if any(name in window for name in args.SIZE):
            seen = [ops.crop(batch, **window) for batch in seen]
        partners = self._mode.gather(seen[0], seen[1] if len(seen) > 1 else None, plan.partner, 0)
        # At least one pixel, where nothing is to be fitted. Frames and slices stay as they are.
        size = cast(plan.fit + cast(plan.fit == 0, "INT32"), "FLOAT")
        to = {name: self._mode.element(size, k) for k, name in enumerate(("resize_y", "resize_x"))}
        to["mode"] = "stretch"
        if not classes:
            return ops.resize(partners, **to)
        fitted = ops.resize(partners, interp_type=self._mode.nearest, **to)
        return ops.cast_like(fitted, images)

"""The draw: the plan of a batch, without its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dali_mix.graph.arguments import Batch, Batches, Draw, Numbers, given, named
from dali_mix.graph.checks import as_methods, as_pairing, as_weights, is_tensor
from dali_mix.graph.mode import Mode
from dali_mix.methods import Method, MixUp
from dali_mix.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT = MixUp()
BY_CLASS = ("same_class", "other_class")
GIVEN_TENSORS = {"partner": "INT32", "box": "INT32", "lam": "FLOAT", "prob": "FLOAT"}


def plan(
    mode: Mode,
    images: Batch = None,
    labels: Batches = None,
    methods: Method | Sequence[Method] = DEFAULT,
    *,
    weights: Sequence[Any] | None = None,
    size: Numbers = None,
    crop: Numbers = None,
    crop_h: Numbers = None,
    crop_w: Numbers = None,
    mask: Any = None,
    **draw: Unpack[Draw],
) -> Plan:
    """Draw how a batch of N images is mixed, without computing pixels.

    images:  batch of images, CPU or GPU. Only their number and sizes are read, so GPU images
             cost no synchronisation. None: pass `size`; N is the batch size of the pipeline,
             or in dynamic mode that of `labels`
    labels:  batch of N labels: the classes of partner="same_class" and "other_class". With
             exec_dynamic=False, labels on the CPU tell the number of GPU images
    methods: one method or several, `dali_mix.MixUp(...)`, `dali_mix.CutMix(...)` …
    weights: relative weight of each method, numbers or DALI tensors; default: all equal
    mask:    masks that are used instead of a method: CPU batch of (h, w) uint8, the own weight
             in 1/255 at each pixel of the output, or in each of h x w cells of it
    returns: `Plan`, on the CPU; the columns from offset on are None if no method draws them

    The plan is for outputs of `size`, of `crop`, or of `crop_h` and `crop_w`, in pixels as
    (H, W); by default, of the size of the images. For `dali_mix.Mosaic` these are the sizes of
    the images on its canvas, which may all differ.

    A batch of one is left unmixed, unless partner is "others". An unmixed sample has lam 1 and is
    its own partner.

    ValueError, when the pipeline is built or run: an argument is out of its range.
    """
    listed = as_methods(methods)
    output = given(crop=crop, crop_h=crop_h, crop_w=crop_w)
    if size is not None:
        if output:
            raise ValueError(f"size cannot be combined with {', '.join(output)}: give one.")
        output = {"crop": size}
    if mask is None:
        return drawn(mode, images, labels, listed, weights, output, draw)
    if methods is not DEFAULT or weights is not None:
        raise ValueError("mask replaces methods and weights: give either mask or these.")
    if draw.get("lam") is not None or draw.get("box") is not None:
        raise ValueError("mask cannot be combined with lam or box: the mask decides lam.")
    # Only the partners are drawn. The mask decides lam.
    partners = drawn(mode, images, labels, listed, None, output, {**draw, "lam": 0.5})
    plan = partners._replace(blend=None, mask=mask)
    outputs = mode.ops.dali_mix.resized(mask, partner=plan.partner, box=plan.box, size=plan.size)
    return plan._replace(lam=outputs[1])


def drawn(
    mode: Mode,
    images: Any,
    labels: Any,
    methods: Sequence[Method],
    weights: Sequence[Any] | None,
    output: Mapping[str, Any],
    draw: Mapping[str, Any],
) -> Plan:
    """`output`: the size that the plan is for; empty: the size of the images."""
    first = labels[0] if isinstance(labels, tuple) else labels
    inputs = mode.counted_by(images, first, bool(output))
    arguments = {**output, **_draw_arguments(mode, first, draw)}
    # The operator runs on the CPU, even if it reads the shapes of GPU images.
    columns = mode.ops.dali_mix.plan(
        *inputs,
        device="cpu",
        methods=[method.text for method in methods],
        fold=[int(method.fold) for method in methods],
        alpha=mode.vector([method.alpha for method in methods]),
        weights=mode.vector(as_weights(weights, len(methods))),
        **arguments,
    )
    return Plan(**named(columns_of(methods), columns))


def _draw_arguments(mode: Mode, labels: Any, draw: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the draw as the plan operator takes them."""
    arguments = dict(draw)
    if isinstance(draw.get("partner"), str):
        pairing = as_pairing(arguments.pop("partner"))
        arguments["pairing"] = pairing
        if pairing in BY_CLASS:
            if labels is None:
                raise ValueError(f"partner={pairing!r} needs labels, got none.")
            arguments["classes"] = mode.cast(mode.on_cpu(labels), "INT32")
    for name, dtype in GIVEN_TENSORS.items():
        if name in arguments and is_tensor(arguments[name]):
            arguments[name] = mode.cast(arguments[name], dtype)
    return arguments


def columns_of(methods: Sequence[Method]) -> tuple[str, ...]:
    """Names of the outputs of the plan operator, in their order."""
    needed = {name for method in methods for name in method.columns()}
    optional = ("offset", "fit", "frames", "mask", "fill", "view", "box_blend")
    extra = [name for name in optional if name in needed]
    return ("partner", "blend", "box", "lam", "size", *extra)

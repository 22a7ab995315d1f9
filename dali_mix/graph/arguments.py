"""The arguments that graph functions share: name, type, default, what help says of each, and how it
is checked. `dali_mix.graph.door` does so, once, with what users pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias, TypedDict

from dali_mix.graph import checks
from dali_mix.plan import Plan

SIZE = ("crop", "crop_h", "crop_w")
WINDOW = (*SIZE, "crop_pos_x", "crop_pos_y")


class Argument(NamedTuple):
    """What goes with the type of an argument."""

    check: checks.Check
    default: Any = None
    text: str = ""


Tensor: TypeAlias = Any
"""A batch of DALI's: a graph node in a pipeline, a batch in dynamic mode."""
Batch: TypeAlias = Annotated[Tensor, Argument(checks.batch)]
Batches: TypeAlias = Annotated[Tensor, Argument(checks.batches)]
BatchAndLabels: TypeAlias = Annotated[Tensor, Argument(checks.batch_and_labels)]
Drawn: TypeAlias = Annotated[Plan, Argument(checks.drawn)]
DrawnForImages: TypeAlias = Annotated[Plan, Argument(checks.drawn_for_images)]
Count: TypeAlias = Annotated[int, Argument(checks.whole(1))]
Several: TypeAlias = Annotated[int, Argument(checks.whole(2))]
Numbers: TypeAlias = Annotated[Any, Argument(checks.no_words)]


class View(TypedDict, total=False):
    """What is seen of an image, as `crop_mirror_normalize` says it."""

    mirror: Annotated[
        int | Tensor,
        Argument(checks.no_words, 0, "nonzero flips horizontally, number or DALI tensor"),
    ]
    crop: Annotated[
        Sequence[float] | Tensor | None,
        Argument(checks.no_words, None, "output size in pixels, (H, W); default: the whole image"),
    ]
    crop_h: Annotated[float | Tensor | None, Argument(checks.no_words, None, "height, with crop_w")]
    crop_w: Annotated[float | Tensor | None, Argument(checks.no_words, None, "width, with crop_h")]
    crop_pos_x: Annotated[
        float | Tensor,
        Argument(checks.no_words, 0.5, "place of the window from left to right, in [0, 1]"),
    ]
    crop_pos_y: Annotated[
        float | Tensor,
        Argument(checks.no_words, 0.5, "place of the window from top to bottom, in [0, 1]"),
    ]


class Output(View, total=False):
    """Arguments of the output, with the names, meanings and defaults of `crop_mirror_normalize`."""

    mean: Annotated[
        float | Sequence[float], Argument(checks.constant, 0.0, "per channel, or one for all")
    ]
    std: Annotated[
        float | Sequence[float], Argument(checks.constant, 1.0, "per channel, or one for all")
    ]
    scale: Annotated[float, Argument(checks.constant, 1.0, "factor of the normalised value")]
    shift: Annotated[float, Argument(checks.constant, 0.0, "added after the scale")]
    dtype: Annotated[
        Any, Argument(checks.dtype, None, "types.FLOAT (default), FLOAT16, UINT8, INT8")
    ]
    output_layout: Annotated[
        str, Argument(checks.as_it_is, "CHW", '"CHW" or "HWC", of each frame; or "CFHW", "CDHW"')
    ]
    pad_output: Annotated[
        bool, Argument(checks.flag, False, "add channels of zeros up to a power of two")
    ]


class Draw(TypedDict, total=False):
    """Arguments of the draw."""

    per: Annotated[
        str,
        Argument(
            checks.as_it_is,
            "sample",
            '"sample", "pair" or "batch": what shares a draw of weight and box. "pair" draws a '
            "random matching whose members share everything drawn, and leaves an odd one unmixed",
        ),
    ]
    prob: Annotated[
        float | Tensor,
        Argument(
            checks.for_each_sample,
            1.0,
            "probability in [0, 1] that a sample is mixed, number, DALI tensor or "
            "`dali_mix.Scheduled`",
        ),
    ]
    prob_per: Annotated[
        str, Argument(checks.as_it_is, "sample", '"sample" or "batch": what `prob` decides on')
    ]
    choose_per: Annotated[
        str, Argument(checks.as_it_is, "sample", '"sample" or "batch": what takes one method')
    ]
    partner: Annotated[
        str | Tensor,
        Argument(
            checks.pairing,
            "derange",
            '"derange" (a uniform permutation without fixed points), "shuffle" (with), "reverse", '
            '"roll" (the image before); "same_class", "other_class" (any such image by `labels`, '
            'class ids; unmixed where there is none); "others" (the image across, in the other '
            "batch that apply is given); or given: an int DALI tensor of batch indices, of K-1 "
            "with K images",
        ),
    ]
    lam: Annotated[
        float | Tensor | None,
        Argument(
            checks.for_each_sample,
            None,
            "given, not drawn: in [0, 1], mixup's weight, or what a box or mask is to leave",
        ),
    ]
    box: Annotated[
        Sequence[int] | Tensor | None,
        Argument(
            checks.one_box,
            None,
            "given, not drawn: (y0, x0, y1, x1) for all samples or an int DALI tensor, for cutmix; "
            "clipped to the image. Not with `lam`",
        ),
    ]
    seed: Annotated[
        int | None,
        Argument(checks.seed, None, "of the operator; default: drawn from the pipeline's"),
    ]
    rng: Annotated[Any, Argument(checks.as_it_is, None, "a DALI RNG; default: that of the thread")]


class DrawAndOutput(Draw, Output, total=False):
    """What the mixing functions take."""

    second: Annotated[
        tuple[Tensor, Tensor] | None,
        Argument(
            checks.second,
            None,
            "(images2, labels2), a second stream to take the partners from, alike in kind and "
            "size; with another reader, what the papers do. Image i is mixed with the one across",
        ),
    ]


DRAW = tuple(Draw.__annotations__)
OUTPUT = tuple(Output.__annotations__)
SECTIONS = {"The draw": (*DRAW, "second"), "The output, as in `fn.crop_mirror_normalize`": OUTPUT}


def only(arguments: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in names}


def given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def named(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Not with zip(strict=True): a graph with conditionals has a zip of its own, without it."""
    return {name: values[k] for k, name in enumerate(names)}

"""The arguments that graph functions share: name, type, default, help text and check. The checks
run once, in `dali_mix.graph.door`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias, TypedDict

from dali_mix.graph import checks
from dali_mix.plan import Plan

SIZE = ("crop", "crop_h", "crop_w")
WINDOW = (*SIZE, "crop_pos_x", "crop_pos_y")


class Argument(NamedTuple):
    """What an annotation says of an argument besides its type."""

    check: checks.Check
    default: Any = None
    text: str = ""


Tensor: TypeAlias = Any
"""A DALI batch: a graph node in a pipeline, a batch in dynamic mode."""
Batch: TypeAlias = Annotated[Tensor, Argument(checks.batch)]
Batches: TypeAlias = Annotated[Tensor, Argument(checks.batches)]
BatchAndLabels: TypeAlias = Annotated[Tensor, Argument(checks.batch_and_labels)]
Drawn: TypeAlias = Annotated[Plan, Argument(checks.drawn)]
DrawnForImages: TypeAlias = Annotated[Plan, Argument(checks.drawn_for_images)]
Count: TypeAlias = Annotated[int, Argument(checks.whole(1))]
Several: TypeAlias = Annotated[int, Argument(checks.whole(2))]
Whole: TypeAlias = Annotated[int, Argument(checks.whole_number)]
Share: TypeAlias = Annotated[float, Argument(checks.share)]
Numbers: TypeAlias = Annotated[Any, Argument(checks.no_words)]


class View(TypedDict, total=False):
    """Arguments that crop and mirror an image, as `crop_mirror_normalize` takes them."""

    mirror: Annotated[
        int | Tensor,
        Argument(checks.no_words, 0, "nonzero flips horizontally; a number or a DALI tensor"),
    ]
    crop: Annotated[
        Sequence[float] | Tensor | None,
        Argument(checks.no_words, None, "output size in pixels, (H, W); default: the whole image"),
    ]
    crop_h: Annotated[
        float | Tensor | None, Argument(checks.no_words, None, "output height; needs crop_w")
    ]
    crop_w: Annotated[
        float | Tensor | None, Argument(checks.no_words, None, "output width; needs crop_h")
    ]
    crop_pos_x: Annotated[
        float | Tensor,
        Argument(checks.no_words, 0.5, "place of the window in [0, 1]: 0 is left, 1 is right"),
    ]
    crop_pos_y: Annotated[
        float | Tensor,
        Argument(checks.no_words, 0.5, "place of the window in [0, 1]: 0 is top, 1 is bottom"),
    ]


class Output(View, total=False):
    """Arguments of the output, with the names, meanings and defaults of `crop_mirror_normalize`."""

    mean: Annotated[
        float | Sequence[float], Argument(checks.constant, 0.0, "one per channel, or one for all")
    ]
    std: Annotated[
        float | Sequence[float], Argument(checks.deviation, 1.0, "one per channel, or one for all")
    ]
    scale: Annotated[float, Argument(checks.constant, 1.0, "multiplies the normalised value")]
    shift: Annotated[float, Argument(checks.constant, 0.0, "is added after the scale")]
    dtype: Annotated[
        Any, Argument(checks.dtype, None, "types.FLOAT (default), FLOAT16, UINT8 or INT8")
    ]
    output_layout: Annotated[
        str,
        Argument(
            checks.as_it_is,
            "CHW",
            '"CHW" or "HWC"; of sequences, the layout of each frame. "CFHW" and "CDHW" put the '
            "channels before the frames",
        ),
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
            '"sample", "pair" or "batch": which samples share one draw of weight and box. "pair" '
            "pairs the samples at random; the two of a pair share every draw. An odd one stays "
            "unmixed",
        ),
    ]
    prob: Annotated[
        float | Tensor,
        Argument(
            checks.for_each_sample,
            1.0,
            "probability in [0, 1] that a sample is mixed; a number, a DALI tensor or a "
            "`dali_mix.Scheduled`",
        ),
    ]
    prob_per: Annotated[
        str,
        Argument(
            checks.as_it_is,
            "sample",
            '"sample": `prob` decides for each sample; "batch": once for the whole batch',
        ),
    ]
    choose_per: Annotated[
        str,
        Argument(
            checks.as_it_is,
            "sample",
            '"sample": a method is chosen for each sample; "batch": one for the whole batch',
        ),
    ]
    partner: Annotated[
        str | Tensor,
        Argument(
            checks.pairing,
            "derange",
            '"derange" (a uniform permutation without fixed points), "shuffle" (any permutation), '
            '"reverse", "roll" (the image before); "aspect" (pairs of the most similar height over '
            'width; an odd one stays unmixed); "same_class", "other_class" (any image of such '
            "a class; `labels` are class ids; a sample that finds none stays unmixed); "
            '"others" (image i of the second batch that apply is given); or a DALI tensor of '
            "batch indices, K-1 for each sample if it mixes K images",
        ),
    ]
    lam: Annotated[
        float | Tensor | None,
        Argument(
            checks.for_each_sample,
            None,
            "in [0, 1], used instead of a draw: the weight of mixup, or the share that a box or "
            "mask leaves to the own image",
        ),
    ]
    box: Annotated[
        Sequence[int] | Tensor | None,
        Argument(
            checks.one_box,
            None,
            "the box of cutmix, used instead of a draw: (y0, x0, y1, x1) for all samples, or an "
            "int DALI tensor. It is clipped to the image. Not with `lam`",
        ),
    ]
    seed: Annotated[
        int | None,
        Argument(checks.seed, None, "seed of the draw; default: from the seed of the pipeline"),
    ]
    rng: Annotated[Any, Argument(checks.as_it_is, None, "a DALI RNG; default: the thread's RNG")]


class DrawAndOutput(Draw, Output, total=False):
    """What the mixing functions take."""

    second: Annotated[
        tuple[Tensor, Tensor] | None,
        Argument(
            checks.second,
            None,
            "(images2, labels2): a second stream that gives the partners, of the same kind and "
            "size. Image i is mixed with its image i. With a reader of its own it gives the law "
            "of the papers: two independent images",
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
    """Does not use `zip`: in a pipeline with conditionals DALI replaces it, and its zip has no
    `strict`."""
    return {name: values[k] for k, name in enumerate(names)}

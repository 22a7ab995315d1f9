"""The mixing functions. Each draws a plan, applies it to the images, and pairs the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dali_mix.graph.arguments import DRAW, OUTPUT, SIZE, Batch, Batches, DrawAndOutput, only
from dali_mix.graph.checks import as_methods, images_of
from dali_mix.graph.drawing import DEFAULT, drawn
from dali_mix.graph.labels import targets
from dali_mix.graph.mode import Mode
from dali_mix.graph.pixels import apply
from dali_mix.methods import CutMix, Method, MixUp

if TYPE_CHECKING:
    from typing_extensions import Unpack


def mix(
    mode: Mode,
    images: Batch,
    labels: Batches = None,
    methods: Method | Sequence[Method] = DEFAULT,
    *,
    weights: Sequence[Any] | None = None,
    **arguments: Unpack[DrawAndOutput],
) -> tuple[Any, ...]:
    """Draw a plan, mix the images by it, and pair the labels.

    images:  batch of (H, W, C) or (C, H, W) uint8, float32 or float16 images, CPU or GPU
    labels:  batch of class ids (any integer type, shape () or (1,)) or of float vectors, CPU or
             GPU; a tuple of such batches; or None
    methods: one method or several. If several, each sample (or batch) takes one of them
    weights: how likely each method is, relative numbers or DALI tensors; default: all equal
    returns: (x, y1, y2, lam): mixed images, own labels, partners' labels, and float32 weights
             of the own labels, all on the device of the images. Labels keep their shape and
             type, and a tuple stays a tuple. Without labels: (x, plan)

    If a method mixes K > 2 images, mix returns (x, ys, weights): for each sample (K, …) labels,
    the own first, and (K,) weights.

    partner="previous" takes the partners from the batch before, so that a batch of one is mixed
    too. It works in pipelines only. The batch before is kept, also in checkpoints.
    """
    return _mixed(mode, images, labels, as_methods(methods), weights, arguments)


def mixup(
    mode: Mode,
    images: Batch,
    labels: Batches = None,
    *,
    alpha: Any = 0.4,
    fold: bool = True,
    **arguments: Unpack[DrawAndOutput],
) -> tuple[Any, ...]:
    """Mixup (Zhang et al. 2018): x = lam*own + (1-lam)*partner, lam from Beta(alpha, alpha).

    images, labels: as in `mix`
    alpha:   finite number >= 0 (0: off) or DALI tensor
    fold:    replace a draw t by max(t, 1 - t), so that the own image dominates; the paper does
             not
    returns: (x, y1, y2, lam) as `mix`
    """
    return _mixed(mode, images, labels, [MixUp(alpha, fold=fold)], None, arguments)


def cutmix(
    mode: Mode,
    images: Batch,
    labels: Batches = None,
    *,
    alpha: Any = 1.0,
    fold: bool = False,
    **arguments: Unpack[DrawAndOutput],
) -> tuple[Any, ...]:
    """CutMix (Yun et al. 2019): the partner shows in a box; lam is the share of own pixels.

    images, labels: as in `mix`
    alpha:   finite number >= 0 (0: off) or DALI tensor. The share of own pixels is drawn from
             Beta(alpha, alpha); lam is counted after the box is clipped
    fold:    replace a draw t by max(t, 1 - t)
    returns: (x, y1, y2, lam) as `mix`
    """
    return _mixed(mode, images, labels, [CutMix(alpha, fold=fold)], None, arguments)


def _mixed(
    mode: Mode,
    images: Any,
    labels: Any,
    methods: Sequence[Method],
    weights: Sequence[Any] | None,
    arguments: Mapping[str, Any],
) -> tuple[Any, ...]:
    others, second, draw = _partners(mode, images, labels, arguments)
    output = only(arguments, OUTPUT)
    plan = drawn(mode, images, labels, methods, weights, only(output, SIZE), draw)
    x = apply(mode, images, plan, others=others, **output)
    if labels is None:
        return x, plan
    return x, *targets(mode, labels, second, plan, images, images_of(methods))


def _partners(
    mode: Mode, images: Any, labels: Any, arguments: Mapping[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """The images and the labels of the batch that gives the partners, and the arguments of the
    draw. The first two are None if the partners come from `images`."""
    draw = only(arguments, DRAW)
    second, partner = arguments.get("second"), arguments.get("partner")
    if second is not None:
        images2, labels2 = second
    elif isinstance(partner, str) and partner == "previous":  # a tensor cannot be compared
        images2, labels2 = mode.previous(images), None
        if isinstance(labels, tuple):
            labels2 = tuple(mode.previous(part) for part in labels)
        elif labels is not None:
            labels2 = mode.previous(labels)
    else:
        return None, None, draw
    return images2, labels2, {**draw, "partner": "others"}

"""Labels, paired, stacked or blended by a plan."""

from __future__ import annotations

from typing import Any

from dali_mix.graph.arguments import Batch, Drawn, Several
from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan


def pair_labels(
    mode: Mode, labels: Batch, plan: Drawn, *, second: Batch = None, images: Several = 2
) -> tuple[Any, ...]:
    """Return the own labels and those of the partners.

    labels:  batch of any kind
    second:  labels of the second batch, if the plan takes partners from one
    images:  K, how many images one sample mixes
    returns: (y1, y2), or K batches, each of the shape and type of `labels`, on its device

    ValueError, when the pipeline runs: the plan mixes another number of images.
    """
    partners = (
        mode.gather(labels, second, plan.partner, which, images) for which in range(images - 1)
    )
    return (labels, *partners)


def blend_labels(
    mode: Mode, labels: Batch, plan: Drawn, *, second: Batch = None, images: Several = 2
) -> Any:
    """Blend label vectors or numbers: lam * y1 + (1 - lam) * y2, or the weighted sum of K labels.

    labels:  batch of float vectors or numbers, (C,) or (), on the CPU
    returns: float32 batch of the same shape

    plan, second and images are as in `pair_labels`.
    """
    ys = pair_labels(mode, labels, plan, second=second, images=images)
    if images == 2:
        return ys[0] * plan.lam + ys[1] * (1 - plan.lam)
    shares = [mode.element(plan.lam, k) for k in range(images)]
    return sum(ys[k] * shares[k] for k in range(1, images)) + ys[0] * shares[0]


def targets(
    mode: Mode, labels: Any, second: Any, plan: Plan, images: Any, count: int
) -> tuple[Any, ...]:
    """What `mix` returns after the images, on their device.

    labels:  a batch, or a tuple of several
    second:  labels of the second batch, of the same structure, or None
    count:   how many images one sample mixes
    returns: (y1, y2, lam), or (ys, weights) if a sample mixes more than two images
    """
    several = isinstance(labels, tuple)
    parts = labels if several else (labels,)
    others = second if several and second is not None else (second,) * len(parts)
    paired = [_placed(mode, part, others[k], plan, images, count) for k, part in enumerate(parts)]
    lam = mode.place_like(plan.lam, images)
    columns = [tuple(ys[k] for ys in paired) for k in range(len(paired[0]))]
    return (*(column if several else column[0] for column in columns), lam)


def _placed(
    mode: Mode, labels: Any, second: Any, plan: Plan, images: Any, count: int
) -> tuple[Any, ...]:
    """(y1, y2), or one stack of K labels."""
    ys = pair_labels(mode, labels, plan, second=second, images=count)
    stacked = ys if count == 2 else (mode.ops.stack(*ys),)
    return tuple(mode.place_like(y, images) for y in stacked)

"""Turns the outputs of a DALI pipeline into one PyTorch batch: (x, target)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from nvidia.dali.pipeline import Pipeline
from torch import Tensor

from dali_mix.loader.description import boxed, weighs
from dali_mix.loader.plans import Names, to_plan
from dali_mix.loader.tensors import to_torch
from dali_mix.plan import Plan
from dali_mix.training.batch_target import BatchTarget
from dali_mix.training.box_target import BoxTarget
from dali_mix.training.mix_target import MixTarget
from dali_mix.training.multi_target import MultiMixTarget

Target = BatchTarget | BoxTarget | Tensor | tuple[BatchTarget, ...] | tuple[Tensor, ...]
Batch = tuple[Tensor, Target] | tuple[Tensor, Target, Plan | tuple[Plan, ...]]

Form = Literal["plain", "mixed", "boxes"]
"""What outputs are: (x, y); (x, y1, y2, lam) or (x, ys, weights); (x, boxes, labels, weights)."""


def form_of(pipeline: Pipeline, mixed: bool | None, columns: int = 0, repeats: int = 1) -> Form:
    """What the outputs are, without those behind them that are columns of plans.

    columns: how many these are
    repeats: how many groups of outputs there are

    ValueError: there are too many or too few outputs, or it cannot be told what they are."""
    count, odd = divmod(pipeline.num_outputs - columns, repeats)
    if odd:
        raise ValueError(
            f"with repeats={repeats} the pipeline must put out {repeats} groups of outputs, alike, "
            f"got {pipeline.num_outputs} outputs."
        )
    if mixed is None and count == 4 and boxed(pipeline, count):
        if repeats > 1:
            raise ValueError("repeats are for labels of images, and the pipeline puts out boxes.")
        return "boxes"
    return "mixed" if _mixes(pipeline, mixed, count) else "plain"


def _mixes(pipeline: Pipeline, mixed: bool | None, count: int) -> bool:
    if mixed is None:
        if count not in (2, 3, 4):
            raise ValueError(
                "the pipeline must put out (x, y1, y2, lam), (x, ys, weights) or (x, y), got "
                f"{count} outputs; {_TUPLES}"
            )
        if count > 2 and not weighs(pipeline, count):
            raise ValueError(
                f"the pipeline puts out {count} values, and the last one comes from no function of "
                "dali_mix; say mixed=True if they are (x, y1, y2, lam) or (x, ys, weights) all the "
                f"same; {_TUPLES}"
            )
        return count > 2
    if count < 2 + mixed:
        forms = "(x, y1, y2, lam) or (x, ys, weights)" if mixed else "(x, y)"
        raise ValueError(
            f"with mixed={mixed} the pipeline must put out {forms} at least, got {count} outputs."
        )
    return mixed


_TUPLES = (
    "for tuples of labels say mixed=True, with outputs (x, *y1, *y2, lam) or (x, *ys, weights), or "
    "mixed=False, with (x, *y)."
)


def to_batch(
    outputs: Sequence[Any], form: Form, kept: int, copy: bool, plans: Sequence[Names] = ()
) -> Batch:
    """(x, target) of the first `kept` samples, and behind it their plan, if there is one.

    outputs: DALI batches, as many as `form_of` allows, then those of the plans
    copy:    False: the tensors use DALI's memory, which then lives as long as they do
    plans:   the columns of each plan
    """
    columns = sum(map(len, plans))
    first = len(outputs) - columns
    x = to_torch(outputs[0], copy)[:kept]
    if x.dim() == 4 and outputs[0].layout() == "HWC":
        x = x.permute(0, 3, 1, 2)
    target: Target
    if form == "boxes":
        target = BoxTarget(*(_samples(output)[:kept] for output in outputs[1:first]))
    else:
        labels = [to_torch(output, copy)[:kept] for output in outputs[1:first]]
        target = _to_target(labels, form == "mixed")
    made = []
    for names in plans:
        made.append(to_plan(names, outputs[first : first + len(names)], kept, copy, x))
        first += len(names)
    batch = x, target
    return (*batch, _one_or_all(made)) if made else batch


def joined(batches: Sequence[Any]) -> Any:
    """One batch of several that have the same form, without plans and boxes."""
    if len(batches) == 1:
        return batches[0]
    x, targets = zip(*batches, strict=True)
    return torch.cat(x), _joined_targets(targets)


def _joined_targets(targets: Sequence[Any]) -> Any:
    first = targets[0]
    if isinstance(first, Tensor):
        return torch.cat(list(targets))
    parts = (_joined_targets(part) for part in zip(*targets, strict=True))
    return type(first)(*parts) if isinstance(first, BatchTarget) else tuple(parts)


def _samples(output: Any) -> list[Tensor]:
    """The samples, of any shapes. BoxTarget copies them."""
    return [torch.from_numpy(np.asarray(sample)) for sample in output]


def _to_target(labels: list[Tensor], mixed: bool) -> Target:
    if not mixed:
        return _one_or_all([MixTarget(y, y, 1.0).y1 for y in labels])  # ids become (N,) int64
    *labels, lam = labels
    # Weights have a column for each label; lam is one number for each sample.
    if len(labels) == 1 or (lam.dim() == 2 and lam.shape[1] > 1):
        return _one_or_all([_multi_target(ys, lam) for ys in labels])
    half, odd = divmod(len(labels), 2)
    if odd:
        raise ValueError(
            "outputs (x, *y1, *y2, lam) must have as many y2 as y1, got "
            f"{len(labels)} labels and lam {tuple(lam.shape)}; in (x, *ys, weights) the last "
            "one must be (K,) for each sample."
        )
    pairs = zip(labels[:half], labels[half:], strict=True)
    return _one_or_all([MixTarget(y1, y2, lam) for y1, y2 in pairs])


def _multi_target(ys: Tensor, weights: Tensor) -> MultiMixTarget:
    try:
        return MultiMixTarget(ys, weights)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{error} These outputs are taken for (x, *ys, weights); for labels of images that are "
            "not mixed, say mixed=False."
        ) from None


def _one_or_all(targets: list[Any]) -> Any:
    return targets[0] if len(targets) == 1 else tuple(targets)


__all__ = ["Batch", "Form", "Target", "form_of", "joined", "to_batch"]

"""The plans that a pipeline puts out behind its labels: which output is which column, and the
columns as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from nvidia.dali.pipeline import Pipeline
from torch import Tensor

from dali_mix.graph.drawing import columns_of
from dali_mix.loader.tensors import to_torch, to_torch_tensor
from dali_mix.methods.words import method_of
from dali_mix.plan import Plan
from dali_mix.plugin import dali_private

Names = tuple[str, ...]
"""Names of the columns of one plan, in the order of the outputs."""

_PLAN, _RESIZED = "dali_mix__Plan", "dali_mix__Resized"
_PASSING = ("dali_mix__Upload", "_conditional__Merge", "Copy", "MakeContiguous")
_WHOLE = {"partner", "box", "lam", "size"}
_MOST_CELLS = 2**24
_RETURN = "return *plan.columns behind the labels"


def plans_of(pipeline: Pipeline) -> list[Names]:
    """The plans at the end of the outputs. A ValueError if there is none, or a part of one."""
    named = _names(pipeline)
    begin = len(named)
    while begin and named[begin - 1]:
        begin -= 1
    starts = [k for k in range(begin, len(named)) if named[k] == "partner"]
    if not starts:
        raise ValueError(
            f"plan=True needs a pipeline that puts out the columns of its plan last; {_RETURN}."
        )
    plans = [
        tuple(named[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
    for plan in plans:
        if not {*plan} >= _WHOLE or len({*plan}) < len(plan):
            raise ValueError(
                f"plan=True needs the columns of a whole plan, got {', '.join(plan)}; {_RETURN}."
            )
    return plans


def _names(pipeline: Pipeline) -> list[str]:
    """For each output the column that it is, "" for none."""
    makers = {
        output.name: (op, place)
        for op in dali_private.operators(pipeline)
        for place, output in enumerate(op.outputs)
    }
    masks = {
        op.inputs[0].name for op, _ in makers.values() if dali_private.schema_of(op) == _RESIZED
    }

    def name(edge: str) -> str:
        op, place = makers.get(edge, (None, 0))
        kind = "" if op is None else dali_private.schema_of(op)
        if op is not None and kind == _PLAN:
            texts = dali_private.constants_of(op)["methods"]
            methods = [method_of(*_words(text), size=1) for text in texts]
            return columns_of(methods)[place]
        if op is not None and kind == _RESIZED:
            taken = [name(edge.name) for edge in op.inputs]
            return ["box", "lam", "size", *(n for n in ("offset", "fit") if n in taken)][place]
        if op is not None and kind in _PASSING:
            return name(op.inputs[0].name)
        return "mask" if edge in masks else ""

    return [name(output.name) for output in dali_private.outputs(pipeline)]


def _words(text: str) -> tuple[str, list[str]]:
    method, *options = text.split()
    return method, options


def to_plan(names: Names, outputs: Sequence[Any], kept: int, copy: bool, like: Tensor) -> Plan:
    """The first `kept` samples of a plan, as tensors on the device of `like`."""
    columns = {
        name: _moved((_masks if name == "mask" else to_torch)(output, copy)[:kept], like)
        for name, output in zip(names, outputs, strict=True)
    }
    return Plan(**dict.fromkeys(Plan._fields) | columns)


def _moved(column: Tensor, like: Tensor) -> Tensor:
    if column.device == like.device:
        return column
    column = column.pin_memory() if like.is_cuda else column
    return column.to(like.device, non_blocking=True)


def _masks(output: Any, copy: bool) -> Tensor:
    """Masks of one size: each cell becomes a block of equal ones, and 255 is where there is none.

    The blocks have whole numbers of rows and columns, so that a view of any size reads the same."""
    shapes = [tuple(shape) for shape in output.shape()]
    if len({*shapes}) == 1 and 0 not in shapes[0]:
        return to_torch(output, copy)
    height, width = (math.lcm(*(shape[k] or 1 for shape in shapes)) for k in (0, 1))
    if height * width > _MOST_CELLS:
        raise ValueError(
            "the masks of a plan must have sizes of which the larger are multiples of the smaller, "
            f"got {', '.join(f'{h} x {w}' for h, w in sorted({*shapes}))}; give masks of one size."
        )
    masks = [to_torch_tensor(output[k], True) for k, (h, w) in enumerate(shapes) if h and w]
    device = masks[0].device if masks else None
    none = torch.full((height, width), 255, dtype=torch.uint8, device=device)
    whole = iter(
        mask.repeat_interleave(height // mask.shape[0], 0).repeat_interleave(
            width // mask.shape[1], 1
        )
        for mask in masks
    )
    return torch.stack([next(whole) if h and w else none for h, w in shapes])

"""Finds the file that made a pipeline fail. DALI names the operator only.

A failed pipeline cannot go on, but it still knows its place before the failed batch. A second
pipeline that has the reader only reads this batch again, and each file is decoded by itself. This
runs only after a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from nvidia.dali.pipeline import Pipeline

from dali_mix.images.decoding import Undecodable, cause_of, decoder
from dali_mix.images.names import shown
from dali_mix.loader.dali_checkpoint import restore, states_of_operators, with_states
from dali_mix.plugin import dali_private

_NAMED = 5
_UNOPENED = "File mapping failed: "


def reason_first(error: Exception) -> Exception | None:
    """The error of an operator, without the page that DALI writes around it; None: of none."""
    operator, reason = cause_of(str(error))
    return type(error)(f"{reason} {operator}.") if operator else None


def explained(
    pipeline: Pipeline, reader: str | None, root: str, error: RuntimeError
) -> RuntimeError:
    """The error to raise. It names the file if it can be found.

    root: folder of the names that the reader gives
    """
    operator, reason = cause_of(str(error))
    cause = f"{operator}: {reason}".removeprefix(": ").rstrip(".")
    if reason.startswith(_UNOPENED):
        return RuntimeError(
            f"cannot open {reason.removeprefix(_UNOPENED)}, which is missing, empty or not a file; "
            f"restore it, and make the loader anew. The pipeline failed: {cause}."
        )
    if reader is None:
        return RuntimeError(f"the pipeline failed: {cause}.")
    try:
        batch = _batch_that_failed(pipeline, reader, root)
    except Exception as unknown:  # the failure itself is told, even if the search fails
        why = str(unknown).partition("\n")[0]
        return RuntimeError(f"the pipeline failed: {cause}; the file is not known ({why}).")
    culprits = list(islice(_undecodable(batch), _NAMED))
    if culprits:
        names = ", ".join(culprits)
        return RuntimeError(
            f"cannot decode {names}; remove or repair {'it' if len(culprits) == 1 else 'them'}, "
            f"and make the loader anew; `dali-mix check` finds all such files. The pipeline "
            f"failed: {cause}."
        )
    names = ", ".join(name for name, _ in batch[:_NAMED]) + (", …" if len(batch) > _NAMED else "")
    return RuntimeError(
        f"the pipeline failed in the batch of {names}, each of which can be decoded: {cause}."
    )


def _batch_that_failed(pipeline: Pipeline, reader: str, root: str) -> list[tuple[str, np.ndarray]]:
    """Name and encoded bytes of each file of that batch."""
    if not dali_private.saves_states(pipeline):
        raise ValueError("a pipeline with enable_checkpointing=True can be asked")
    operators = dali_private.operators(pipeline)
    outputs = next(op.outputs for op in operators if op.name == reader)
    position = states_of_operators(pipeline.checkpoint())[reader.encode()]
    again = dali_private.pipeline_of(outputs, pipeline.max_batch_size)
    restore(again, with_states(again.checkpoint(), {reader.encode(): position}))
    files = again.run()[_encoded(operators, outputs)]
    return [(_name(file, root) or f"sample {i}", np.array(file)) for i, file in enumerate(files)]


def _name(file: Any, root: str) -> str:
    try:
        source = file.source_info()
    except UnicodeDecodeError as error:
        source = os.fsdecode(error.object)
    return shown(os.path.join(root, source)) if source else ""


def _encoded(operators: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Index of the reader's output that a decoder takes, directly or through other operators."""
    places = {output.name: place for place, output in enumerate(outputs)}
    makers = {output.name: op for op in operators for output in op.outputs}
    for op in operators:
        if "ecoder" not in dali_private.schema_of(op):
            continue
        while op is not None and op.inputs:
            edge = op.inputs[0].name
            if edge in places:
                return places[edge]
            op = makers.get(edge)
    raise ValueError("no decoder follows the reader")


def _undecodable(batch: Sequence[tuple[str, np.ndarray]]) -> Iterator[str]:
    """Names of the files that DALI's CPU decoder refuses, each once."""
    decode = decoder(None)
    for name, encoded in dict(batch).items():
        try:
            decode(encoded)
        except Undecodable:
            yield name

"""After a pipeline has failed: which file was it? DALI names the operator only.

The pipeline is dead then, but it still says where it stood before the batch that failed. A second
pipeline of the reader alone, put to that place, reads the batch again, and each file is decoded by
itself. All that runs only after a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline

from dali_mix._checkpoint import restore, states_of_operators, with_state
from dali_mix._names import shown

_NAMED = 5


def explained(
    pipeline: Pipeline, reader: str | None, root: str, error: RuntimeError
) -> RuntimeError:
    """The error to raise: with the name of the file, where it can be found.

    root: of the names that the reader gives
    """
    cause = _cause(str(error))
    if reader is None:
        return RuntimeError(f"the pipeline failed: {cause}.")
    try:
        batch = _batch_that_failed(pipeline, reader, root)
    except Exception as unknown:  # whatever goes wrong in searching, the failure itself is told
        why = str(unknown).partition("\n")[0]
        return RuntimeError(f"the pipeline failed: {cause}; the file is not known ({why}).")
    culprits = list(islice(_undecodable(batch), _NAMED))
    if culprits:
        names = ", ".join(culprits)
        return RuntimeError(
            f"cannot decode {names}; remove or repair {'it' if len(culprits) == 1 else 'them'}, "
            f"and make the loader anew. The pipeline failed: {cause}."
        )
    names = ", ".join(name for name, _ in batch[:_NAMED]) + (", …" if len(batch) > _NAMED else "")
    return RuntimeError(
        f"the pipeline failed in the batch of {names}, each of which can be decoded: {cause}."
    )


def _batch_that_failed(pipeline: Pipeline, reader: str, root: str) -> list[tuple[str, np.ndarray]]:
    """Name and encoded bytes of each of its files."""
    if not pipeline._enable_checkpointing:
        raise ValueError("a pipeline with enable_checkpointing=True can be asked")
    operators = pipeline._ops or []
    outputs = next(op.outputs for op in operators if op.name == reader)
    position = states_of_operators(pipeline.checkpoint())[reader.encode()]
    again = Pipeline(pipeline.max_batch_size, num_threads=1, device_id=None)
    again.set_outputs(*outputs)
    again._build_graph()
    again._enable_checkpointing = True  # only now: DALI forbids it for operators of another one
    again.build()
    restore(again, with_state(again.checkpoint(), reader.encode(), position))
    files = again.run()[_encoded(operators, outputs)]
    return [(_name(file, root) or f"sample {i}", np.array(file)) for i, file in enumerate(files)]


def _name(file: Any, root: str) -> str:
    try:
        source = file.source_info()
    except UnicodeDecodeError as error:
        source = os.fsdecode(error.object)
    return shown(os.path.join(root, source)) if source else ""


def _encoded(operators: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Which of the reader's outputs a decoder takes."""
    for op in operators:
        if "ecoder" in op._op.schema.Name():
            for place, output in enumerate(outputs):
                if output.name in [edge.name for edge in op.inputs]:
                    return place
    raise ValueError("no decoder follows the reader")


def _undecodable(batch: Sequence[tuple[str, np.ndarray]]) -> Iterator[str]:
    """Names of the files that DALI's CPU decoder refuses, each once, as they are found."""
    seen: set[str] = set()
    decoder = None
    for name, encoded in batch:
        if name in seen:
            continue
        seen.add(name)
        decoder = decoder or _decoder()
        try:
            decoder.run(encoded=[encoded])
        except RuntimeError:
            decoder = None  # dead as well
            yield name


def _decoder() -> Pipeline:
    pipeline = Pipeline(1, num_threads=1, device_id=None, prefetch_queue_depth=1)
    with pipeline:
        encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
        pipeline.set_outputs(fn.decoders.image(encoded, output_type=types.RGB))
    return pipeline


def _cause(message: str) -> str:
    """The operator and the reason, of the page that DALI writes."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    operator = next((line for line in lines if line.startswith("Error in ")), "").partition(",")[0]
    if "encountered:" in lines and lines.index("encountered:") + 1 < len(lines):
        reason = lines[lines.index("encountered:") + 1]
    else:
        reason = lines[-1] if lines else "no reason given"
    return f"{operator}: {reason}".removeprefix(": ").rstrip(".")

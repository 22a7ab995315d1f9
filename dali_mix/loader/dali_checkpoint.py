"""Reads, changes and restores DALI's serialized checkpoints. They are Protocol Buffers messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nvidia.dali.pipeline import Pipeline

from dali_mix.plugin import dali_private

OPERATOR, CONTEXT = 1, 2
"""Fields of a checkpoint: one for each operator, and one for the counters of the pipeline's Python
side."""


def check_enabled(pipeline: Pipeline) -> None:
    if not dali_private.saves_states(pipeline):
        raise RuntimeError(NOT_ENABLED)


NOT_ENABLED = (
    "the state of a loader needs pipelines made with enable_checkpointing=True; pass that "
    "where the pipeline is made."
)


def restore(pipeline: Pipeline, checkpoint: bytes) -> None:
    """Bring a pipeline that has not run to the place where `checkpoint` was taken.

    `Pipeline(checkpoint=…)` does the same for a new pipeline; this takes one that exists.
    """
    check_enabled(pipeline)
    pipeline.build()
    try:
        dali_private.restore(pipeline, checkpoint)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            "the state does not fit the operators of the pipeline; make the pipeline as it was "
            f"when the state was saved. DALI says: {error}"
        ) from error


def states_of_operators(checkpoint: bytes) -> dict[bytes, bytes]:
    """Names and states of the operators in a checkpoint."""
    found = {}
    for key, value in fields(checkpoint):
        if key == OPERATOR:
            operator = dict(fields(value))
            found[operator[1]] = operator.get(2, b"")
    return found


def with_states(checkpoint: bytes, states: dict[bytes, bytes], batches: int = 0) -> bytes:
    """`checkpoint` with other states for some operators, and counted on by `batches`."""
    out = b""
    for key, value in fields(checkpoint):
        if key == OPERATOR:
            name = dict(fields(value))[1]
            if name in states:
                value = field(1, name) + field(2, states[name])
        elif key == CONTEXT and batches:
            context = dict(fields(value))
            counted = json.loads(context[1])
            counted["iter"] += batches
            value = field(1, json.dumps(counted).encode()) + field(2, context.get(2, b""))
        out += field(key, value)
    return out


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message that holds strings, messages and whole numbers only."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = _varint(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError("a checkpoint of this DALI has another format")


def field(key: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([key << 3]) + _as_varint(value)
    return bytes([key << 3 | 2]) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at

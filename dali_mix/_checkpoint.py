"""The state of a loader as plain data, and the serialized checkpoints of DALI inside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nvidia.dali.pipeline import Pipeline

from dali_mix import schedule

FORMAT = 1

State = dict[str, Any]


def pack(
    identity: Mapping[str, Any], epoch: int, batch: int, pipelines: Sequence[Pipeline]
) -> State:
    """The state, plain data. `identity` is what a later loader must agree with."""
    for pipeline in pipelines:
        _check_enabled(pipeline)
    checkpoints = [base64.b64encode(pipeline.checkpoint()).decode() for pipeline in pipelines]
    schedules = schedule.state(pipelines)
    return {
        **identity,
        "epoch": epoch,
        "batch": batch,
        "pipelines": checkpoints,
        "schedules": schedules,
    }


def unpack(state: Mapping[str, Any], identity: Mapping[str, Any]) -> tuple[int, int, list[bytes]]:
    """(epoch, batch, one checkpoint for each pipeline); a ValueError names what does not agree."""
    expected = {*identity, "epoch", "batch", "pipelines", "schedules"}
    if not isinstance(state, Mapping) or set(state) != expected:
        got = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(
            f"state must be what state_dict() of a MixLoader returned, with {sorted(expected)}, "
            f"got {got}."
        )
    for name, here in identity.items():
        if state[name] != here:
            raise ValueError(
                f"the state was saved with {name} {state[name]!r}, but this loader has {here!r}; "
                "it cannot continue bit for bit. Make the loader as it was, or start anew."
            )
    try:
        checkpoints = [base64.b64decode(text, validate=True) for text in state["pipelines"]]
    except (TypeError, ValueError) as error:
        raise ValueError(f"pipelines of the state must be base64 strings ({error}).") from error
    return int(state["epoch"]), int(state["batch"]), checkpoints


def restore(pipeline: Pipeline, checkpoint: bytes) -> None:
    """Bring a pipeline that has not run yet to where `checkpoint` was taken.

    What DALI does itself with `Pipeline(checkpoint=…)`, for a pipeline that exists already.
    """
    _check_enabled(pipeline)
    pipeline.build()
    pipeline._checkpoint = checkpoint
    try:
        pipeline._restore_state_from_checkpoint()
    except RuntimeError as error:
        raise ValueError(
            "the state does not fit the operators of the pipeline; make the pipeline as it was "
            f"when the state was saved. DALI says: {error}"
        ) from error


def states_of_operators(checkpoint: bytes) -> dict[bytes, bytes]:
    """Names and states of the operators in a checkpoint of DALI, a message of Protocol Buffers."""
    found = {}
    for key, value in _fields(checkpoint):
        if key == 1:
            operator = dict(_fields(value))
            found[operator[1]] = operator.get(2, b"")
    return found


def with_state(checkpoint: bytes, name: bytes, state: bytes) -> bytes:
    """`checkpoint` with another state for one operator."""
    out = b""
    for key, value in _fields(checkpoint):
        if key == 1 and dict(_fields(value))[1] == name:
            value = _field(1, name) + _field(2, state)
        out += _field(key, value)
    return out


def _check_enabled(pipeline: Pipeline) -> None:
    if not pipeline._enable_checkpointing:
        raise RuntimeError(
            "the state of a loader needs pipelines made with enable_checkpointing=True; pass that "
            "where the pipeline is made."
        )


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that has strings and messages only."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 != 2:
            raise ValueError("a checkpoint of this DALI has another format")
        size, at = _varint(message, at)
        yield key >> 3, message[at : at + size]
        at += size


def _field(key: int, value: bytes) -> bytes:
    size, head = len(value), bytes([key << 3 | 2])
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at

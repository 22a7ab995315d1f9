"""The state of a loader as plain data, and the serialized checkpoints of DALI inside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import nvidia.dali
from nvidia.dali.pipeline import Pipeline

import dali_mix
from dali_mix import schedule
from dali_mix._epochs import Share
from dali_mix._graph import described, difference

FORMAT = 1

State = dict[str, Any]


def identity_of(pipelines: Sequence[Pipeline], shares: Sequence[Share], last_batch: str) -> State:
    """What a loader that loads a state must share with the one that saved it."""
    first = shares[0]
    return {
        "format": FORMAT,
        "dali_mix": dali_mix.__version__,
        "DALI": nvidia.dali.__version__,
        "images": first.images,
        "batch_size": first.batch_size,
        "num_shards": first.num_shards,
        "shard_id": [share.shard_id for share in shares],
        "seed": [pipeline.seed for pipeline in pipelines],
        "last_batch": last_batch,
    }


def pack(
    identity: Mapping[str, Any],
    epoch: int,
    batch: int,
    pipelines: Sequence[Pipeline],
    substituted: Sequence[Any],
) -> State:
    """The state: strings, integers, lists and dicts. A later loader must agree with `identity`, and
    with the operators of the pipelines."""
    for pipeline in pipelines:
        _check_enabled(pipeline)
    state = {
        **identity,
        "graphs": [described(pipeline) for pipeline in pipelines],
        "epoch": epoch,
        "batch": batch,
        "substituted": substituted,
        "pipelines": [base64.b64encode(pipeline.checkpoint()).decode() for pipeline in pipelines],
        "schedules": schedule.state(pipelines),
    }
    return {**state, "sha256": _digest(state)}


def unpack(
    state: Mapping[str, Any], identity: Mapping[str, Any], pipelines: Sequence[Pipeline]
) -> tuple[int, int, list[bytes]]:
    """(epoch, batch, one checkpoint for each pipeline); a ValueError names what does not agree."""
    expected = {
        *identity,
        "graphs",
        "epoch",
        "batch",
        "substituted",
        "pipelines",
        "schedules",
        "sha256",
    }
    known = state if isinstance(state, Mapping) else {}
    for name, here in identity.items():  # versions first: another one may have other names
        if name in known and known[name] != here:
            raise _refusal(f"{name} {known[name]!r}", repr(here))
    if set(known) != expected:
        got = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(
            f"state must be what state_dict() of a MixLoader returned, with {sorted(expected)}, "
            f"got {got}."
        )
    if state["sha256"] != _digest({name: state[name] for name in expected - {"sha256"}}):
        raise ValueError(
            "the state is damaged: its sha256 does not fit its content. Load one that was saved "
            "before, or start anew."
        )
    schedule.check(pipelines, state["schedules"])
    for saved, pipeline in zip(state["graphs"], pipelines, strict=True):
        different = difference(saved, described(pipeline))
        if different is not None:
            raise _refusal(*different)
    return state["epoch"], state["batch"], [base64.b64decode(text) for text in state["pipelines"]]


def _digest(state: State) -> str:
    return sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _refusal(saved: str, here: str) -> ValueError:
    return ValueError(
        f"the state was saved with {saved}, but this loader has {here}; it cannot continue bit for "
        "bit. Make the loader as it was, or start anew."
    )


def restore(pipeline: Pipeline, checkpoint: bytes) -> None:
    """Bring a pipeline that has not run yet to where `checkpoint` was taken.

    What DALI does itself with `Pipeline(checkpoint=…)`, for a pipeline that exists already.
    """
    _check_enabled(pipeline)
    pipeline.build()
    pipeline._checkpoint = checkpoint
    try:
        pipeline._restore_state_from_checkpoint()
    except (RuntimeError, ValueError) as error:
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

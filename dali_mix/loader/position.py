"""Computes the checkpoint of a pipeline after any number of batches, without decoding them.

The state of almost every DALI operator depends on the number of batches only:

- A random operator has a key and a counter, which grows by one for each sample.
- A reader has the number of its epoch, and the number of samples since the epoch began. With
  `random_shuffle` it also has the random state of the beginning of the epoch. To find that, we make
  a second reader, restore it one sample before the epoch, run one sample, and read its state. DALI
  restores a reader by stepping through the samples without reading them.

Each batch must belong to one epoch: readers must pad their last batch, or have only full batches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from nvidia.dali.pipeline import Pipeline

from dali_mix.loader.dali_checkpoint import (
    field,
    fields,
    restore,
    states_of_operators,
    with_states,
)
from dali_mix.loader.description import name_of_operator
from dali_mix.loader.epochs import Share, share_of_reader
from dali_mix.plugin import dali_private

_COUNTER = re.compile(rb"(Philox_[0-9A-F]{16}_)([0-9A-F]{16})(:[0-9A-F]{16}_\d)")
_KEEPS_IMAGES = "dali_mix__Previous"


class Base(NamedTuple):
    """A checkpoint of a pipeline, taken after `batches` batches."""

    batches: int
    checkpoint: bytes


class _ReaderState(NamedTuple):
    """The state of a reader that DALI saves."""

    random: bytes
    """Random state at the beginning of its epoch."""
    epoch: int
    age: int
    """Number of samples since the beginning of the epoch, with copies."""

    @classmethod
    def read(cls, state: bytes) -> _ReaderState:
        snapshot = dict(fields(dict(fields(state))[1]))
        return cls(snapshot[1], snapshot[2], snapshot[3])

    def written(self) -> bytes:
        return field(1, field(1, self.random) + field(2, self.epoch) + field(3, self.age))


def why_not(pipeline: Pipeline) -> str | None:
    """Why the place of this pipeline after some batches cannot be computed; None if it can."""
    meta = pipeline.reader_meta()
    if not meta:
        return "it has no reader"
    for name, about in meta.items():
        try:
            share_of_reader(name, about, pipeline.max_batch_size)
        except ValueError:
            return f"the reader {name!r} does not pad its last batch"
    operators = {op.name.encode(): op for op in dali_private.operators(pipeline)}
    states = states_of_operators(pipeline.checkpoint())
    known = {
        name
        for name, state in states.items()
        if not state
        or _COUNTER.fullmatch(state)
        or (name.decode() in meta and _is_reader_state(state))
    }
    partial = _seeing_parts_of_batches(operators.values())
    for name, op in operators.items():
        counts_parts = op.name in partial and states.get(name)
        if name not in known or counts_parts or dali_private.schema_of(op) == _KEEPS_IMAGES:
            return f"the state of {name_of_operator(op)} depends on the batches before"
    return None


def checkpoint_after(pipeline: Pipeline, base: Base, batches: int) -> bytes:
    """The checkpoint of a pipeline after `batches` batches.

    base:    a checkpoint of it from before
    batches: counted from the pipeline's first batch, as in `base`; at least base.batches
    """
    meta = pipeline.reader_meta()
    states = {}
    for name, state in states_of_operators(base.checkpoint).items():
        if name.decode() in meta:
            share = share_of_reader(name.decode(), meta[name.decode()], pipeline.max_batch_size)
            states[name] = _reader_after(pipeline, name.decode(), share, state, batches)
        elif state:
            further = (batches - base.batches) * pipeline.max_batch_size
            states[name] = _counted(state, further)
    return with_states(base.checkpoint, states, batches - base.batches)


def _counted(state: bytes, samples: int) -> bytes:
    """The state of a random operator, `samples` samples later."""
    found = _COUNTER.fullmatch(state)
    assert found is not None
    counter = (int(found[2], 16) + samples) % 2**64
    return found[1] + b"%016X" % counter + found[3]


def _reader_after(pipeline: Pipeline, name: str, share: Share, state: bytes, batches: int) -> bytes:
    before = _ReaderState.read(state)
    epoch, batch = divmod(batches, share.batches)
    random = before.random
    operator = next(op for op in dali_private.operators(pipeline) if op.name == name)
    if dali_private.constants_of(operator).get("random_shuffle", False) and epoch > before.epoch:
        walk = share.longest * (epoch - before.epoch) - 1
        random = _walked(operator, before._replace(age=walk)).random
    return _ReaderState(random, epoch, batch * share.batch_size).written()


def _walked(operator: Any, state: _ReaderState) -> _ReaderState:
    """The state of a reader one sample later."""
    reader = dali_private.pipeline_of(operator.outputs, 1)
    name = operator.name.encode()
    restore(reader, with_states(reader.checkpoint(), {name: state.written()}))
    reader.run()
    return _ReaderState.read(states_of_operators(reader.checkpoint())[name])


def _is_reader_state(state: bytes) -> bool:
    try:
        return _ReaderState.read(state).written() == state
    except (KeyError, IndexError, TypeError, ValueError):
        return False


def _seeing_parts_of_batches(operators: Iterable[Any]) -> set[str]:
    """Names of the operators inside a branch of an `if`. They see only a part of each batch."""
    tensors: set[str] = set()
    found = set()
    for op in operators:
        kind = dali_private.schema_of(op)
        if kind == "_conditional__Merge":
            continue
        if kind == "_conditional__Split" or any(edge.name in tensors for edge in op.inputs):
            tensors.update(edge.name for edge in op.outputs)
            if kind != "_conditional__Split":
                found.add(op.name)
    return found

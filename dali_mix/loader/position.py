"""Where a pipeline stands after any number of batches: computed, so that none of them is decoded.

What an operator of DALI remembers depends on the number of batches alone, in all but a few:

- A random operator counts. Its state is a key and a counter, which grows by one for each sample.
- A reader is in an epoch, so and so many samples after its start. With `random_shuffle` it also
  has a random state, which is that of the start of the epoch. DALI itself walks through the
  places of the samples, without reading them, when it restores a reader; a reader made for that
  alone is put one sample before the epoch, and asked where it stands one sample later.

Readers must pad their last batch, or their shards come out even, so that each batch belongs to one
epoch.
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
    """A checkpoint of a pipeline, taken after so many batches."""

    batches: int
    checkpoint: bytes


class _ReaderState(NamedTuple):
    """What DALI saves of a reader."""

    random: bytes
    """Random state at the start of its epoch."""
    epoch: int
    age: int
    """Samples since then, copies among them."""

    @classmethod
    def read(cls, state: bytes) -> _ReaderState:
        snapshot = dict(fields(dict(fields(state))[1]))
        return cls(snapshot[1], snapshot[2], snapshot[3])

    def written(self) -> bytes:
        return field(1, field(1, self.random) + field(2, self.epoch) + field(3, self.age))


def why_not(pipeline: Pipeline) -> str | None:
    """Why the place after some batches cannot be computed for this pipeline; None: it can."""
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
    """The checkpoint that the pipeline, which stood at `base`, has after `batches` batches.

    batches: counted from the first one on, as in `base`, and not less
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
    """The state of a random operator after so many samples more."""
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
    """The state of a reader after one sample more."""
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
    """Names of the operators in a branch of an `if`, which see a part of each batch."""
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

"""Finds the Python in a pipeline that DALI cannot restore.

A checkpoint of DALI holds the states of DALI's operators, and how often each Python source was
called. After a restore, DALI calls a source that takes an index with the right index. All other
sources begin again silently, and the state of a Python function is lost.
"""

from __future__ import annotations

import inspect
from typing import Any

from nvidia.dali.pipeline import Pipeline

from dali_mix.loader.description import name_of_operator
from dali_mix.plugin import dali_private

INDEXED = (
    "DALI would begin it again; give a callable that takes the index of the batch, a BatchInfo or "
    "a SampleInfo"
)
PURE = (
    "what it has kept would be lost; compute that with operators of DALI, or say "
    "pure_python=True if its output depends on its input alone"
)


def unrestorable(pipeline: Pipeline, pure_python: bool) -> str | None:
    """Which part of a pipeline cannot be restored, and what to do; None if all can.

    pure_python: whether its Python functions keep no state between calls
    """
    if type(pipeline).iter_setup is not Pipeline.iter_setup:
        name = type(pipeline).__qualname__
        return f"{name}.iter_setup feeds the pipeline: {INDEXED}"
    for op in dali_private.operators(pipeline):
        function = dali_private.function_of(op)
        if function is not None and not pure_python:
            return f"{name_of_operator(op)} calls {_name(function)}: {PURE}"
        if dali_private.schema_of(op) == "ExternalSource":
            source = _source_without_index(op)
            if source is not None and not (pure_python and source.takes_nothing):
                return f"fn.external_source reads {source.name}, {source.why}: {INDEXED}"
    return None


class _Source:
    def __init__(self, name: str, why: str, takes_nothing: bool = False) -> None:
        self.name = name
        self.why = why
        self.takes_nothing = takes_nothing


def _source_without_index(op: Any) -> _Source | None:
    described = dali_private.source_of(op)
    if described is None:
        return _Source("what feed_input() gives", "which DALI does not ask for")
    name = _name(described.source)
    if described.kind.name == "CALLABLE":
        return None if described.has_inputs else _Source(name, "which takes no index", True)
    kind = "a generator" if described.kind.name == "GENERATOR_FUNC" else "an iterable"
    return _Source(name, f"{kind}, which takes no index")


def _name(thing: Any) -> str:
    """Name of a function or a source in the user's program."""
    if inspect.isfunction(thing):  # DALI wraps the functions that it is given
        thing = inspect.getclosurevars(thing).nonlocals.get("function", thing)
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))

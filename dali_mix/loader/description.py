"""What a pipeline computes, as plain data: its operators and their constant arguments.

Pipelines with equal descriptions make the same batches from the same files and the same random
state. Descriptions do not look into Python sources and functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Any

from nvidia.dali import types
from nvidia.dali.pipeline import Pipeline

from dali_mix.plugin import dali_private

Operator = dict[str, str]
"""One operator: `operator`, `name` if one was given, then its arguments, as DALI writes them."""

_LONGEST = 200  # characters; a longer argument, such as a list of labels, is kept as a digest

_PLAN, _COUNTED_AGAIN, _TRAVEL = "dali_mix__Plan", "dali_mix__Resized", "dali_mix__Travel"
_NO_WEIGHTS = ("dali_mix__Apply", "dali_mix__Gather")

# Arguments that do not change the batches: the place of files, the speed of reading, and names that
# differ from process to process.
_NO_DIFFERENCE = re.compile(
    r"_.*|preserve(_name)?|file_root|file_list|files|filenames|root|paths?|index_paths?|uris?|"
    r"annotations_file|preprocessed_annotations|manifest_filepaths|"
    r"num_threads|prefetch_queue_depth|lazy_init|read_ahead|dont_use_mmap|use_o_direct|"
    r"bytes_per_sample_hint|hw_decoder_load|preallocate_(width|height)_hint|no_copy|blocking|"
    r"(device|host)_memory_padding.*|hybrid_huffman_threshold|cache_.*|"
    r"function_id|run_fn|setup_fn|"
    r"labels|file_filters"  # substitution changes the labels; the state names the files
)


def described(pipeline: Pipeline) -> list[Operator]:
    """The operators of a built pipeline, in the order of the graph."""
    return [dict(_description(op)) for op in dali_private.operators(pipeline)]


def difference(saved: Sequence[Operator], here: Sequence[Operator]) -> tuple[str, str] | None:
    """The first operator that differs, as it was saved and as it is here, with the arguments that
    differ; None if all operators are equal."""
    nothing: Operator = {}
    for one, other in zip_longest(saved, here, fillvalue=nothing):
        if one != other:
            return _told(one, other), _told(other, one)
    return None


def draws(pipeline: Pipeline) -> bool:
    """Whether the pipeline draws a plan, and so mixes images."""
    return any(dali_private.schema_of(op) == _PLAN for op in dali_private.operators(pipeline))


def boxed(pipeline: Pipeline, count: int) -> bool:
    """Whether the last of the first `count` outputs are boxes, labels and weights, as
    `apply_boxes` gives them."""
    last = [output.name for output in dali_private.outputs(pipeline)[count - 3 : count]]
    return any(
        dali_private.schema_of(op) == _TRAVEL and [output.name for output in op.outputs] == last
        for op in dali_private.operators(pipeline)
    )


def weighs(pipeline: Pipeline, count: int) -> bool:
    """Whether the last of the first `count` outputs holds the weights of mixed labels. They come
    from a plan, or are computed from one, but not through pixels or labels."""
    makers = {output.name: op for op in dali_private.operators(pipeline) for output in op.outputs}
    coming = [output.name for output in dali_private.outputs(pipeline)[count - 1 : count]]
    while coming:
        op = makers.get(coming.pop())
        kind = "" if op is None else dali_private.schema_of(op)
        if kind in (_PLAN, _COUNTED_AGAIN):
            return True
        if op is not None and kind not in _NO_WEIGHTS:
            coming += [edge.name for edge in op.inputs]
    return False


def name_of_operator(op: Any) -> str:
    """The operator's name in Python, such as fn.readers.file."""
    return _name_among(_arguments(op))


def _name_among(arguments: dict[str, str]) -> str:
    return f"{arguments['_module'].removeprefix('nvidia.dali.')}.{arguments['_display_name']}"


def _arguments(op: Any) -> dict[str, str]:
    spec = str(op.spec)
    return dict(re.findall(r"^    (\w+): (.*)$", spec.partition("\n  Arguments:\n")[2], re.M))


def _description(op: Any) -> Iterator[tuple[str, str]]:
    arguments = _arguments(op)
    yield "operator", _name_among(arguments)
    if not op.name.startswith("__"):
        yield "name", op.name
    for name, value in arguments.items():
        if not _NO_DIFFERENCE.fullmatch(name):
            yield name, _readable(name, value)


def _readable(name: str, value: str) -> str:
    """[1.000000, 0.500000, ] as [1.0, 0.5], and types by their names."""
    value = re.sub(r"(\.\d+?)0+(?=\D|$)", r"\1", value.replace(", ]", "]"))
    if name == "dtype" and value.isdigit():
        value = types.DALIDataType(int(value)).name
    if len(value) > _LONGEST:
        value = f"{len(value)} characters with SHA-256 {sha256(value.encode()).hexdigest()}"
    return value


def _told(op: Operator, other: Operator) -> str:
    if not op:
        return "no further operator"
    if op["operator"] != other.get("operator"):
        return op["operator"]
    different = [f"{name}={value}" for name, value in op.items() if value != other.get(name)]
    return f"{op['operator']}({', '.join(different)})"

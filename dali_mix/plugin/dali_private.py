"""What dali_mix takes of DALI that DALI does not promise: each such name occurs here alone.

A new DALI release is tried against this file first. Last seen in DALI 2.4.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nvidia.dali.pipeline import Pipeline


def operators(pipeline: Pipeline) -> Sequence[Any]:
    """The operators of a pipeline that has been built, in the order of the graph.

    Each has a `name`, a `spec`, and `inputs` and `outputs`, which are edges with a `name`.
    """
    return pipeline._ops or []


def outputs(pipeline: Pipeline) -> Sequence[Any]:
    """The edges that a pipeline puts out, in their order."""
    return pipeline._graph_out or ()


def schema_of(operator: Any) -> str:
    """The name under which DALI knows an operator, such as "readers__File"."""
    return str(operator._op.schema.Name())


def constants_of(operator: Any) -> dict[str, Any]:
    """The constant arguments that an operator was given."""
    given = operator._op._init_args.items()
    return {name: value for name, value in given if not name.startswith("_")}


def function_of(operator: Any) -> Any:
    """The Python function that an operator calls; None: it calls none."""
    return getattr(operator._op, "function", getattr(operator._op, "run_fn", None))


def source_of(operator: Any) -> Any:
    """What fn.external_source knows of its source (`source`, `kind`, `has_inputs`); None: nothing
    is known of it, as it is fed from outside."""
    return getattr(getattr(operator, "_group", None), "source_desc", None)


def has_run(pipeline: Pipeline) -> bool:
    return not pipeline._first_iter


def is_restored(pipeline: Pipeline) -> bool:
    """Whether it was made with a checkpoint, or has been brought to one."""
    return pipeline._checkpoint is not None


def saves_states(pipeline: Pipeline) -> bool:
    """Whether it was made with enable_checkpointing=True."""
    return bool(pipeline._enable_checkpointing)


def restore(pipeline: Pipeline, checkpoint: bytes) -> None:
    """What `Pipeline(checkpoint=…)` does, for a pipeline that has been built and has not run."""
    pipeline._checkpoint = checkpoint
    pipeline._restore_state_from_checkpoint()


def handed_out(pipeline: Pipeline) -> tuple[int, int]:
    """Epoch and batch after the last one that it has returned."""
    return pipeline._epoch_idx, pipeline._consumer_iter


def run_or_count_nothing(pipeline: Pipeline) -> Any:
    """pipeline.run(), after whose RuntimeError pipeline.checkpoint() is that of the last outputs:
    DALI itself counts a batch that has failed."""
    returned = pipeline._consumer_iter
    try:
        return pipeline.run()
    except RuntimeError:
        pipeline._consumer_iter = returned
        raise


def pipeline_of(edges: Iterable[Any], batch_size: int) -> Pipeline:
    """A pipeline on the CPU, built, of the operators behind these edges of another pipeline."""
    from nvidia.dali.pipeline import Pipeline

    again = Pipeline(batch_size, num_threads=1, device_id=None)
    again.set_outputs(*edges)
    again._build_graph()
    again._enable_checkpointing = True  # only now: DALI forbids it for operators of another one
    again.build()
    return again


def expose_in_dynamic_mode(backend: Any, schemas: Iterable[str]) -> None:
    """Add operators to DALI's dynamic mode if it was imported before they existed.

    Dynamic mode looks for operators once, at import. A DALI that changes its two builders is
    named, and importing dali_mix first needs neither.
    """
    dynamic = sys.modules.get("nvidia.dali.experimental.dynamic")
    if dynamic is None or hasattr(dynamic, "dali_mix"):
        return
    try:
        from nvidia.dali.experimental.dynamic import _op_builder

        for name in schemas:
            operator = _op_builder.build_operator_class(backend.GetSchema(name))
            _op_builder.build_fn_wrapper(operator)
    except Exception as error:  # whatever a changed private interface may raise
        raise ImportError(
            "this DALI does not let dali_mix join its dynamic mode after the fact "
            f"({error}); import dali_mix.dynamic before nvidia.dali.experimental.dynamic."
        ) from error

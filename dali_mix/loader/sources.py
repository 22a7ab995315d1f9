"""Opens the pipelines that a loader is given, checks them, and runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from nvidia.dali.pipeline import Pipeline

from dali_mix.loader.epochs import LAST_BATCH, Share, length, share_of_reader
from dali_mix.loader.folder import FolderPipeline
from dali_mix.plugin import dali_private

Source: TypeAlias = Pipeline | Callable[[], Pipeline]

PADDED_TAIL = (
    "a last batch that is padded must be dropped when mixing, got {}: samples would mix with copies"
    " of themselves. Take last_batch='drop', or MixLoader.from_imagefolder, which draws the "
    "partners of such a batch among its own samples."
)


def opened(source: Source) -> Pipeline:
    """The pipeline of a source, built. A ValueError if it has run before."""
    pipeline = source() if callable(source) and not isinstance(source, Pipeline) else source
    if not isinstance(pipeline, Pipeline):
        raise TypeError(
            "pipelines must be DALI pipelines, or functions without arguments that make one, got "
            f"{type(pipeline).__name__}."
        )
    if dali_private.has_run(pipeline) or dali_private.is_restored(pipeline):
        raise ValueError(
            "the pipeline must be fresh, got one that has run or was made with a checkpoint; make "
            "a new one, and go on by load_state_dict()."
        )
    pipeline.build()
    return pipeline


def outputs_of(pipeline: Pipeline, restart: bool) -> Any:
    """The next outputs. `restart`: a source that has stopped begins again. After a RuntimeError,
    pipeline.checkpoint() is that after the last good outputs."""
    try:
        return dali_private.run_or_count_nothing(pipeline)
    except StopIteration:
        if not restart:
            raise
        pipeline.reset()
        return pipeline.run()


def counting_reader(pipeline: Pipeline, name: str | None, size: int | None) -> str | None:
    """Name of the reader that gives the length of an epoch; None: `size` gives it."""
    readers = sorted(pipeline.reader_meta())
    if size is not None:
        if name is not None or readers:
            raise ValueError("size is for pipelines without a reader; leave it out.")
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}.")
        return None
    if not readers:
        raise ValueError("a pipeline without a reader needs size=…, the samples of one epoch.")
    if name is None and len(readers) == 1:
        return readers[0]
    if name not in readers:
        raise ValueError(
            f"reader_name must be one of {', '.join(map(repr, readers))}, got {name!r}."
        )
    return name


def share_of(pipeline: Pipeline, reader: str | None, size: int | None) -> Share:
    if reader is None:
        assert size is not None
        return Share(size, pipeline.max_batch_size)
    meta = pipeline.reader_meta()
    if reader not in meta:
        raise ValueError(f"every pipeline must have the reader {reader!r}, got {sorted(meta)}.")
    return share_of_reader(reader, meta[reader], pipeline.max_batch_size)


def check_seeds(pipelines: Sequence[Pipeline]) -> None:
    seeds = [pipeline.seed for pipeline in pipelines if pipeline.seed not in (None, -1)]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"the pipelines must have different seeds, or they draw alike, got {seeds}; take "
            "dali_mix.shard(…).seed + i, or same_draws=True."
        )


def check_last_batch(
    last_batch: str,
    shares: Sequence[Share],
    mixed: bool,
    reader: str | None,
    sources: Sequence[Source],
) -> None:
    """A ValueError if `last_batch` is unknown, or does not fit these pipelines.

    mixed: whether the pipelines mix images
    """
    if last_batch not in LAST_BATCH:
        raise ValueError(f"last_batch must be one of {', '.join(LAST_BATCH)}, got {last_batch!r}.")
    if last_batch == "drop":
        if length(shares, last_batch, 0) == 0:
            raise ValueError(
                f"batch_size must be at most the {min(share.size(0) for share in shares)} samples "
                f"of a shard when the last batch is dropped, got {shares[0].batch_size}; take a "
                "smaller one, or last_batch='partial'."
            )
    elif reader is None:
        if last_batch == "fill":
            raise ValueError("last_batch='fill' needs a reader that pads; take 'partial'.")
    elif mixed and any(_mixes_copies(source) for source in sources):
        raise ValueError(PADDED_TAIL.format(f"last_batch={last_batch!r}"))
    elif last_batch == "partial" and any(_trains(source) for source in sources):
        lengths = shares[0].lengths
        if len(lengths) > 1:
            raise ValueError(
                "last_batch='partial' cannot train here: the shards have "
                f"{' or '.join(map(str, lengths))} batches, and the ranks with more would wait for "
                "the others for ever. Take last_batch='drop' or 'fill', or another batch_size."
            )


def root_of(source: Source) -> str:
    """Folder of the files' names; "" if it is not known."""
    return source.root if isinstance(source, FolderPipeline) else ""


def _trains(source: Source) -> bool:
    return isinstance(source, FolderPipeline) and source.training


def _mixes_copies(source: Source) -> bool:
    return not isinstance(source, FolderPipeline) or source.mixes_copies

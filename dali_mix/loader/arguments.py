"""Refuses arguments that the loader has not, and says what to use for those of a DataLoader."""

from __future__ import annotations

from collections.abc import Iterable

_THREADS = "DALI works in threads of this process, as many as num_threads says"
_WHOLE = "the pipeline makes whole batches"
_READER = "the reader of the pipeline chooses the samples, and from_imagefolder takes files"
_SHUFFLE = "the reader shuffles, in from_imagefolder with training=True"
_TRANSFORM = "images are changed in the pipeline, in from_imagefolder by augment"

_DATA_LOADER = {
    "num_workers": _THREADS,
    "workers": _THREADS,
    "worker_init_fn": _THREADS,
    "multiprocessing_context": _THREADS,
    "persistent_workers": "the pipeline lives as long as the loader",
    "prefetch_factor": "the pipeline takes prefetch_queue_depth",
    "batch_size": "it is an argument of the pipeline, and of from_imagefolder",
    "shuffle": _SHUFFLE,
    "sampler": _READER,
    "batch_sampler": _READER,
    "collate_fn": _WHOLE,
    "pin_memory": "batches are where the pipeline puts them, which may be the GPU",
    "drop_last": 'it is last_batch="drop"',
    "generator": "seed decides on all that is random",
    "dataset": "give a pipeline, or the folder to from_imagefolder",
    "transform": _TRANSFORM,
    "transforms": _TRANSFORM,
    "train": "it is training, an argument of from_imagefolder",
    "is_training": "it is training, an argument of from_imagefolder",
}
"""Of PyTorch's DataLoader, and of what makes one: what there is here."""


def check_names(caller: str, names: Iterable[str], takes: Iterable[str], what: str = "it") -> None:
    """A TypeError for the first of the names that is not taken."""
    known = sorted(takes)
    for name in names:
        if name in known:
            continue
        start = f"{caller} has no argument {name!r}"
        if name in _DATA_LOADER:
            raise TypeError(f"{start}: {_DATA_LOADER[name]}.")
        raise TypeError(f"{start}; {what} takes {', '.join(known)}.")

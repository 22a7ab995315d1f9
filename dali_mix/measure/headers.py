"""Reads the headers of all files of a folder before anything is measured.

A decoder of DALI 2.4 may end the process at a header that cannot be read (see
`recipes.header_checked`). The timed pipelines have no operator that checks it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice

from dali_mix.images.class_folders import ImageList, listed
from dali_mix.images.decoding import fault_of_file, shape_reader
from dali_mix.images.names import shown
from dali_mix.images.reader import read

# isort: split
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline

ON_DEMAND = {
    "prefetch_queue_depth": 1,
    "exec_dynamic": False,
    "exec_pipelined": False,
    "exec_async": False,
}
"""Arguments of a CPU pipeline that computes nothing in advance."""
_BATCH = 256
_NAMED = 5
_READ: set[str] = set()
"""Folders whose headers have been read. Each is read once."""


def check_headers(root: str, threads: int) -> None:
    """A ValueError names the files in `root` whose headers cannot be read."""
    if root in _READ:
        return
    faulty = [shown(os.path.join(root, name)) for name in _faults(root, threads)]
    if faulty:
        header, them = ("header", "it") if len(faulty) == 1 else ("headers", "them")
        raise ValueError(
            f"cannot read the {header} of {', '.join(faulty)}; repair or remove {them}; "
            "`dali-mix check` finds all such files."
        )
    _READ.add(root)


def _faults(root: str, threads: int) -> Sequence[str]:
    """Names of the first few files that fail, relative to the folder."""
    images = listed(root)
    names = images.names
    pipeline = _pipeline(root, images, threads)
    for start in range(0, len(names), _BATCH):
        try:
            pipeline.run()
        except RuntimeError:
            # The reader reads ahead: a file that it cannot open may fail the batch before.
            near = names[start : start + 2 * _BATCH]
            found = list(islice(_faulty(root, near), _NAMED))
            if not found:
                raise
            return found
    return []


def _pipeline(root: str, images: ImageList, threads: int) -> Pipeline:
    """A pipeline that reads the shapes of the images, in their order."""
    pipeline = Pipeline(
        _BATCH,
        num_threads=threads,
        device_id=None,
        **ON_DEMAND,
    )
    with pipeline:
        # The reader maps files into memory, so that only the pages of the header are read.
        files, _ = read(root, images)
        pipeline.set_outputs(fn.peek_image_shape(files))
    return pipeline


def _faulty(root: str, names: Sequence[str]) -> Iterator[str]:
    shape = shape_reader()
    return (name for name in names if fault_of_file(os.path.join(root, name), shape) is not None)

"""The floor of mixing on a CPU: the same bytes with the same threads, built from floor.cc."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


@functools.cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        raise RuntimeError("the floor is C++; install g++.")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        source = Path(__file__).with_name("floor.cc")
        flags = ["-O3", "-std=c++20", "-shared", "-fPIC", "-pthread"]
        subprocess.run([compiler, *flags, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


def floor(
    batches: Sequence[Sequence[np.ndarray]], out_bytes: int, threads: int
) -> Callable[[], None]:
    """A call reads every image of the next batch and its neighbour, and writes `out_bytes` each.

    It writes through the cache or around it, whichever is faster here and for this size.
    """
    library = _library()
    count = len(batches[0])
    # A multiple of 64 for each sample, so that all of them are aligned.
    each = -(-out_bytes // 64) * 64
    memory = np.zeros(count * each + 64, np.uint8)
    begin = memory.ctypes.data + -memory.ctypes.data % 64
    outs = (ctypes.c_void_p * count)(*(begin + i * each for i in range(count)))
    inputs = [(ctypes.c_void_p * count)(*(x.ctypes.data for x in images)) for images in batches]
    sizes = [ctypes.c_int64(n) for n in (count, batches[0][0].nbytes, out_bytes, threads)]

    def writer(around_cache: bool) -> Callable[[], None]:
        step = 0

        def run() -> None:
            nonlocal step
            library.floor_batch(inputs[step % len(inputs)], outs, *sizes, around_cache)
            step += 1

        run.memory = memory  # type: ignore[attr-defined]  # lives as long as the call
        return run

    return min(
        (writer(around_cache) for around_cache in (False, True)),
        key=lambda run: min(timeit.repeat(run, number=1, repeat=9)),
    )

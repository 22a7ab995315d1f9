"""Random batches in memory between pages that must not be touched: a process that reads one byte
too many dies. Run by test_fuzz.py; prints "done"."""

import ctypes
import dataclasses
import mmap
import sys

import numpy as np
from random_batches import Seeded, random_batch

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
keep = []


def guarded(array, at_end):
    """A copy that begins right after, or ends right before, a page without access."""
    count = max(1, -(-array.nbytes // PAGE))
    pages = mmap.mmap(-1, (count + 2) * PAGE)
    keep.append(pages)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for page in (0, count + 1):
        assert libc.mprotect(ctypes.c_void_p(address + page * PAGE), PAGE, 0) == 0
    begin = (count + 1) * PAGE - array.nbytes if at_end else PAGE
    copy = np.frombuffer(pages, array.dtype, array.size, begin).reshape(array.shape)
    copy[:] = array
    return copy


def check(seed):
    batch = random_batch(Seeded(seed), in_type=np.uint8 if seed % 4 else np.float32)
    for at_end in (False, True):
        inputs = {
            name: [guarded(x, at_end) for x in values]
            for name in ("images", "others", "fitted")
            if (values := getattr(batch, name)) is not None
        }
        plan = batch.plan
        if plan.mask is not None:
            plan = plan._replace(mask=[guarded(mask, at_end) for mask in plan.mask])
        dataclasses.replace(batch, plan=plan, **inputs).assert_defined(no_copy=True)
        keep.clear()


if __name__ == "__main__":
    first, last = map(int, sys.argv[1:])
    if first == last:  # to show that the guard works
        page = guarded(np.zeros(1, np.uint8), True)
        ctypes.string_at(page.ctypes.data, 2)
    for seed in range(first, last):
        check(seed)
    print("done")

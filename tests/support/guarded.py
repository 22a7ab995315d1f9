"""Runs batches in memory between pages that must not be touched, so that the process dies if it
reads one byte too many. The batches are random, or have every width. test_fuzz.py runs this
program, which prints "done"."""

import ctypes
import dataclasses
import mmap
import sys

import numpy as np
from helpers import PerSample
from layered import NO_BOX, Batch, plan_for
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


def check_widths(first, step=8, last=512, height=3):
    """Mix images of the widths first, first + step, …, last. They are blended, cut, mixed by soft
    masks and mixed by threes. They are mirrored and not, and each has a forbidden page on one side.
    Outputs are planar and interleaved, with values of 1, 2 and 4 bytes."""
    rng = np.random.default_rng(first)
    images, partners, blends, boxes, masks, windows = [], [], [], [], [], []
    for width in range(first, last + 1, step):
        x0, x1 = sorted(rng.integers(0, width + 1, 2))
        box = (1, x0, height, x1)
        for k, (blend, cut) in enumerate([(0.625, NO_BOX), (1.0, box), (0.25, box), (1.0, NO_BOX)]):
            partners.append(len(images) ^ 1)  # its neighbour: 0 and 1, 2 and 3
            blends.append(blend)
            boxes.append(cut)
            windows.append({"mirror": (k // 2 + width // step) % 2})
            pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
            images.append(guarded(pixels, at_end=k % 2 == 1))
            masks.append(guarded(rng.integers(0, 256, (height, width), np.uint8), k % 2 == 1))
    count = len(images)
    columns = {"partner": PerSample(partners), "blend": PerSample(blends), "box": PerSample(boxes)}
    both_others = PerSample([(i ^ 1, i ^ 2) for i in range(count)])
    plans = [
        plan_for(count, **columns),
        plan_for(count, **columns, mask=PerSample(masks)),
        plan_for(count, partner=both_others, blend=(0.5, 0.125, 0.375), box=(NO_BOX, NO_BOX)),
    ]
    normalization = {"mean": [101.5, 120.25, 90.0], "std": [2.0, 1.7, 2.25]}
    formats = [(d, layout) for d in (np.float32, np.float16, np.uint8) for layout in ("CHW", "HWC")]
    few = [formats[0], formats[3], formats[5]]
    for plan, some in zip(plans, (formats, few, few), strict=True):
        batch = Batch(images, plan, windows=windows, normalization=normalization)
        for dtype, layout in some:
            batch.but(dtype=dtype, output_layout=layout).assert_defined(no_copy=True)
    keep.clear()


if __name__ == "__main__":
    if sys.argv[1] == "widths":
        for first in range(1, 9):
            check_widths(first)
        print("done")
        sys.exit()
    first, last = map(int, sys.argv[1:])
    if first == last:  # to show that the guard works
        page = guarded(np.zeros(1, np.uint8), True)
        ctypes.string_at(page.ctypes.data, 2)
    for seed in range(first, last):
        check(seed)
    print("done")

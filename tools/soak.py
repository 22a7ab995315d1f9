"""Checks in a long run that memory stays flat, resumed streams do not differ, and nothing leaks.

    make soak    # 100,000 batches, in some minutes

Two streams run in turn. One reads images of a folder. The other has branches, whose operators see
parts of batches of varying size. Two loaders make each stream: one is never interrupted; the other
often saves its state and is replaced by a new one. Their batches must be equal to the bit. Then
many loaders are opened, read, left in the middle and closed.

The first quarter is a warm-up. The exit status is 1 if a batch differs, or if anything grows after
the warm-up: the number of open files or threads, or resident memory by more than 8 MiB in all,
which is 84 bytes for each of 100,000 batches. Memory moves in steps, so its growth is the slope of
the Theil-Sen line through its measurements.
"""

import argparse
import gc
import itertools
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/support"))

import numbered
import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from scipy.stats import theilslopes
from tqdm import tqdm

import dali_mix
import dali_mix.fn as dmix

ALLOWED = 8  # MiB
WARM_UP = 1 / 4
MOST = 7  # largest number of images in a batch


@dataclass(frozen=True)
class Figures:
    """Memory, open files and threads of this process."""

    memory: float
    """Resident memory in MiB."""
    files: int
    threads: int

    @classmethod
    def now(cls):
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(memory, *(len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task")))

    def __str__(self):
        return f"{self.memory:8.1f} MiB {self.files:5} files {self.threads:5} threads"


def varying():
    """A loader whose operators are in branches, and see 0 to MOST images at once."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (64, 11, 13, 3), np.uint8)
    labels = np.arange(64, dtype=np.int32)

    def source(iteration):
        first = iteration % (len(labels) - MOST)
        return images[first : first + MOST], labels[first : first + MOST]

    def mixed(images, labels, method):
        return dmix.mix(images, labels, method, mirror=fn.random.coin_flip())

    @pipeline_def(
        batch_size=MOST,
        num_threads=1,
        device_id=None,
        seed=1,
        enable_conditionals=True,
        enable_checkpointing=True,
    )
    def pipeline():
        images, labels = fn.external_source(source=source, num_outputs=2, batch=True)
        if fn.random.coin_flip(dtype=types.BOOL):
            x, y1, y2, lam = mixed(images, labels, dali_mix.MixUp(0.4))
        else:
            x, y1, y2, lam = mixed(images, labels, dali_mix.CutMix(1.0))
        return x, y1, y2, lam

    return dali_mix.MixLoader(pipeline, size=MOST * 53)


def folder(root, **options):
    """A loader whose epochs end in a smaller batch."""
    return numbered.noisy(root, **({"batch_size": MOST, "last_batch": "partial"} | options))


def endless(loader):
    while True:
        yield from loader


class Twice:
    """A stream from a loader that is never interrupted, and the same from one that is."""

    def __init__(self, make):
        self.make = make
        self.whole = endless(make())
        self.loader = make()
        self.resumed = endless(self.loader)

    def step(self):
        """Whether the next batches of the two are equal."""
        pairs = zip(parts(next(self.whole)), parts(next(self.resumed)), strict=True)
        return all(torch.equal(one, other) for one, other in pairs)

    def interrupt(self):
        state = numbered.through_json(self.loader.state_dict())
        self.loader.close()
        self.loader = self.make()
        self.loader.load_state_dict(state)
        self.resumed = endless(self.loader)


def parts(batch):
    x, target = batch
    return x, target.y1, target.y2, target.lam


def run_streams(root, batches, every, progress):
    """Figures after every `every` batches. SystemExit if the two batches of a stream differ."""
    streams = [Twice(lambda: folder(root)), Twice(varying)]
    figures = []
    for number in range(1, batches + 1):
        stream = streams[number % 2]
        if not stream.step():
            sys.exit(f"soak: batch {number} is another one where the loader was resumed")
        if number % every == 0:
            for stream in streams:
                stream.interrupt()
            figures.append(Figures.now())
        progress.update()
    return figures


def run_loaders(root, count, progress):
    """Figures after each loader has been opened, left in the middle and closed."""
    figures = []
    for number in range(count):
        options = {"num_threads": 1 + number % 3, "prefetch_queue_depth": 1 + number % 4}
        with folder(root, **options) if number % 2 else varying() as loader:
            state = [loader.state_dict() for _ in itertools.islice(loader, number % 5)]
            if state:
                loader.load_state_dict(state[0])
        figures.append(Figures.now())
        progress.update()
    return figures


def warm(figures):
    """The figures after the warm-up."""
    return figures[int(len(figures) * WARM_UP) :]


def slope(figures):
    """Growth of the memory in MiB from one figure to the next."""
    return theilslopes([each.memory for each in figures]).slope


def grown(streams, loaders):
    """What has grown, and by how much, in words."""
    for name, figures in (("streams", streams), ("loaders", loaders)):
        first, last = warm(figures)[0], figures[-1]
        total = slope(warm(figures)) * len(figures)
        if total > ALLOWED:
            yield f"{name}: memory, by {total:.1f} MiB, with {ALLOWED} allowed"
        for what in ("files", "threads"):
            if getattr(last, what) > getattr(first, what):
                yield f"{name}: {what}, from {getattr(first, what)} to {getattr(last, what)}"


def report(before, streams, loaders, every):
    print(f"at the start        {before}")
    for name, figures in (("streams", streams), ("loaders", loaders)):
        print(f"{name}, warmed up {warm(figures)[0]}")
        print(f"{name}, at the end {figures[-1]}")
    print(f"slope: {slope(warm(streams)) * 1e4 / every:+.3f} MiB for 10,000 batches,", end=" ")
    print(f"{slope(warm(loaders)) * 1e3:+.1f} KiB for a loader")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--iterations", type=int, default=100_000, help="batches of both streams")
    parser.add_argument("--every", type=int, default=500, help="batches between two states")
    parser.add_argument("--loaders", type=int, default=100, help="loaders to open and close")
    args = parser.parse_args()
    if min(args.iterations // max(args.every, 1), args.loaders) < 4 or args.every < 1:
        parser.error("at least four times --every batches are needed, and four --loaders")
    before = Figures.now()
    with tempfile.TemporaryDirectory() as root:
        numbered.write_noise(Path(root), 5 * MOST + 3)
        with tqdm(total=args.iterations, unit="batch") as progress:
            streams = run_streams(root, args.iterations, args.every, progress)
        with tqdm(total=args.loaders, unit="loader") as progress:
            loaders = run_loaders(root, args.loaders, progress)
    report(before, streams, loaders, args.every)
    problems = list(grown(streams, loaders))
    print(*(problems or ["flat"]), sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

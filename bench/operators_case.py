"""One case of bench/operators.py: its images, its output, and what a contestant is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])
DTYPES = ("float32", "float16", "uint8")
BATCHES = 3
"""Batches that are fed in turn."""
BYTES_PER_ELEMENT = 165
"""All contestants together, for each element of a batch, with 4 bytes of output: 120 at 64 images
of 224 x 224, and up to 155 at 1,024, where Linux ended the process for want of memory."""


@dataclass(frozen=True, eq=False)
class Case:
    """What every contestant needs to know."""

    batches: list[np.ndarray]
    """(N, H, W, 3) uint8 images, fed in turn."""
    dtype: str
    layout: str
    threads: int
    seed: int
    device: str = "cpu"
    """Where the images are and the work is done: cpu or gpu."""

    @functools.cached_property
    def tensors(self) -> list[Any]:
        """The images as torch's tensors on the device, which all contestants share."""
        import torch

        device = "cuda" if self.device == "gpu" else "cpu"
        return [torch.from_numpy(images).to(device) for images in self.batches]

    @property
    def count(self) -> int:
        return len(self.batches[0])

    @property
    def height(self) -> int:
        return self.batches[0].shape[1]

    @property
    def width(self) -> int:
        return self.batches[0].shape[2]

    @property
    def classes(self) -> int:
        """Every image has a class of its own, so that a soft target names the partner."""
        return max(1000, self.count)

    @property
    def in_bytes(self) -> int:
        """Of one batch of images."""
        return self.batches[0].nbytes

    @property
    def out_bytes(self) -> int:
        """Of one batch of results."""
        return self.in_bytes * np.dtype(self.dtype).itemsize

    @property
    def output(self) -> dict[str, float]:
        """Scale and shift that make the normalised values fit the output."""
        return {"scale": 40.0, "shift": 128.0} if self.dtype == "uint8" else {}

    @property
    def coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        """k and s of value = pixel*k + s, for each channel."""
        k = self.output.get("scale", 1.0) / STD
        return k, self.output.get("shift", 0.0) - MEAN * k


def make_case(
    count: int,
    height: int,
    width: int,
    *,
    dtype: str,
    layout: str,
    threads: int,
    seed: int,
    device: str = "cpu",
) -> Case:
    rng = np.random.default_rng(seed)
    shape = (count, height, width, 3)
    batches = [rng.integers(0, 256, shape, np.uint8) for _ in range(BATCHES)]
    return Case(batches, dtype, layout, threads, seed, device)


def memory_needed(count: int, height: int, width: int) -> int:
    """Bytes that a case may take, all contestants together."""
    return BYTES_PER_ELEMENT * 3 * count * height * width


class Mixed(NamedTuple):
    """A batch as a contestant returns it, and what it says about the mixing."""

    x: np.ndarray
    """In the type and layout of the case."""
    partner: np.ndarray | None
    """(N,), or (N, K-1) of K images. None: only the own pixels are where they were."""
    lam: np.ndarray
    """(N,) weight of the own label, or (N, K) of all."""
    cut: bool = False
    """Whether the partner shows in a box, rather than blended over the whole image."""
    mirror: np.ndarray | None = None
    """Whether the own image is flipped."""
    partner_mirror: np.ndarray | None = None
    """Whether its partner is flipped."""
    weight: np.ndarray | None = None
    """(N, H, W) of the own pixels, where it is not lam for all."""


class Contestant(NamedTuple):
    run: Callable[[], Any]
    """One batch, the next of the case's in turn, the first one first."""
    read: Callable[[Any], Mixed] | None = None
    """What `run` returned; None where there is nothing to check."""
    images_read: int = 2
    """For each image of the result."""
    roundings: int = 1
    """How often the pixels are rounded to the type of the output."""
    raw_rounding: float = 0.0
    """By how many levels the mixed pixels are rounded before they are normalised."""


Contestants = dict[str, Contestant]
Missing = dict[str, str]
"""Why a contestant is not there, by its name."""

"""Decodes one image at a time with DALI, and says in words why one cannot be decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline

_WORDS = {
    "nvImageCodec failure: '#2'": "its header makes no sense",
    "nvImageCodec failure: '#3'": "its header is broken or cut off",
    "nvImageCodec failure: '#4'": "it is no image of a kind that DALI decodes",
    "nvImageCodec failure: '#17'": "it is broken or cut off",
    "Failed to decode sample": "its pixels cannot be decoded",
    "std::bad_alloc": "it needs more memory than there is",
    "File mapping failed": "it cannot be opened",
}
"""The beginning of DALI's reason, and what we say instead."""


class Undecodable(ValueError):  # noqa: N818 - names the image's fault, not the program's
    """An image cannot be decoded. The message says why, as in "its header is broken"."""


class Single:
    """A pipeline for one encoded image at a time. It is rebuilt after a failure, which ends it.

    graph:     function from a DALI node, the encoded bytes on the CPU, to one output
    device_id: number of the GPU that the pipeline may use; None: no GPU
    """

    def __init__(self, graph: Callable[[Any], Any], device_id: int | None = None) -> None:
        self._graph = graph
        self._device_id = device_id
        self._pipeline: Pipeline | None = None

    def __call__(self, encoded: np.ndarray) -> Any:
        """The output, a DALI batch of one, for (bytes,) uint8. Raises Undecodable."""
        if not len(encoded):
            raise Undecodable("it is empty")
        if self._pipeline is None:
            self._pipeline = self._made()
        try:
            return self._pipeline.run(encoded=[encoded])[0]
        except RuntimeError as error:
            self._pipeline = None
            raise Undecodable(_in_words(str(error))) from error

    def ready(self, encoded: np.ndarray) -> None:
        """Build the pipeline if needed, and run it on a good image. What DALI prints as it starts
        is then not taken for a fault of the next image."""
        if self._pipeline is None:
            self(encoded)

    def _made(self) -> Pipeline:
        pipeline = Pipeline(
            1, num_threads=1, device_id=self._device_id, prefetch_queue_depth=1, seed=0
        )
        with pipeline:
            encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
            pipeline.set_outputs(self._graph(encoded))
        return pipeline


def decoder(device_id: int | None) -> Single:
    """Decodes to RGB as the recipes do: on that GPU; None: on the CPU."""
    device = "cpu" if device_id is None else "mixed"
    return Single(
        lambda encoded: fn.decoders.image(encoded, device=device, output_type=types.RGB), device_id
    )


def shape_reader() -> Single:
    """Reads the shape from the header, and decodes nothing."""
    return Single(fn.peek_image_shape)


def fault_of_file(path: str, decode: Single) -> str | None:
    """Why this file cannot be decoded, in a few words; None if it can."""
    try:
        decode(np.fromfile(path, np.uint8))
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except Undecodable as error:
        return str(error)
    return None


def cause_of(message: str) -> tuple[str, str]:
    """The operator and the reason in a long error message of DALI."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    operator = next((line for line in lines if line.startswith("Error in ")), "").partition(",")[0]
    if "encountered:" in lines and lines.index("encountered:") + 1 < len(lines):
        reason = lines[lines.index("encountered:") + 1]
    else:
        reason = lines[-1] if lines else "no reason given"
    return operator, reason


def _in_words(message: str) -> str:
    _, reason = cause_of(message)
    for said, words in _WORDS.items():
        if reason.startswith(said):
            return words
    return f"DALI says {re.sub('[.: ]+$', '', reason)!r}"

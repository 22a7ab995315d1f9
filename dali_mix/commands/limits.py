"""How much a command may be asked for, known before it works."""

from __future__ import annotations

import argparse

_PIXELS = 100_000_000
"""Of a batch. Commands hold some copies of it, of up to four bytes for each of three channels."""


def check_pixels(args: argparse.Namespace, images: str) -> None:
    """A ValueError where so many images of this size would fill the memory.

    images: name of the option that says how many
    """
    count, size = getattr(args, images), args.size
    if count * size**2 > _PIXELS:
        raise ValueError(
            f"--{images} and --size must make at most {_PIXELS:,} pixels, got {count:,} images of "
            f"{size} x {size}; take less."
        )

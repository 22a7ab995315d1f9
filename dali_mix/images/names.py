"""File names for messages. On Linux a name may hold any bytes except NUL and /."""

from __future__ import annotations

import os


def shown(path: str | os.PathLike[str]) -> str:
    """The path on one line, printable. A name with line breaks or undecodable bytes is quoted."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(os.fsencode(text))[1:]


def is_utf8(name: str) -> bool:
    """False if the name has bytes that are not UTF-8; Python holds them as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

"""File names as people are shown them: on Linux they are bytes, and any but NUL and / may occur."""

from __future__ import annotations

import os


def shown(path: str | os.PathLike[str]) -> str:
    """On one line and printable; a name with line breaks or bytes that are no text is quoted."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(os.fsencode(text))[1:]


def is_utf8(name: str) -> bool:
    """False of a name with bytes that Python carries as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

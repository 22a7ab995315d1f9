"""Checks at the start of a command that it can write its file at the end."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from dali_mix.images.names import shown


def check_writable(option: str, path: Path) -> None:
    """A ValueError says why `path`, given for `option`, cannot be written."""
    if not path.parent.is_dir():
        why = f"{shown(path.parent)} is not a folder"
    else:
        try:
            if path.is_dir():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            if path.exists() and not os.access(path, os.W_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            if not path.exists():
                tempfile.TemporaryFile(dir=path.parent).close()
            return
        except OSError as error:
            why = error.strerror or str(error)
    raise ValueError(f"--{option} {shown(path)} cannot be written: {why}.")

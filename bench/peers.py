"""Imports the libraries to compare with, and says why one cannot be imported."""

import importlib
from typing import Any


def peer(module: str) -> tuple[Any, str]:
    """The module and "", or None and the reason."""
    try:
        return importlib.import_module(module), ""
    except (ImportError, RuntimeError, OSError) as error:  # broken libraries raise any of these
        return None, f"cannot be imported ({str(error).splitlines()[0]})"

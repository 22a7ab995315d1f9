"""Imports the libraries that are compared with, and says why one is not there."""

import importlib
from typing import Any


def peer(module: str) -> tuple[Any, str]:
    """The module and "", or None and the reason."""
    try:
        return importlib.import_module(module), ""
    except (ImportError, RuntimeError, OSError) as error:  # broken ones raise all three
        return None, f"cannot be imported ({str(error).splitlines()[0]})"

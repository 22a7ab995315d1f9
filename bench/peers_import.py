"""Imports the libraries that bench/operators.py compares with, and says why one is not there."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_declared: list[Any] = []
"""Declarations last as long as the object that made them."""


def peer(module: str) -> tuple[Any, str]:
    """The module and "", or None and the reason."""
    try:
        if module.split(".")[0] in ("torchvision", "timm"):
            _import_torchvision()
        return importlib.import_module(module), ""
    except (ImportError, RuntimeError, OSError) as error:  # broken ones raise all three
        return None, f"cannot be imported ({str(error).splitlines()[0]})"


def _import_torchvision() -> None:
    """Import torchvision, also beside a PyTorch of another flavour.

    The registry has torchvision with CUDA alone. Beside a CPU PyTorch its native library does not
    load, which it bears, but for two operators that it describes without asking whether they exist.
    Mixing uses neither: to declare them, without code, is enough to import the Python part.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error) or _declared:
            raise
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        _declared.append(library)
        importlib.import_module("torchvision")

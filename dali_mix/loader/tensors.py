"""Turns an output of DALI into a tensor of PyTorch."""

from __future__ import annotations

from typing import Any

from nvidia.dali.plugin.pytorch.torch_utils import to_torch_tensor
from torch import Tensor

__all__ = ["to_torch", "to_torch_tensor"]


def to_torch(output: Any, copy: bool) -> Tensor:
    """A batch whose samples have one shape. `copy`: False uses DALI's memory."""
    if not output.is_dense_tensor():
        shapes = sorted({tuple(shape) for shape in output.shape()})
        raise ValueError(
            "the samples of an output must have one shape, got "
            f"{', '.join(map(str, shapes[:3]))}{', …' if len(shapes) > 3 else ''}; "
            "crop, resize or pad them in the pipeline."
        )
    return to_torch_tensor(output.as_tensor(), copy)

"""One batch: what a DALI pipeline puts out, as PyTorch users expect it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nvidia.dali.plugin.pytorch.torch_utils import to_torch_tensor
from torch import Tensor

from dali_mix.targets import MixTarget

Target = MixTarget | Tensor | tuple[MixTarget, ...] | tuple[Tensor, ...]
Batch = tuple[Tensor, Target]


def mixes(num_outputs: int, mixed: bool | None) -> bool:
    """Whether outputs are (x, y1, y2, lam) rather than (x, y); ValueError if they are neither."""
    if mixed is None:
        if num_outputs not in (2, 4):
            raise ValueError(
                "the pipeline must put out (x, y1, y2, lam) or (x, y), got "
                f"{num_outputs} outputs; for tuples of labels say mixed=True, with outputs "
                "(x, *y1, *y2, lam), or mixed=False, with (x, *y)."
            )
        return num_outputs == 4
    if mixed and (num_outputs < 4 or num_outputs % 2):
        raise ValueError(
            "with mixed=True the pipeline must put out (x, y1, y2, lam) or (x, *y1, *y2, lam), "
            f"which are 4, 6, … outputs, got {num_outputs}."
        )
    if num_outputs < 2:
        raise ValueError(f"the pipeline must put out (x, y) at least, got {num_outputs} outputs.")
    return mixed


def to_batch(outputs: Sequence[Any], mixed: bool, kept: int, copy: bool) -> Batch:
    """(x, target) of the first `kept` samples.

    outputs: DALI batches, as many as `mixes` allows
    copy:    False hands DALI's own memory on, which then lives as long as the tensors
    """
    x, *labels = (_to_torch(output, copy)[:kept] for output in outputs)
    if x.dim() == 4 and outputs[0].layout() == "HWC":
        x = x.permute(0, 3, 1, 2)
    return x, _to_target(labels, mixed)


def _to_torch(output: Any, copy: bool) -> Tensor:
    if not output.is_dense_tensor():
        shapes = sorted({tuple(shape) for shape in output.shape()})
        raise ValueError(
            "the samples of an output must have one shape, got "
            f"{', '.join(map(str, shapes[:3]))}{', …' if len(shapes) > 3 else ''}; "
            "crop, resize or pad them in the pipeline."
        )
    return to_torch_tensor(output.as_tensor(), copy)


def _to_target(labels: list[Tensor], mixed: bool) -> Target:
    if not mixed:
        plain = tuple(MixTarget(y, y, 1.0).y1 for y in labels)  # class ids become (N,) int64
        return plain[0] if len(plain) == 1 else plain
    *pairs, lam = labels
    half = len(pairs) // 2
    targets = tuple(
        MixTarget(y1, y2, lam) for y1, y2 in zip(pairs[:half], pairs[half:], strict=True)
    )
    return targets[0] if half == 1 else targets


__all__ = ["Batch", "Target", "mixes", "to_batch"]

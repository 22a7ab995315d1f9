"""The peers of bench/operators.py that mix in PyTorch: decoded uint8 images in, mixed tensor out.

Each takes the same images as one (N, H, W, 3) tensor, normalises and mixes on the CPU, and returns
the tensor in the layout and type asked for. A peer that is not installed is named with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dali_mix._harness import keep_freed_memory

Contestants = dict[str, Callable[[], object]]


def contestants(
    case: Any, mean: list[float], std: list[float]
) -> tuple[Contestants, dict[str, str]]:
    """What can run here, and for the others why not. uint8 output: no peer offers it."""
    if case.dtype == "uint8":
        return {}, {"torch and timm": "mix floating-point tensors only"}
    try:
        import torch
    except ModuleNotFoundError:
        return {}, {"torch and timm": "PyTorch is not installed"}
    keep_freed_memory()
    torch.set_num_threads(case.threads)
    batches = [torch.from_numpy(np.stack(images)) for images in case.batches]
    dtype = getattr(torch, case.dtype)
    count = len(case.batches[0])
    k, s = (
        torch.tensor(values).view(1, 1, 1, 3)
        for values in (1 / np.float32(std), -np.float32(mean) / np.float32(std))
    )
    beta = torch.distributions.Beta(1.0, 1.0)

    def laid_out(x: Any) -> Any:
        if case.layout == "CHW":
            x = x.permute(0, 3, 1, 2)
        return x.to(dtype, memory_format=torch.contiguous_format).contiguous()

    def mixed(images: Any, partner: Any, lam: Any) -> Any:
        x = images.float()
        return laid_out(torch.lerp(x[partner], x, lam.view(-1, 1, 1, 1)) * k + s)

    def in_turn(mix: Callable[[Any], object]) -> Callable[[], object]:
        step = 0

        def run() -> object:
            nonlocal step
            step += 1
            return mix(batches[step % len(batches)])

        return run

    def with_draw(mix: Callable[..., object]) -> Callable[[], object]:
        return in_turn(lambda images: mix(images, torch.randperm(count), beta.sample((count,))))

    found: Contestants = {
        "torch eager": with_draw(mixed),
        "torch.compile": with_draw(torch.compile(mixed, dynamic=False)),
    }
    missing = {}
    try:
        from timm.data import Mixup
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision of another torch
        missing["timm"] = f"cannot be imported ({error})"
    else:
        labels = torch.arange(count)
        for mode in ("batch", "elem"):
            mixup = Mixup(mixup_alpha=1.0, num_classes=1000, mode=mode)

            def timm(images: Any, mixup: Any = mixup) -> Any:
                x = laid_out(images.float() * k + s)
                return mixup(x, labels)

            found[f"timm Mixup {mode}"] = in_turn(timm)
    return found, missing

"""The contestants of bench/operators.py that are written in PyTorch, and what all peers in PyTorch
share: the images as one tensor, normalised and laid out in the fastest way found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.operators_case import Case, Contestant, Contestants, Mixed

NORMALIZING = {"255 * k": 2, "pixel * k, up to 8": 2, "s": 1, "their sum": 1}
MIXING = {"both products": 2, "their sum": 1, "1 - lam": 1}
"""By how many half distances of `operators_check.ULP`, which is between values of up to 4, results
may be off where every step is rounded to their type. Of k, the relative error counts 255 times."""


class Batches:
    """The images of a case as tensors on its device, and the steps around the mixing."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.images: list[Tensor] = case.tensors
        self.device = self.images[0].device
        self.dtype: torch.dtype = getattr(torch, case.dtype)
        # Arithmetic in float16 is what is fast on a GPU, and slow on a CPU.
        on_gpu_in_half = case.device == "gpu" and case.dtype == "float16"
        self.arithmetic = torch.float16 if on_gpu_in_half else torch.float32
        in_one_type = self.arithmetic == self.dtype
        self.roundings = sum(MIXING.values()) + (sum(NORMALIZING.values()) if in_one_type else 1)
        self.k, self.s = (
            torch.tensor(values, dtype=torch.float32, device=self.device)
            for values in case.coefficients
        )
        self._normalizing = [v.view(1, 3, 1, 1).to(self.arithmetic) for v in (self.k, self.s)]
        last = case.layout == "HWC"
        self.memory = torch.channels_last if last else torch.contiguous_format

    def normalized(self, images: Tensor) -> Tensor:
        """(N, H, W, C) uint8 to (N, C, H, W) of the type in which peers mix."""
        k, s = self._normalizing
        x = images.permute(0, 3, 1, 2).to(self.arithmetic, memory_format=self.memory)
        x.mul_(k).add_(s)
        return x.half() if self.case.dtype == "float16" else x

    def finished(self, x: Tensor) -> Tensor:
        """(N, C, H, W) as the case wants it."""
        if self.case.dtype == "uint8":
            x = x.round_().clamp_(0, 255)
        x = x.to(self.dtype)
        return (x.permute(0, 2, 3, 1) if self.case.layout == "HWC" else x).contiguous()

    def sent(self, drawn: Tensor) -> Tensor:
        """On the device. A copy from memory that is not pinned would wait until the GPU is idle."""
        if self.device.type == "cpu":
            return drawn
        return drawn.pin_memory().to(self.device, non_blocking=True)

    def in_turn(self, mix: Callable[[Tensor], Any]) -> Callable[[], Any]:
        """A call mixes the next batch."""
        step = -1

        def run() -> Any:
            nonlocal step
            step += 1
            return mix(self.images[step % len(self.images)])

        return run


def contestants(case: Case) -> Contestants:
    batches = Batches(case)
    beta = torch.distributions.Beta(1.0, 1.0)

    def drawn(mix: Callable[..., Tensor], roundings: int) -> Contestant:
        def mixed(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            partner = batches.sent(torch.randperm(case.count))
            lam = batches.sent(beta.sample((case.count,)))
            return mix(images, partner, lam), partner, lam

        return Contestant(batches.in_turn(mixed), _read, roundings=roundings)

    return {
        "torch eager": drawn(_eager(batches), batches.roundings),
        "torch.compile": drawn(_compiled(batches), 1),
    }


def _read(output: tuple[Tensor, Tensor, Tensor]) -> Mixed:
    return Mixed(*(tensor.cpu().numpy() for tensor in output))


def _eager(batches: Batches) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """As fastai mixes: normalised images, indexed by the partners, and lerp."""

    def mix(images: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        x = batches.normalized(images)
        weight = lam.view(-1, 1, 1, 1).to(x.dtype)
        return batches.finished(torch.lerp(x[partner], x, weight))

    return mix


def _compiled(batches: Batches) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The same, compiled, in the form that came out fastest.

    On a CPU, images are rows of W*C values with constants as long, since a last dimension of three
    is not vectorised; and partners are collected, and channels moved to the front, by calls of
    their own, since within the compiled loop either makes it scalar. On a GPU all is one kernel.
    """
    case = batches.case
    k, s = (values.repeat(case.width) for values in (batches.k, batches.s))

    def rows(images: Tensor, partners: Tensor, lam: Tensor) -> Tensor:
        own, partners = (x.view(case.count, case.height, -1) for x in (images, partners))
        weight = lam.view(-1, 1, 1)
        x = (own.float() * weight + partners.float() * (1 - weight)) * k + s
        if case.dtype == "uint8":
            x = x.round().clamp(0, 255)
        return x.to(batches.dtype).view(images.shape)

    def laid_out(x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2).contiguous() if case.layout == "CHW" else x

    def whole(images: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        return laid_out(rows(images, images[partner], lam))

    torch.compiler.reset()  # or the limit of compilations of one function is reached
    if case.device == "gpu":
        return torch.compile(whole, dynamic=False)
    compiled = torch.compile(rows, dynamic=False)
    return lambda images, partner, lam: laid_out(
        compiled(images, images.index_select(0, partner), lam)
    )

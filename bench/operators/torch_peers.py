"""The contestants that mix in PyTorch by hand, and what they share with the libraries."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dali_mix import Plan
from dali_mix.measure.checks import HALF_LAM_ULP, LAM_ULP, ROUNDINGS, check_mixed, tolerance
from dali_mix.measure.operators import Case, samples_of
from dali_mix.measure.outputs import MEAN, STD, Mixed, Output

Told = Callable[[Any], tuple[np.ndarray, np.ndarray]]
"""Finds partner and lam in the labels that a contestant returns."""


class Contestant(NamedTuple):
    run: Callable[[], tuple[Tensor, Any]]
    """Mixes the next batch of the case, and returns the images and the mixed labels."""
    told: Told
    cut: bool = False
    """Whether the partner shows in a box."""
    raw_rounding: float = 0.0
    """Error in grey levels from rounding the mixed pixels before they are normalised."""


def check(name: str, case: Case, contestant: Contestant, step: int = 1) -> None:
    """An AssertionError unless run number `step` mixes by its partner and lam."""
    x, labels = contestant.run()
    partner, lam = contestant.told(labels)
    plan = Plan(partner, None if contestant.cut else lam, None, lam, None)
    mixed = Mixed(x.cpu().numpy(), (), plan, contestant.cut)
    lam_ulp = HALF_LAM_ULP if case.output.dtype == "float16" else LAM_ULP
    atol = peers_tolerance(case.output, contestant)
    images, mirror = case.batches[step % len(case.batches)], np.zeros(case.count, bool)
    how: dict[str, Any] = {"lam_ulp": lam_ulp, "samples": samples_of(case.count)}
    check_mixed(name, mixed, images, mirror, case.output, atol=atol, **how)


def peers_tolerance(output: Output, contestant: Contestant) -> float:
    """The largest error of a peer. With float16 peers round at every step, else once at the end."""
    half = output.dtype == "float16"
    return tolerance(
        output,
        roundings=ROUNDINGS if half else 1,
        raw_rounding=contestant.raw_rounding,
        lam_ulp=HALF_LAM_ULP if half and not contestant.cut else LAM_ULP,
    )


class Batches:
    """The images of a case as one tensor on its device, and the steps before and after mixing, each
    in the fastest way found."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.images: list[Tensor] = case.tensors
        self.device = self.images[0].device
        self.dtype: torch.dtype = getattr(torch, case.output.dtype)
        self.channels_last = case.output.layout == "HWC"
        # Arithmetic in float16 is fast on a GPU and slow on a CPU.
        in_half = case.device == "gpu" and case.output.dtype == "float16"
        self.arithmetic = torch.float16 if in_half else torch.float32
        given = case.output.normalization
        k = given.get("scale", 1.0) / np.array(STD)
        s = given.get("shift", 0.0) - np.array(MEAN) * k
        self.k, self.s = (torch.tensor(v, dtype=torch.float32).to(self.device) for v in (k, s))

    def normalized(self, images: Tensor) -> Tensor:
        """(N, H, W, C) uint8 to (N, C, H, W) of the type in which peers mix."""
        memory = torch.channels_last if self.channels_last else torch.contiguous_format
        x = images.permute(0, 3, 1, 2).to(self.arithmetic, memory_format=memory)
        k, s = (values.view(1, 3, 1, 1).to(self.arithmetic) for values in (self.k, self.s))
        x.mul_(k).add_(s)
        return x.half() if self.case.output.dtype == "float16" else x

    def finished(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in the type and layout of the case."""
        if self.dtype == torch.uint8:
            x = x.round_().clamp_(0, 255)
        x = x.to(self.dtype)
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).contiguous()

    def contestant(self, mix: Callable[[Tensor], Any], told: Told, **more: Any) -> Contestant:
        """A contestant that calls `mix` with the images of a batch. `mix` returns the finished
        images and the mixed labels."""
        step = -1

        def run() -> Any:
            nonlocal step
            step += 1
            return mix(self.images[step % len(self.images)])

        return Contestant(run, told, **more)


def contestants(case: Case) -> dict[str, Contestant]:
    batches = Batches(case)
    beta = torch.distributions.Beta(1.0, 1.0)

    def drawn(mix: Callable[..., Tensor]) -> Contestant:
        def mixed(images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            partner, lam = torch.randperm(case.count), beta.sample((case.count,))
            if case.device == "gpu":  # pinned, because a copy would otherwise wait for the GPU
                partner, lam = (
                    v.pin_memory().to(batches.device, non_blocking=True) for v in (partner, lam)
                )
            return mix(images, partner, lam), (partner, lam)

        return batches.contestant(mixed, _arrays)

    def eager(images: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        """Mix as fastai does: normalise, index by the partners, and lerp."""
        x = batches.normalized(images)
        return batches.finished(torch.lerp(x[partner], x, lam.view(-1, 1, 1, 1).to(x.dtype)))

    return {"torch eager": drawn(eager), "torch.compile": drawn(compiled(batches))}


def _arrays(labels: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    return labels[0].cpu().numpy(), labels[1].cpu().numpy()


def compiled(batches: Batches) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Normalise and blend in one compiled expression, in the fastest form found.

    On a CPU, an image is rows of W*C values, and the constants are as long, because a last
    dimension of three is not vectorised. Indexing the partners and moving the channels to the front
    are calls of their own, because inside the compiled loop either makes it scalar. On a GPU
    everything is one kernel.
    """
    count, height, width, _ = batches.images[0].shape
    k, s = (values.repeat(width) for values in (batches.k, batches.s))

    def rows(images: Tensor, partners: Tensor, lam: Tensor) -> Tensor:
        own, partners = (x.view(count, height, -1) for x in (images, partners))
        weight = lam.view(-1, 1, 1)
        x = (own.float() * weight + partners.float() * (1 - weight)) * k + s
        if batches.dtype == torch.uint8:
            x = x.round().clamp(0, 255)
        return x.to(batches.dtype).view(images.shape)

    def laid_out(x: Tensor) -> Tensor:
        return x if batches.channels_last else x.permute(0, 3, 1, 2).contiguous()

    def whole(images: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        return laid_out(rows(images, images[partner], lam))

    torch.compiler.reset()  # so that the limit of compilations of one function is not reached
    if batches.case.device == "gpu":
        return torch.compile(whole, dynamic=False)
    fast = torch.compile(rows, dynamic=False)
    return lambda images, partner, lam: laid_out(fast(images, images.index_select(0, partner), lam))

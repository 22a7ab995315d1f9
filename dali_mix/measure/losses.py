"""Measures the loss of a mixed batch, forward and backward, in several forms, and checks them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dali_mix.measure import timing
from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.mix_target import MixTarget

BASELINE = "cross-entropy once"
once = nn.CrossEntropyLoss()
unreduced = nn.CrossEntropyLoss(reduction="none")
mixed = MixLoss(nn.CrossEntropyLoss())


def inputs(batch: int, classes: int, device: str, seed: int) -> tuple[Tensor, MixTarget]:
    """Logits, (batch, classes) float32, and a target of random labels and one lam per sample."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, generator=generator).to(device).requires_grad_()
    y1, y2 = (torch.randint(classes, (batch,), generator=generator) for _ in range(2))
    target = MixTarget(y1, y2, torch.rand(batch, generator=generator)).to(torch.device(device))
    return logits, target


def twice(logits: Tensor, target: MixTarget) -> Tensor:
    l1, l2 = unreduced(logits, target.y1), unreduced(logits, target.y2)
    return torch.lerp(l2, l1, target.lam).mean()


def dense(logits: Tensor, target: MixTarget) -> Tensor:
    rows1, rows2 = (
        torch.zeros_like(logits).scatter_(1, y.unsqueeze(1), 1.0) for y in (target.y1, target.y2)
    )
    lam = target.lam.unsqueeze(1)
    return once(logits, rows1 * lam + rows2 * (1 - lam))


def one_log_softmax(logits: Tensor, target: MixTarget) -> Tensor:
    log_p = functional.log_softmax(logits, 1)
    p1, p2 = (log_p.gather(1, y.unsqueeze(1)).squeeze(1) for y in (target.y1, target.y2))
    return -torch.lerp(p2, p1, target.lam).mean()


CONTESTANTS: dict[str, Callable[[Tensor, MixTarget], Tensor]] = {
    BASELINE: lambda logits, target: once(logits, target.y1),
    "twice and blended": twice,
    "dense soft target": dense,
    "one log_softmax": one_log_softmax,
    "MixLoss": mixed,
}


def step(loss: Callable[[Tensor, MixTarget], Tensor], logits: Tensor, target: MixTarget) -> Tensor:
    """Forward and backward. The gradient is allocated each time, like that of an activation."""
    logits.grad = None
    value = loss(logits, target)
    value.backward()
    return value.detach()


def check(logits: Tensor, target: MixTarget) -> None:
    """An AssertionError unless all contestants that mix give the blend of two float64 losses."""
    exact = logits.detach().double().requires_grad_()
    y1, y2, lam = target.y1, target.y2, target.lam.double()
    value = (lam * unreduced(exact, y1) + (1 - lam) * unreduced(exact, y2)).mean()
    value.backward()
    for name, loss in CONTESTANTS.items():
        if name != BASELINE:
            found = step(loss, logits, target)
            torch.testing.assert_close(found.double(), value.detach(), rtol=1e-5, atol=0)
            assert logits.grad is not None
            torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-9)
    logits.grad = None


def measure(
    logits: Tensor,
    target: MixTarget,
    *,
    rounds: int,
    seed: int,
    progress: Callable[[], object] = timing.nothing,
) -> dict[str, dict[str, Any]]:
    """The results of `timing.compare`. The baseline is one cross-entropy without mixing."""
    return timing.compare(
        {name: partial(step, loss, logits, target) for name, loss in CONTESTANTS.items()},
        baseline=BASELINE,
        check=partial(check, logits, target),
        rounds=rounds,
        synchronize=torch.cuda.synchronize if logits.is_cuda else timing.nothing,
        seed=seed,
        progress=progress,
    )

"""Remix: the weights of labels where some classes have many images, and others few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from dali_mix.training.batch_target import as_labels, check_range, holds_class_ids
from dali_mix.training.manifold_target import ManifoldTarget
from dali_mix.training.mix_target import MixTarget

__all__ = ["Remix"]

Target = TypeVar("Target", MixTarget, ManifoldTarget, Tensor)


class Remix(nn.Module):
    """Give the whole label of a pair to its rarer class (Chou et al. 2020, Remix, eq. 4).

    counts: number of training images of each class, in the order of the ids, such as
            `loader.class_counts`
    kappa:  at least 1: from which ratio of two counts on; the paper uses 3
    tau:    in [0, 1]: the label goes to the rarer class only if the more frequent one has a weight
            below this; the paper uses 0.5

    Call it between loader and loss: loss = criterion(model(x), remix(target)). Pixels keep their
    lam. With n the counts of the classes of own image and partner, lam of the label becomes
        0    where n_own / n_partner >= kappa   and lam < tau
        1    where n_own / n_partner <= 1/kappa and 1 - lam < tau
        lam  elsewhere

    target:  MixTarget or ManifoldTarget of class ids. A plain tensor is returned as it is, so that
             validation shares the code
    returns: such a target

    With tau=0.5 it needs a method that does not fold, as MixUp(1.0, fold=False) and CutMix() do: of
    folded draws lam is never below 0.5. It is a module, so that .to(device) moves the counts.
    """

    counts: Tensor

    def __init__(
        self, counts: Sequence[int] | Tensor, *, kappa: float = 3.0, tau: float = 0.5
    ) -> None:
        super().__init__()
        values = torch.as_tensor(counts, dtype=torch.float64)
        if values.dim() != 1 or not values.numel() or not (values >= 0).all():
            raise ValueError(
                f"counts must be the number of images of each class, got {list(counts)[:8]}."
            )
        if not kappa >= 1:
            raise ValueError(f"kappa must be at least 1, got {kappa}.")
        if not 0 <= tau <= 1:
            raise ValueError(f"tau must lie in [0, 1], got {tau}.")
        self.register_buffer("counts", values, persistent=False)
        self.kappa = kappa
        self.tau = tau

    def extra_repr(self) -> str:
        return f"{len(self.counts)} classes, kappa={self.kappa}, tau={self.tau}"

    def forward(self, target: Target) -> Target:
        if isinstance(target, Tensor):
            return target
        if not isinstance(target, (MixTarget, ManifoldTarget)):
            raise TypeError(
                "target must be a MixTarget or a ManifoldTarget, of two labels, got a "
                f"{type(target).__name__}; Remix is defined for pairs."
            )
        if not holds_class_ids(target.y1):
            raise ValueError(
                f"Remix needs class ids (N,), got labels {tuple(target.y1.shape)} "
                f"{target.y1.dtype}; give it the target before it is made dense."
            )
        last = len(self.counts) - 1
        sentence = f"class ids must lie in [0, {last}], as counts has {last + 1} classes, got {{}}."
        ids = [as_labels(y) for y in target.labels]
        check_range(torch.stack(ids), 0, last, sentence)
        own, partner = (self.counts.to(y.device).index_select(0, y) for y in ids)
        lam = target.lam
        none = (own >= self.kappa * partner) & (lam < self.tau)
        whole = (own * self.kappa <= partner) & (1 - lam < self.tau)
        lam = lam.masked_fill(whole, 1).masked_fill(none, 0)
        return target._make((*target[:2], lam, *target[3:]))

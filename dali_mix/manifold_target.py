"""ManifoldTarget: a MixTarget with the partners, for mixing inside the model. See manifold.py.

Imports torch, never DALI.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dali_mix.targets import MixTarget, checked_parts

__all__ = ["ManifoldTarget"]


class _Quadruple(NamedTuple):
    y1: Tensor
    """(N, ...) own labels, as in MixTarget."""
    y2: Tensor
    """Like y1: the labels of the partners."""
    lam: Tensor
    """(N,) float32 in [0, 1]: the weight of y1; y2 weighs 1 - lam."""
    partner: Tensor
    """(N,) int64 in [0, N): index in the batch of the sample mixed in."""


class ManifoldTarget(_Quadruple):
    """The target of a batch of N samples whose hidden activations are to be mixed.

    y1, y2, lam: as in MixTarget
    partner:     (N,) or (N, 1) integers in [0, N); becomes (N,) int64

    `MixLoss` takes it as it is; `target.mix` is its MixTarget, for what takes that one. The DALI
    pipeline emits the four parts beside pixels that are not mixed:

        plan = dmix.plan(images, methods=dali_mix.MixUp(alpha=2.0, fold=False))
        x = fn.crop_mirror_normalize(images, …)
        y2 = fn.permute_batch(labels, indices=plan.partner)
        return x, labels, y2, plan.lam, plan.partner

    and the program builds the target, `ManifoldTarget(y1, y2, lam, partner)`, or with MixLoader:

        loader = MixLoader(pipeline, mixed=False, last_batch="drop")     # x is not mixed
        for x, parts in loader:
            target = ManifoldTarget(*parts)

    With a GPU, end the pipeline with `labels.gpu(), y2.gpu(), plan.lam.gpu(), plan.partner.gpu()`:
    the parts must be on one device. The last batch must be dropped where it is not full: cut off,
    it misses partners, and filled up, samples mix with their copies.

    A ValueError or TypeError names what does not fit; the ranges of lam and partner are checked on
    the CPU only. Where no part is a tensor all are kept as they are, so that frameworks can map
    over the parts.
    """

    __slots__ = ()

    def __new__(
        cls, y1: Tensor, y2: Tensor, lam: Tensor | float, partner: Tensor
    ) -> ManifoldTarget:
        if any(isinstance(part, Tensor) for part in (y1, y2, lam, partner)):
            y1, y2, lam = checked_parts(y1, y2, lam)
            partner = _checked_partner(partner, y1)
        return super().__new__(cls, y1, y2, lam, partner)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"ManifoldTarget({repr(self.mix)[10:-1]}, partner={tuple(self.partner.shape)})"

    @property
    def mix(self) -> MixTarget:
        """The MixTarget of the same batch."""
        return MixTarget._make(self[:3])

    @property
    def batch_size(self) -> int:
        """N, the number of samples."""
        return self.lam.shape[0]

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> ManifoldTarget:
        """The same target on `device`; dtypes stay."""
        return ManifoldTarget(*(part.to(device, non_blocking=non_blocking) for part in self))

    def pin_memory(self) -> ManifoldTarget:
        """The same target in page-locked memory, whence copies to a GPU run in the background."""
        return ManifoldTarget(*(part.pin_memory() for part in self))


def _checked_partner(partner: Tensor, y1: Tensor) -> Tensor:
    n = y1.shape[0]
    if not isinstance(partner, Tensor):
        raise TypeError(
            f"partner must be a tensor, got {type(partner).__name__}; use torch.as_tensor(partner)."
        )
    if partner.is_floating_point() or partner.dtype == torch.bool:
        raise TypeError(f"partner must hold integers, got {partner.dtype}; pass plan.partner.")
    if partner.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"partner must have shape ({n},), one index per sample, got {tuple(partner.shape)}; "
            "pass the plan.partner of this batch."
        )
    if partner.device != y1.device:
        raise ValueError(
            f"partner must be on the device of the labels, {y1.device}, got {partner.device}; "
            "use partner.to(…)."
        )
    partner = partner.detach().reshape(n).long()
    if partner.device.type == "cpu" and n and not torch.compiler.is_compiling():
        low, high = (bound.item() for bound in partner.aminmax())
        if low < 0 or high >= n:
            raise ValueError(
                f"partner must lie in [0, {n}), got indices from {low} to {high}; if the end of "
                "the batch was cut off, drop the last batch instead."
            )
    return partner

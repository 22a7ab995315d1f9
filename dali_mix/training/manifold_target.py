"""ManifoldTarget: a MixTarget with the partners, for mixing inside the model. See manifold.py."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NoReturn

from torch import Tensor

from dali_mix.training.batch_target import as_labels, check_part, check_range, is_integer
from dali_mix.training.mix_target import MixTarget, PairTarget

__all__ = ["ManifoldTarget"]


class ManifoldTarget(PairTarget, namedtuple("_Four", "y1 y2 lam partner")):  # type: ignore[misc]
    """The target of a batch of N samples whose hidden activations are to be mixed.

    y1, y2, lam: as in MixTarget
    partner:     (N,) or (N, 1) integers in [0, N); becomes (N,) int64

    `MixLoss` and the metrics take it as it is; `target.mix` is its MixTarget. It cannot be split.
    The DALI pipeline emits the four parts beside pixels that are not mixed:

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
    the CPU only.
    """

    __slots__ = ()
    partner: Tensor

    def __new__(
        cls, y1: Any, y2: Any = None, lam: Any = None, partner: Any = None
    ) -> ManifoldTarget:
        return cls._rebuilt(y1, y2, lam, partner)

    @staticmethod
    def _checked(*parts: Any) -> tuple[Tensor, ...]:
        y1, y2, lam = PairTarget._checked(*parts[:3])
        return y1, y2, lam, _checked_partner(parts[3], y1)

    def __repr__(self) -> str:
        return f"ManifoldTarget({repr(self.mix)[10:-1]}, partner={tuple(self.partner.shape)})"

    @property
    def mix(self) -> MixTarget:
        """The MixTarget of the same batch."""
        return MixTarget._make(self[:3])

    def split(self, *_: object) -> NoReturn:
        """Refused: partners are found in the whole batch."""
        raise TypeError(
            "a ManifoldTarget cannot be split, as its samples have partners in the whole batch. "
            "Draw a plan for each micro-batch, or split target.mix after the forward pass."
        )

    narrow = split  # type: ignore[assignment]


def _checked_partner(partner: Tensor, y1: Tensor) -> Tensor:
    n = y1.shape[0]
    check_part("partner", partner, y1, ((n,), (n, 1)), "one index per sample")
    if not is_integer(partner):
        raise TypeError(f"partner must hold integers, got {partner.dtype}; pass plan.partner.")
    partner = as_labels(partner.detach())
    sentence = "if the end of the batch was cut off, drop the last batch instead."
    check_range(partner, 0, n - 1, f"partner must lie in [0, {n}), got indices {{}}; {sentence}")
    return partner

"""The labels of the plan: paired, stacked or blended."""

from __future__ import annotations

import functools
from typing import Any

from dali_mix.graph.mode import Mode
from dali_mix.plan import Plan


class Labels:
    """The functions for one mode."""

    _mode: Mode

    def pair_labels(
        self, labels: Any, plan: Plan, *, second: Any = None, images: int = 2
    ) -> tuple[Any, ...]:
        """Own labels, and those of the partners.

        labels:  batch of any kind; second: that of the other batch, where the plan points into it
        images:  K, how many images one sample mixes
        returns: (y1, y2), or K batches, each of the shape and type of `labels`, on its device

        A ValueError, when the pipeline runs, if the plan mixes another number of images.
        """
        of = functools.partial(self._mode.gather, labels, second, plan.partner, images=images)
        return (labels, *(of(k) for k in range(images - 1)))

    def blend_labels(self, labels: Any, plan: Plan, *, second: Any = None, images: int = 2) -> Any:
        """lam * y1 + (1 - lam) * y2, for label vectors and numbers; or the sum over K labels.

        labels:  batch of float vectors or numbers, (C,) or (), on the CPU; plan, second and images:
                 as in `pair_labels`
        returns: float32 batch of their shape
        """
        ys = self.pair_labels(labels, plan, second=second, images=images)
        if images == 2:
            return ys[0] * plan.lam + ys[1] * (1 - plan.lam)
        shares = [self._mode.element(plan.lam, k) for k in range(images)]
        return sum(ys[k] * shares[k] for k in range(1, images)) + ys[0] * shares[0]

    def _targets(
        self, labels: Any, second: Any, plan: Plan, images: Any, count: int
    ) -> tuple[Any, ...]:
        """(y1, y2, lam), or (ys, weights) of more than two images, on the device of `images`."""
        place_like = self._mode.place_like

        def of(part: Any, other: Any) -> Any:
            ys = self.pair_labels(part, plan, second=other, images=count)
            if count > 2:
                return place_like(self._mode.ops.stack(*ys), images)
            return tuple(place_like(y, images) for y in ys)

        lam = place_like(plan.lam, images)
        if not isinstance(labels, (tuple, list)):
            ys = of(labels, second)
            return (ys, lam) if count > 2 else (*ys, lam)
        others = [None] * len(labels) if second is None else second
        parts = [of(labels[k], others[k]) for k in range(len(labels))]
        if count > 2:
            return tuple(parts), lam
        return tuple(own for own, _ in parts), tuple(partner for _, partner in parts), lam

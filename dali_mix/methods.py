"""The methods: validated parameters, no DALI. How they mix: the operators and the reference."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, ClassVar


def _check_alpha(method: str, alpha: Any) -> None:
    """Numbers are checked here; a DALI tensor is checked by the operator, sample by sample."""
    if isinstance(alpha, numbers.Real) and not 0 <= float(alpha) < math.inf:
        raise ValueError(
            f"alpha of {method} must be finite and not negative (0 switches it off), got {alpha}."
        )


@dataclass(frozen=True)
class MixUp:
    """Blend the whole image with its partner (Zhang et al. 2018, mixup, eq. 1).

    alpha: lam is drawn from Beta(alpha, alpha); a finite number >= 0 (0: off), or a DALI tensor
           with one value per sample. The paper uses 0.1 to 0.4 on ImageNet.
    fold:  replace a draw t by max(t, 1 - t), so that the own image dominates and two images of a
           pair do not come out as near-duplicates (fastai's practice); False is the paper's law.
    """

    alpha: Any = 0.4
    fold: bool = True
    name: ClassVar[str] = "mixup"

    def __post_init__(self) -> None:
        _check_alpha("MixUp", self.alpha)


@dataclass(frozen=True)
class CutMix:
    """Show the partner inside a box (Yun et al. 2019, CutMix, eq. 1 and 2).

    alpha: the share t that the box is to leave is drawn from Beta(alpha, alpha); a finite number
           >= 0 (0: off), or a DALI tensor with one value per sample. The paper uses 1.
    fold:  replace t by max(t, 1 - t); False is the paper's law.

    The box has sides sqrt(1 - t) of the image's, its centre is uniform over the pixels, and it is
    clipped to the image; lam is the share of own pixels that is counted afterwards.
    """

    alpha: Any = 1.0
    fold: bool = False
    name: ClassVar[str] = "cutmix"

    def __post_init__(self) -> None:
        _check_alpha("CutMix", self.alpha)


Method = MixUp | CutMix

"""The mixing methods and their parameters. Loads no DALI.

A method gives the own image a weight m at every pixel: x = m*own + (1-m)*partner. The plan counts
lam as the mean of m, whatever was drawn. Numbers are checked here. DALI tensors are checked by the
operator, sample by sample.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from dali_mix.methods.method import (
    Method,
    check_flag,
    check_interval,
    check_sides,
    check_whole,
    check_word,
    named_fields,
)
from dali_mix.methods.several import RICAP, Mosaic, MultiMix

__all__ = [
    "METHODS",
    "RICAP",
    "CutMix",
    "FMix",
    "GridMix",
    "Method",
    "MixUp",
    "Mosaic",
    "MultiMix",
    "PatchMix",
    "ResizeMix",
    "SmoothMix",
]

PLACES = ("center", "inside", "uniform")
EXTENTS = ("space", "time", "space-time")
SHAPES = ("box", "patches")
MOST_BOXES = 8


@named_fields
@dataclass(frozen=True)
class MixUp(Method):
    """Blend the whole image with its partner (Zhang et al. 2018, mixup, eq. 1).

    alpha: lam is drawn from Beta(alpha, alpha); a finite number >= 0 (0: off), or a DALI tensor
           with one value per sample. The paper uses 0.1 to 0.4 on ImageNet.
    fold:  replace a draw t by max(t, 1 - t), so that the own image dominates and two images of a
           pair do not come out as near-duplicates (fastai's practice); False is the paper's law.
    uniform: (low, high) in [0, 1]: lam is uniform in this range, and alpha and fold are not used
           (detectors such as DEIM and D-FINE: (0.45, 0.55))
    overlap: images may have sizes of their own. The two of a pair lie centre on centre, and the
           partner is blended in where it reaches; lam is counted over the whole own image (timm's
           NaFlexMixup). Such a plan draws `offset` and `box_blend`
    """

    alpha: Any = 0.4
    _: KW_ONLY
    fold: bool = True
    uniform: tuple[float, float] | None = None
    overlap: bool = False
    name: ClassVar[str] = "mixup"

    def check(self) -> None:
        check_flag(self, "overlap")
        if self.uniform is not None:
            check_interval(self, "uniform", 0, 1)

    def options(self) -> dict[str, Any]:
        given = {} if self.uniform is None else {"uniform": self.uniform}
        return given | ({"overlap": "true"} if self.overlap else {})

    def columns(self) -> tuple[str, ...]:
        return ("offset", "box_blend") if self.overlap else ()


@named_fields
@dataclass(frozen=True)
class CutMix(Method):
    """Show the partner inside a box (Yun et al. 2019, CutMix, eq. 1 and 2).

    alpha:  the share t of the own image is drawn from Beta(alpha, alpha); a finite number >= 0
            (0: off), or a DALI tensor with one value per sample. The paper uses 1.
    fold:   replace t by max(t, 1 - t); False is the paper's law.
    place:  "center" (the paper's law): the centre is uniform over the pixels, and the box is
            clipped; "inside": the whole box lies in the image, uniform over all such places (timm's
            minmax, kornia); "uniform": the box is clipped, and every pixel is covered equally often
            (Composer's uniform_sampling)
    minmax: (low, high): each side of the box is drawn from this range, as a share of the image's
            side, and alpha is not used (timm's cutmix_minmax, with place="inside")
    aspect: (low, high): range of the box's height over its width, relative to the image's; drawn
            log-uniformly. (1, 1): the shape of the image
    boxes:  number of boxes, 1 to 8. Each takes an equal part of the share 1 - t; lam is counted
            from their union
    overlap: images may have sizes of their own. The two of a pair lie centre on centre, and the box
            lies where both are; lam is counted over the whole own image (timm's NaFlexMixup). Such
            a plan draws `offset`
    extent: what is cut out of videos and volumes (Yun et al. 2020, VideoMix): "space", the box in
            every frame; "time", whole frames; "space-time", a box in some frames, each of its
            three sides (1 - t)^(1/3) of the whole

    Sides are sqrt(1 - t) of the image's, rounded down; lam is counted after clipping.
    """

    alpha: Any = 1.0
    _: KW_ONLY
    fold: bool = False
    place: str = "center"
    minmax: tuple[float, float] | None = None
    aspect: tuple[float, float] = (1.0, 1.0)
    boxes: int = 1
    extent: str = "space"
    overlap: bool = False
    name: ClassVar[str] = "cutmix"

    def check(self) -> None:
        check_flag(self, "overlap")
        check_word(self, "place", PLACES)
        check_word(self, "extent", EXTENTS)
        check_whole(self, "boxes", 1, MOST_BOXES)
        check_interval(self, "aspect", 0, math.inf, above=True)
        if self.minmax is not None:
            check_interval(self, "minmax", 0, 1, above=True)
            if self.boxes > 1:
                raise ValueError(f"boxes of CutMix must be 1 with minmax, got {self.boxes}.")

    def options(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("place", "aspect", "boxes", "extent")}
        given |= {} if self.minmax is None else {"minmax": self.minmax}
        return given | ({"overlap": "true"} if self.overlap else {})

    def columns(self) -> tuple[str, ...]:
        frames = () if self.extent == "space" else ("frames",)
        return (*frames, *(("offset",) if self.overlap else ()))


@named_fields
@dataclass(frozen=True)
class ResizeMix(Method):
    """Show the whole partner, made smaller, inside a box (Qin et al. 2020, ResizeMix, eq. 3).

    scope: (low, high) in [0, 1]: both sides of the box are the same share of the image's sides,
           drawn from this range; the paper uses (0.1, 0.8)

    The box lies inside the image, uniform over all such places.
    """

    scope: tuple[float, float] = (0.1, 0.8)
    name: ClassVar[str] = "resizemix"
    draws: ClassVar[tuple[str, ...]] = ("fit",)

    def check(self) -> None:
        check_interval(self, "scope", 0, 1)

    def options(self) -> dict[str, Any]:
        return {"scope": self.scope}


@named_fields
@dataclass(frozen=True)
class PatchMix(Method):
    """CutMix in whole patches, for vision transformers: no token sees two images.

    alpha: the share t of the own image is drawn from Beta(alpha, alpha), as in CutMix
    fold:  replace t by max(t, 1 - t)
    patch: side of a patch in pixels, or (height, width); must divide the output
    shape: "box": the box of CutMix, in whole patches; "patches": single patches, their number the
           nearest to 1 - t of all, each choice equally likely (as TokenMix, Liu et al. 2022,
           without its attention-based labels)
    place: place of the box, as in CutMix
    """

    _: KW_ONLY
    alpha: Any = 1.0
    fold: bool = False
    patch: int | tuple[int, int] = 16
    shape: str = "box"
    place: str = "center"
    name: ClassVar[str] = "patchmix"
    rival: ClassVar[str] = "patch"

    def check(self) -> None:
        check_word(self, "shape", SHAPES)
        check_word(self, "place", PLACES)
        check_sides(self, "patch")

    def options(self) -> dict[str, Any]:
        sides = self.patch if isinstance(self.patch, tuple) else (self.patch, self.patch)
        return {"patch": sides, "shape": self.shape, "place": self.place}

    def columns(self) -> tuple[str, ...]:
        return ("mask",) if self.shape == "patches" else ()


@named_fields
@dataclass(frozen=True)
class GridMix(Method):
    """Show the partner through a grid of holes (OpenMixup's GridMix).

    alpha: the share t of the own image is drawn from Beta(alpha, alpha)
    fold:  replace t by max(t, 1 - t)
    holes: (low, high): number of tiles along each side, drawn uniformly. A tile's hole has
           sqrt(1 - t) of its sides. The grid begins anywhere within a tile
    """

    alpha: Any = 1.0
    _: KW_ONLY
    fold: bool = False
    holes: tuple[int, int] = (2, 6)
    name: ClassVar[str] = "gridmix"
    rival: ClassVar[str] = "holes"
    draws: ClassVar[tuple[str, ...]] = ("mask",)

    def check(self) -> None:
        check_interval(self, "holes", 1, 1000, whole=True)

    def options(self) -> dict[str, Any]:
        return {"holes": self.holes}


@named_fields
@dataclass(frozen=True)
class FMix(Method):
    """Show the partner in patches of any shape, where Fourier noise is low (Harris et al. 2020).

    alpha: the share t of the own image is drawn from Beta(alpha, alpha); the paper uses 1
    fold:  replace t by max(t, 1 - t)
    decay: amplitudes of the noise fall with this power of the frequency, 1.5 to 20; the paper
           uses 3
    """

    alpha: Any = 1.0
    _: KW_ONLY
    fold: bool = False
    decay: float = 3.0
    name: ClassVar[str] = "fmix"
    rival: ClassVar[str] = "decay"
    draws: ClassVar[tuple[str, ...]] = ("mask",)

    def check(self) -> None:
        if not (isinstance(self.decay, numbers.Real) and 1.5 <= float(self.decay) <= 20):
            raise ValueError(f"decay of FMix must be in [1.5, 20], got {self.decay!r}.")

    def options(self) -> dict[str, Any]:
        return {"decay": self.decay}


@named_fields
@dataclass(frozen=True)
class SmoothMix(Method):
    """Blend the partner in by a Gaussian bell around any pixel (Lee et al. 2020, SmoothMix).

    sigma: (low, high): standard deviation of the bell along each side of the image, as a share of
           that side; drawn uniformly for each side. OpenMixup uses (0.25, 0.5)

    Weights are rounded to 1/255, and lam is the mean of the rounded weights.
    """

    sigma: tuple[float, float] = (0.25, 0.5)
    name: ClassVar[str] = "smoothmix"
    draws: ClassVar[tuple[str, ...]] = ("mask",)

    def check(self) -> None:
        check_interval(self, "sigma", 0, math.inf, above=True)

    def options(self) -> dict[str, Any]:
        return {"sigma": self.sigma}


METHODS: tuple[type[Method], ...] = (
    MixUp,
    CutMix,
    ResizeMix,
    PatchMix,
    GridMix,
    FMix,
    SmoothMix,
    MultiMix,
    RICAP,
    Mosaic,
)

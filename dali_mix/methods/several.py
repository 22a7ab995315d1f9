"""Methods that mix more than two images in one sample. Loads no DALI."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from dali_mix.methods.method import (
    Method,
    check_flag,
    check_sides,
    check_values,
    check_whole,
    named_fields,
)

MOST_IMAGES = 8


@named_fields
@dataclass(frozen=True)
class MultiMix(Method):
    """Blend K images with weights from a Dirichlet distribution: mixup of more than two images.

    alpha:  the weights are drawn from Dirichlet(alpha, …, alpha); with K = 2 this is MixUp's law
    fold:   give the own image the largest weight
    images: K, 2 to 8
    """

    alpha: Any = 1.0
    _: KW_ONLY
    fold: bool = True
    images: int = 3
    name: ClassVar[str] = "multimix"
    rival: ClassVar[str] = "images"

    def check(self) -> None:
        check_whole(self, "images", 2, MOST_IMAGES)

    def options(self) -> dict[str, Any]:
        return {"images": self.images}


@named_fields
@dataclass(frozen=True)
class RICAP(Method):
    """Four images around one point, with labels by area (Takahashi et al. 2018, RICAP).

    alpha: the place of the point along each side is drawn from Beta(alpha, alpha); the paper uses
           0.3

    The own image takes one of the four corners, and shows its own pixels of that corner. The other
    images are cropped anywhere.
    """

    alpha: Any = 0.3
    name: ClassVar[str] = "ricap"
    images = 4
    draws: ClassVar[tuple[str, ...]] = ("offset",)


@named_fields
@dataclass(frozen=True)
class Mosaic(Method):
    """Four images of any sizes around one point of a canvas (Bochkovskiy et al. 2020, YOLOv4).

    canvas:  (height, width) in pixels, or one number for both. The whole mosaic has twice these
             sides. The point that the images meet in is uniform in the middle half of each side
    cropped: the output is a part of the mosaic of the size of `canvas`, anywhere in it; else the
             whole mosaic
    fill:    value of the pixels that no image covers, one for all channels or one for each

    The own image lies above the point and left of it, the partners are right, below, and both. Each
    has a corner at the point; what leaves the canvas is cut. An unmixed image lies alone in the
    middle. lam is the share of the canvas that shows each image; the canvas has the rest.
    """

    canvas: int | tuple[int, int] = 640
    _: KW_ONLY
    cropped: bool = False
    fill: float | tuple[float, ...] = 114.0
    name: ClassVar[str] = "mosaic"
    images = 4
    draws: ClassVar[tuple[str, ...]] = ("offset", "fill", "view")

    def check(self) -> None:
        check_sides(self, "canvas")
        check_flag(self, "cropped")
        check_values(self, "fill")

    def options(self) -> dict[str, Any]:
        sides = self.canvas if isinstance(self.canvas, tuple) else (self.canvas, self.canvas)
        return {"canvas": sides, "cropped": str(bool(self.cropped)).lower(), "fill": self.fill}

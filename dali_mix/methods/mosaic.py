"""Methods that place images on a canvas, for detection. Loads no DALI."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from dali_mix.methods.method import Method, check_flag, check_sides, check_values, named_fields


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
        return {"canvas": sides, "cropped": int(self.cropped), "fill": self.fill}

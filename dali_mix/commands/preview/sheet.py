"""Draws contact sheets of mixed images with Pillow: own, partners, mixed, lam and labels.

It uses neither DALI nor files; `dali_mix.commands.preview.command` passes the images.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Box", "Row", "contact_sheet"]

_INK, _FAINT, _PAPER = "#1f2328", "#6e7781", "#ffffff"
_COLORS = (
    "#0969da",  # own
    "#d1570a",  # and up to seven partners
    "#1a7f37",
    "#8250df",
    "#bf3989",
    "#9a6700",
    "#0f7b8a",
    "#57606a",
)
_OBJECT = "#ffd400"  # bounding boxes, before they are mixed
_MARGIN, _GAP = 32, 12
_BAR, _LINE, _SMALL, _LARGE = 8, 24, 15, 24
_SHORTEST, _LONGEST = 160, 320  # side of a picture on the sheet, in pixels
_ROWS_IN_ONE_COLUMN = 3
_HINTS = (
    "An image, its partner, both mixed, and the label of the mix.",
    "lam: share of the own label. Each row is a telling draw of many.",
)

Edges = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in pixels of an image, half-open."""
Line = tuple[str, str]
"""Text and its color."""


class Box(NamedTuple):
    """Where an image shows."""

    image: int
    """Index of the image in the row's pictures."""
    edges: Edges
    """The box in the mixed image."""
    source: Edges
    """The part of the partner that shows there."""


@dataclass(frozen=True)
class Row:
    """One mixed image and the K images that it was mixed from, the own one first."""

    pictures: Sequence[Any]
    """K images, (H, W, 3) uint8."""
    labels: Sequence[str]
    """K labels."""
    shares: Sequence[float]
    """K weights of the labels."""
    counted: Sequence[float]
    """K counted shares of the images in the mixed one."""
    mixed: Any
    """(H, W, 3) uint8."""
    boxes: Sequence[Box] = field(default=())
    method: str = "mixed"
    """The text above the mixed image."""
    objects: Sequence[Sequence[Edges]] = field(default=())
    """Bounding boxes in each of the K images, or none."""
    kept: Sequence[tuple[int, Edges]] = field(default=())
    """Those of the mixed image, each with the index of its image in the row's pictures."""


def contact_sheet(rows: Sequence[Row], title: str = "") -> Any:
    """Draw one row of three pictures for each of `rows`.

    title:   text above the rows. Two lines on what they show follow it, and many rows take two
             columns. Without a title there are only the rows, as for a README
    returns: a PIL image. Blue is the own image, other colors are partners; boxes are outlined.
    """
    columns = 2 if title and len(rows) > _ROWS_IN_ONE_COLUMN else 1
    lines = [rows[start : start + columns] for start in range(0, len(rows), columns)]
    width, height = _picture_size(rows[0].mixed)
    cell_width = 3 * width + 2 * _GAP
    # The text below has a line for each label, and one for the counted shares.
    texts = [max(len(row.labels) for row in line) + 1 for line in lines]
    heights = [_LINE + height + 4 + _BAR + 6 + text * _LINE + _MARGIN for text in texts]
    y = _MARGIN + (_LARGE + _GAP + len(_HINTS) * _LINE + _MARGIN if title else 0)
    sheet = Image.new("RGB", (columns * (cell_width + _MARGIN) + _MARGIN, y + sum(heights)), _PAPER)
    if title:
        _draw_title(ImageDraw.Draw(sheet), title, sheet.width - 2 * _MARGIN)
    for line, step in zip(lines, heights, strict=True):
        for column, row in enumerate(line):
            _draw_row(sheet, row, (_MARGIN + column * (cell_width + _MARGIN), y), (width, height))
        y += step
    return sheet


def _draw_title(draw: Any, title: str, width: int) -> None:
    _text(draw, (_MARGIN, _MARGIN), title, _INK, width, _LARGE)
    for k, hint in enumerate(_HINTS):
        _text(draw, (_MARGIN, _MARGIN + _LARGE + _GAP + k * _LINE), hint, _FAINT, width)


def _picture_size(image: Any) -> tuple[int, int]:
    """Width and height on the sheet. Small images grow by a whole factor; large ones shrink."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > _LONGEST:
        return max(1, width * _LONGEST // longest), max(1, height * _LONGEST // longest)
    factor = max(1, -(-_SHORTEST // longest))
    return width * factor, height * factor


def _draw_row(sheet: Any, row: Row, corner: tuple[int, int], size: tuple[int, int]) -> None:
    x, y = corner
    width, height = size
    below = y + _LINE + height + 4
    step = width + _GAP
    draw = ImageDraw.Draw(sheet)
    partner = "partners" if len(row.pictures) > 2 else "partner"
    for place, heading in enumerate(("own image", partner, row.method)):
        _text(draw, (x + place * step, y), heading, _FAINT, width)
    _draw_picture(sheet, row, 0, (x, y + _LINE), size)
    _draw_partners(sheet, row, (x + step, y + _LINE), size)
    _draw_mixed(sheet, row, (x + 2 * step, y + _LINE), size)
    labels = list(zip(row.labels, _COLORS, strict=False))
    _draw_below(draw, (x, below), width, [1.0], labels[:1])
    partners = len(labels) - 1
    _draw_below(draw, (x + step, below), width, [0.0] + [1 / partners] * partners, labels[1:])
    _draw_below(draw, (x + 2 * step, below), width, row.shares, _share_lines(row))


def _share_lines(row: Row) -> list[Line]:
    lines = [
        (f"{100 * share:.1f} % {label}", color)
        for share, label, color in zip(_adding_up(row.shares), row.labels, _COLORS, strict=False)
    ]
    counted = [f"{share:.3f}" for share in _adding_up(row.counted)]
    if len(counted) > 2:
        return [*lines, (f"counted {' '.join(counted)}", _FAINT)]
    # If there are two shares, one tells the other.
    return [*lines, (f"lam {row.shares[0]:.3f}, counted {counted[0]}", _FAINT)]


def _adding_up(shares: Sequence[float]) -> list[float]:
    """Shares rounded to three places. The largest is changed so that they still add up: to 1, or on
    a canvas to less."""
    rounded = [round(share, 3) for share in shares]
    largest = rounded.index(max(rounded))
    rounded[largest] += round(sum(shares), 3) - sum(rounded)
    return rounded


def _draw_partners(sheet: Any, row: Row, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """Draw one partner in full size, or several as a grid of that size."""
    partners = len(row.pictures) - 1
    side = math.ceil(math.sqrt(partners))
    gap = 0 if side == 1 else 4
    width, height = (max(1, (length - gap * (side - 1)) // side) for length in size)
    for k in range(partners):
        line, column = divmod(k, side)
        place = corner[0] + column * (width + gap), corner[1] + line * (height + gap)
        _draw_picture(sheet, row, k + 1, place, (width, height))


def _draw_picture(
    sheet: Any, row: Row, which: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Draw one of the images before mixing, with an outline around the part that shows."""
    pixels = row.pictures[which]
    _paste(sheet, pixels, corner, size)
    factor = size[0] / pixels.shape[1]
    for box in row.boxes:
        if box.image == which:
            _outline(sheet, box.source, corner, factor, _COLORS[which])
    for edges in row.objects[which] if row.objects else ():
        _outline(sheet, edges, corner, factor, _OBJECT)


def _draw_mixed(sheet: Any, row: Row, corner: tuple[int, int], size: tuple[int, int]) -> None:
    _paste(sheet, row.mixed, corner, size)
    factor = size[0] / row.mixed.shape[1]
    for box in row.boxes:
        _outline(sheet, box.edges, corner, factor, _COLORS[box.image])
    for which, edges in row.kept:
        _outline(sheet, edges, corner, factor, _COLORS[which])


def _paste(sheet: Any, pixels: Any, corner: tuple[int, int], size: tuple[int, int]) -> None:
    kind = Image.Resampling.NEAREST if size[0] > pixels.shape[1] else Image.Resampling.LANCZOS
    sheet.paste(Image.fromarray(pixels).resize(size, kind), corner)


def _draw_below(
    draw: Any, corner: tuple[int, int], width: int, shares: Sequence[float], lines: Sequence[Line]
) -> None:
    """Draw a bar with the share of each image, and lines of text below it."""
    x, y = corner
    edge, done = x, 0.0
    for share, color in zip(shares, _COLORS, strict=False):
        done += share
        split = x + round(done * width)
        if split > edge:
            draw.rectangle((edge, y, split - 1, y + _BAR - 1), fill=color)
        edge = max(edge, split)
    y += _BAR + 6
    for text, color in lines:
        _text(draw, (x, y), text, color, width)
        y += _LINE


def _outline(sheet: Any, box: Edges, corner: tuple[int, int], factor: float, color: str) -> None:
    """Outline a box in white and in `color`, so that it shows on any picture."""
    draw = ImageDraw.Draw(sheet)
    x, y = corner
    top, left, bottom, right = (round(edge * factor) for edge in box)
    if right > left and bottom > top:
        draw.rectangle((x + left, y + top, x + right - 1, y + bottom - 1), outline=_PAPER, width=1)
    if right - left > 2 and bottom - top > 2:
        draw.rectangle((x + left + 1, y + top + 1, x + right - 2, y + bottom - 2), outline=color)


def _text(
    draw: Any, corner: tuple[int, int], text: str, color: str, width: int, size: int = _SMALL
) -> None:
    """Draw one line of text. If it is wider than `width`, an ellipsis ends it."""
    font = ImageFont.load_default(size)
    text = _drawable(text)
    whole = text
    while text and draw.textlength(text if text == whole else text + "…", font=font) > width:
        text = text[:-1]
    draw.text(corner, text if text == whole else text + "…", fill=color, font=font)


def _drawable(text: str) -> str:
    """The text in the letters of Pillow's font, which has no accents; the rest becomes "?"."""
    plain = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)

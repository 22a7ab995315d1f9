"""Draws contact sheets of mixed images with Pillow: own, partner, mixed, lam and labels.

It knows neither DALI nor files; `dali_mix.preview` supplies the images.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Row", "contact_sheet"]

_INK, _FAINT, _PAPER = "#1f2328", "#6e7781", "#ffffff"
_OWN, _PARTNER = "#0969da", "#d1570a"
_MARGIN, _GAP = 32, 12
_BAR, _LINE, _SMALL, _LARGE = 8, 24, 15, 24
_SHORTEST, _LONGEST = 160, 320  # side of a picture on the sheet, in pixels
_ROWS_IN_ONE_COLUMN = 3


@dataclass(frozen=True)
class Row:
    """One mixed image and where it comes from."""

    own: Any
    """(H, W, 3) uint8, like partner and mixed."""
    partner: Any
    mixed: Any
    lam: float
    """Weight of the own label, in [0, 1]."""
    own_label: str
    partner_label: str
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    """(y0, x0, y1, x1) in pixels of the image; all zero: no box."""
    method: str = "mixed"
    """Stands above the mixed image."""


def contact_sheet(rows: Sequence[Row], title: str) -> Any:
    """Draw one row of three pictures for each of `rows`, in one or two columns.

    returns: a PIL image. Blue is the own image, orange the partner; boxes are outlined.
    """
    columns = 1 if len(rows) <= _ROWS_IN_ONE_COLUMN else 2
    lines = -(-len(rows) // columns)
    width, height = _picture_size(rows[0].own)
    cell_width = 3 * width + 2 * _GAP
    cell_height = _LINE + height + 4 + _BAR + 6 + 2 * _LINE
    top = _MARGIN + _LARGE + _MARGIN
    whole = (
        columns * (cell_width + _MARGIN) + _MARGIN,
        top + lines * (cell_height + _MARGIN),
    )
    sheet = Image.new("RGB", whole, _PAPER)
    room = sheet.width - 2 * _MARGIN
    _text(ImageDraw.Draw(sheet), (_MARGIN, _MARGIN), title, _INK, room, _LARGE)
    for place, row in enumerate(rows):
        column, line = divmod(place, lines)
        x = _MARGIN + column * (cell_width + _MARGIN)
        y = top + line * (cell_height + _MARGIN)
        _draw_row(sheet, row, (x, y), (width, height))
    return sheet


def _picture_size(image: Any) -> tuple[int, int]:
    """Width and height on the sheet: small images grow by a whole factor, large ones shrink."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > _LONGEST:
        return max(1, width * _LONGEST // longest), max(1, height * _LONGEST // longest)
    factor = max(1, -(-_SHORTEST // longest))
    return width * factor, height * factor


def _draw_row(sheet: Any, row: Row, corner: tuple[int, int], size: tuple[int, int]) -> None:
    lam = f"{row.lam:.2f}"
    own = [(row.own_label, _OWN)]
    partner = [(row.partner_label, _PARTNER)]
    # Rounded together, so that the two shares add up.
    shares = [
        (f"{lam} of {row.own_label}", _OWN),
        (f"{1 - float(lam):.2f} of {row.partner_label}", _PARTNER),
    ]
    cells = (
        (row.own, "own", 1.0, own, None),
        (row.partner, "partner", 0.0, partner, row.box),
        (row.mixed, f"{row.method}, lam {lam}", row.lam, shares, row.box),
    )
    x, y = corner
    for pixels, heading, share, labels, box in cells:
        _draw_cell(sheet, (x, y), size, pixels, heading, share, labels, box)
        x += size[0] + _GAP


def _draw_cell(
    sheet: Any,
    corner: tuple[int, int],
    size: tuple[int, int],
    pixels: Any,
    heading: str,
    share: float,
    labels: Sequence[tuple[str, str]],
    box: tuple[int, int, int, int] | None,
) -> None:
    """A heading, the picture, a bar that shows the share of the own image, and lines of text."""
    draw = ImageDraw.Draw(sheet)
    x, y = corner
    width, height = size
    _text(draw, (x, y), heading, _FAINT, width)
    y += _LINE
    kind = Image.Resampling.NEAREST if width > pixels.shape[1] else Image.Resampling.LANCZOS
    sheet.paste(Image.fromarray(pixels).resize(size, kind), (x, y))
    if box is not None and any(box):
        _outline(draw, box, (x, y), width / pixels.shape[1])
    y += height + 4
    split = x + round(share * width)
    if split > x:
        draw.rectangle((x, y, split - 1, y + _BAR - 1), fill=_OWN)
    if split < x + width:
        draw.rectangle((split, y, x + width - 1, y + _BAR - 1), fill=_PARTNER)
    y += _BAR + 6
    for text, color in labels:
        _text(draw, (x, y), text, color, width)
        y += _LINE


def _outline(
    draw: Any, box: tuple[int, int, int, int], corner: tuple[int, int], factor: float
) -> None:
    """The box in white and orange, so that it shows on any picture."""
    x, y = corner
    top, left, bottom, right = (round(edge * factor) for edge in box)
    draw.rectangle((x + left, y + top, x + right - 1, y + bottom - 1), outline=_PAPER, width=1)
    if right - left > 2 and bottom - top > 2:
        draw.rectangle((x + left + 1, y + top + 1, x + right - 2, y + bottom - 2), outline=_PARTNER)


def _text(
    draw: Any, corner: tuple[int, int], text: str, color: str, width: int, size: int = _SMALL
) -> None:
    """One line, cut off with an ellipsis where it is wider than `width`."""
    font = ImageFont.load_default(size)
    text = _drawable(text)
    whole = text
    while text and draw.textlength(text if text == whole else text + "…", font=font) > width:
        text = text[:-1]
    draw.text(corner, text if text == whole else text + "…", fill=color, font=font)


def _drawable(text: str) -> str:
    """Pillow's own font has letters without accents only; the rest becomes a question mark."""
    plain = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)

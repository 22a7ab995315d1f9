"""Random batches of images on canvases, for `apply`, always valid; and mosaics painted as YOLO
paints them, by a program that knows no plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from helpers import PerSample
from layered import NO_BOX, Batch, plan_for
from random_batches import EDGES, Form, Picks, interval, random_window


def random_canvas(pick: Picks, **fixed: Any) -> Batch:
    """A random batch. `fixed`: attributes of `random_batches.Form` that are not drawn."""
    plain: dict[str, Any] = {"mask": False, "fit": False, "boxes": 1, "offset": True}
    form = Form(pick, **(plain | {"images": pick.integer(2, 7)} | fixed))
    inputs = []
    for _ in range(2 if form.others else 1):
        sizes = [(pick.integer(1, 12), pick.one_of(EDGES[1:])) for _ in range(form.count)]
        if form.crop:
            sizes = [tuple(n + pick.integer(0, 9) for n in form.size) for _ in sizes]
        inputs.append((sizes, [form.array(pick, size) for size in sizes]))
    extents = [form.size if form.crop else size for sizes, _ in inputs for size in sizes]
    columns: dict[str, list] = {"size": [], "partner": [], "box": [], "offset": []}
    size_of_all = [(pick.integer(1, 12), pick.one_of(EDGES[1:])) for _ in range(form.count)]
    for i, size in enumerate(size_of_all):
        partners = [pick.integer(0, len(extents) - 1) for _ in range(form.images - 1)]
        placed = [random_place(pick, size, extents[j]) for j in [i, *partners]]
        columns["size"].append(([form.frames] if form.frames else []) + list(size))
        columns["partner"].append(partners if form.images > 2 else partners[0])
        columns["box"].append([box for box, _ in placed])
        columns["offset"].append([offset for _, offset in placed])
    values = pick.one_of([1, form.channels])
    fill = [[pick.one_of([0, 114, 255, 3.5, -7]) for _ in range(values)] for _ in extents]
    per_sample = {name: PerSample(rows) for name, rows in columns.items()}
    plan = plan_for(form.count, fill=PerSample(fill[: form.count]), **per_sample)
    return Batch(
        inputs[0][1],
        plan,
        others=inputs[1][1] if form.others else None,
        copied=form.copied,
        layout=form.layout,
        output_layout=form.output_layout,
        dtype=form.dtype,
        pad_output=form.pad_output,
        windows=[random_window(pick, form) for _ in range(form.count)],
        normalization=form.normalization(),
    )


def random_place(pick: Picks, canvas: Sequence[int], image: Sequence[int]) -> tuple:
    """A box that shows a part of the image, and its offset."""
    ends = [interval(pick, n, longest) for n, longest in zip(canvas, image, strict=True)]
    (y0, y1), (x0, x1) = ends
    offset = [
        pick.one_of([0, n - (end - begin), pick.integer(0, n - (end - begin))]) - begin
        for (begin, end), n in zip(ends, image, strict=True)
    ]
    return ((y0, x0, y1, x1) if not pick.seldom() else NO_BOX), offset


def paint_mosaic(
    images: Sequence[np.ndarray], point: tuple[int, int], size: tuple[int, int], fill: Any
) -> np.ndarray:
    """Four (H, W, C) images around `point`, (y, x), on a canvas of `size`: pixel by pixel, each
    image from the corner that lies at the point."""
    canvas = np.empty((*size, images[0].shape[-1]), images[0].dtype)
    canvas[:] = fill
    for number, image in enumerate(images):
        above, left = number < 2, number % 2 == 0
        height, width = image.shape[:2]
        for row in range(height):
            y = point[0] - height + row if above else point[0] + row
            for column in range(width) if 0 <= y < size[0] else ():
                x = point[1] - width + column if left else point[1] + column
                if 0 <= x < size[1]:
                    canvas[y, x] = image[row, column]
    return canvas


def move_boxes(
    boxes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    point: tuple[int, int],
    size: tuple[int, int],
    min_visible: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(boxes, labels, shares): the relative boxes (left, top, right, bottom) of the four images,
    moved, clipped to the canvas, and left out if a smaller share than `min_visible` is left."""
    kept: list[tuple] = []
    for number, ((height, width), found, names) in enumerate(
        zip(sizes, boxes, labels, strict=True)
    ):
        y = point[0] - height if number < 2 else point[0]
        x = point[1] - width if number % 2 == 0 else point[1]
        for (left, top, right, bottom), name in zip(found.astype(np.float64), names, strict=True):
            x0, x1 = x + width * left, x + width * right
            y0, y1 = y + height * top, y + height * bottom
            clipped = (max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0]))
            inside = max(clipped[2] - clipped[0], 0) * max(clipped[3] - clipped[1], 0)
            share = inside / ((x1 - x0) * (y1 - y0))
            if inside > 0 and share >= min_visible:
                relative = np.array(clipped) / [size[1], size[0], size[1], size[0]]
                kept.append((relative, name, share))
    return (
        np.array([box for box, _, _ in kept]).reshape(-1, 4),
        np.array([name for _, name, _ in kept], np.int32),
        np.array([share for _, _, share in kept]),
    )

"""Mixes the images of a contact sheet, and counts the share of each image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dali_mix.fn as dmix
from dali_mix.commands.preview.sheet import Box, Edges, Row
from dali_mix.images.decoding import decoder, fault_of_file
from dali_mix.images.names import shown
from dali_mix.methods import Method
from dali_mix.recipes import header_checked

# isort: split
from nvidia.dali import Pipeline, fn, types

_DRAWS = 32
"""Number of draws."""
_KEPT = 4
"""Number of draws that are kept for an image: the most telling ones."""
_TELLING = 0.6
"""Share of the own image at which all images are seen best."""


def rows_of(
    files: Sequence[Path],
    labels: Sequence[str],
    method: Method,
    *,
    size: int,
    seed: int,
    boxes: Sequence[np.ndarray] | None = None,
) -> list[Row]:
    """Mix the images with each other, as one batch, and return a row for each. The row shows a
    telling draw: all images are seen well, and the partner is in no row above, if possible.

    files:  N images of any size
    labels: N names
    boxes:  N arrays (M, 4), relative (left, top, right, bottom): bounding boxes to draw
    """
    try:
        own = _decoded(files, size)
    except (OSError, RuntimeError):
        _name_unusable(files)
        raise
    kept: list[list[tuple[float, list[int], Row]]] = [[] for _ in files]
    for drawn in _draws(own, method, size, seed, boxes):
        for i, best in enumerate(kept):
            dull = _dullness(drawn["counted"][i])
            if len(best) < _KEPT or dull < best[-1][0]:
                best.append((dull, _partners(drawn, i), _row(own, drawn, labels, method.name, i)))
                best.sort(key=lambda one: one[0])
                del best[_KEPT:]
    rows, seen = [], set[int]()
    for best in kept:
        _, partners, row = min(best, key=lambda one: one[0] + (not seen.isdisjoint(one[1])) / 4)
        seen.update(partners)
        rows.append(row)
    return rows


def _dullness(shares: np.ndarray) -> float:
    best = np.full(len(shares), (1 - _TELLING) / (len(shares) - 1))
    best[0] = _TELLING
    return float(np.abs(shares - best).max())


def _partners(drawn: dict[str, Any], i: int) -> list[int]:
    partners: list[int] = np.atleast_1d(drawn["partner"][i]).tolist()
    return partners


def _decoded(files: Sequence[Path], size: int) -> np.ndarray:
    """The decoded images, cut to squares: (N, size, size, 3) uint8."""
    with Pipeline(batch_size=len(files), num_threads=2, device_id=None) as pipeline:
        # DALI's reader would take names in UTF-8 only.
        encoded = fn.external_source(source=[[np.fromfile(file, np.uint8) for file in files]])
        images = fn.decoders.image(header_checked(encoded), output_type=types.RGB)
        images = fn.resize(images, size=size, mode="not_smaller")
        pipeline.set_outputs(fn.crop(images, crop=(size, size)))
    (images,) = pipeline.run()
    return np.array(images.as_tensor())


def _draws(
    own: np.ndarray, method: Method, size: int, seed: int, boxes: Sequence[np.ndarray] | None
) -> Iterator[dict[str, Any]]:
    """Yield each draw by name: mixed images, columns of the plan, counted shares; and if there are
    bounding boxes, for each sample those that are left, and whose images they are of."""
    count = len(own)
    with Pipeline(batch_size=count, num_threads=2, device_id=None, seed=seed) as pipeline:
        images = fn.external_source(source=[own], cycle=True, layout="HWC")
        mixed, plan = dmix.mix(images, None, [method], dtype=types.UINT8, output_layout="HWC")
        found = {name: getattr(plan, name) for name in ("partner", "box", "lam", "offset", "fit")}
        found = {"mixed": mixed} | {k: column for k, column in found.items() if column is not None}
        weights = _weights(plan, method.images, count, size)
        moved = () if boxes is None else _moved(plan, boxes)
        pipeline.set_outputs(*found.values(), *weights, *moved)
    for _ in range(_DRAWS):
        batches = pipeline.run()
        dense = len(found) + len(weights)
        outputs = [np.array(batch.as_tensor()) for batch in batches[:dense]]
        shares = [weight.mean((1, 2, 3), dtype=float) for weight in outputs[len(found) :]]
        drawn: dict[str, Any] = dict(zip(found, outputs, strict=False))
        drawn["counted"] = np.stack(shares, 1)
        if boxes is not None:
            left, owner = ([np.array(one) for one in batch] for batch in batches[dense:])
            drawn |= {"boxes": boxes, "left": left, "owner": owner}
        yield drawn


def _moved(plan: Any, boxes: Sequence[np.ndarray]) -> tuple[Any, Any]:
    """The boxes that are left. The label of a box is the number of its image in the batch."""
    numbers = [np.full(len(rows), i, np.int32) for i, rows in enumerate(boxes)]
    shapes, owners = (
        fn.external_source(source=[list(part)], cycle=True) for part in (boxes, numbers)
    )
    left, owner, _ = dmix.apply_boxes(shapes, owners, plan)
    return left, owner


def _weights(plan: Any, images: int, count: int, size: int) -> list[Any]:
    """The weight of each image of a sample at every pixel: that image white and the others black,
    mixed by the plan."""
    black, white = (
        types.Constant(np.full((size, size, 1), value, np.uint8), layout="HWC")
        for value in (0, 255)
    )
    own = np.arange(count, dtype=np.int32)[:, None].repeat(images - 1, 1)
    weights = []
    for k in range(images):
        partner = own.copy()
        if k == 0:
            partner += count  # all partners are in the other batch, which is black
        else:
            partner[:, k - 1] += count
        partner = partner[:, 0] if images == 2 else partner
        node = fn.external_source(source=[partner], batch=True, cycle=True)
        pair = (white, black) if k == 0 else (black, white)
        told = plan._replace(partner=node, fill=None if plan.fill is None else [0.0])
        weights.append(dmix.apply(pair[0], told, others=pair[1], std=255))
    return weights


def _row(own: np.ndarray, drawn: dict[str, Any], labels: Sequence[str], method: str, i: int) -> Row:
    partners = _partners(drawn, i)
    lam = np.atleast_1d(drawn["lam"][i]).astype(float)
    shares = lam if len(lam) > 1 else np.array([lam[0], 1 - lam[0]])
    everyone = [i, *partners]
    return Row(
        pictures=[own[j] for j in everyone],
        labels=[labels[j] for j in everyone],
        shares=shares.tolist(),
        counted=drawn["counted"][i].tolist(),
        mixed=drawn["mixed"][i].copy(),
        boxes=_boxes(drawn, i, len(partners)),
        method=method if partners != [i] * len(partners) else "unmixed",
        objects=[_edges(drawn["boxes"][j], own[j]) for j in everyone] if "boxes" in drawn else (),
        kept=_kept(drawn, i, everyone) if "boxes" in drawn else (),
    )


def _kept(drawn: dict[str, Any], i: int, everyone: Sequence[int]) -> list[tuple[int, Edges]]:
    edges = _edges(drawn["left"][i], drawn["mixed"][i])
    return [
        (everyone.index(owner), box)
        for owner, box in zip(drawn["owner"][i].tolist(), edges, strict=True)
    ]


def _edges(boxes: np.ndarray, image: np.ndarray) -> list[Edges]:
    """Relative boxes as edges in whole pixels of an image."""
    height, width = image.shape[:2]
    rows = np.rint(boxes * [width, height, width, height]).astype(int).tolist()
    return [(top, left, bottom, right) for left, top, right, bottom in rows]


def _boxes(drawn: dict[str, Any], i: int, partners: int) -> list[Box]:
    """The boxes that are not empty: one for each image or partner, or several of one partner."""
    rows = drawn["box"][i].reshape(-1, 4)
    boxes = []
    first = 1 + partners - len(rows) if partners > 1 else 1  # on a canvas the own image has one
    for k, (y0, x0, y1, x1) in enumerate(rows.tolist()):
        if y0 == y1:
            continue
        source = (y0, x0, y1, x1)
        if "offset" in drawn:
            y, x = drawn["offset"][i][k].tolist()
            source = (y0 + y, x0 + x, y1 + y, x1 + x)
        if "fit" in drawn:
            source = (0, 0, *drawn["mixed"].shape[1:3])
        boxes.append(Box(k + first if partners > 1 else 1, (y0, x0, y1, x1), source))
    return boxes


def _name_unusable(files: Sequence[Path]) -> None:
    """A ValueError names the first file that cannot be decoded, since DALI's error may not."""
    decode = decoder(None)
    for file in files:
        fault = fault_of_file(os.fspath(file), decode)
        if fault is not None:
            raise ValueError(
                f"{shown(file)} cannot be decoded as an image; mend it or take it out of the "
                f"folder ({fault})."
            )

"""Mixes the images of a contact sheet, and counts the share of each image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dali_mix.fn as dmix
from dali_mix.commands.preview.sheet import Box, Row
from dali_mix.images.decoding import decoder, fault_of_file
from dali_mix.images.names import shown
from dali_mix.methods import Method
from dali_mix.recipes import header_checked

# isort: split
from nvidia.dali import Pipeline, fn, types


def rows_of(
    files: Sequence[Path], labels: Sequence[str], method: Method, *, size: int, seed: int
) -> list[Row]:
    """Mix the images with each other, as one batch.

    files:  N images of any size
    labels: N names
    """
    try:
        drawn = _run(files, method, size, seed)
    except (OSError, RuntimeError):
        _name_unusable(files)
        raise
    return [_row(drawn, labels, method.name, i) for i in range(len(files))]


def _run(files: Sequence[Path], method: Method, size: int, seed: int) -> dict[str, np.ndarray]:
    """The batch by name: own and mixed images, columns of the plan, counted shares."""
    count = len(files)
    with Pipeline(batch_size=count, num_threads=2, device_id=None, seed=seed) as pipeline:
        # DALI's reader would take names in UTF-8 only.
        encoded = fn.external_source(source=[[np.fromfile(file, np.uint8) for file in files]])
        images = fn.decoders.image(header_checked(encoded), output_type=types.RGB)
        images = fn.resize(images, size=size, mode="not_smaller")
        output = {"dtype": types.UINT8, "output_layout": "HWC", "crop": (size, size)}
        unmixed = dmix.Plan(partner=None, blend=None, box=None, lam=None, size=None)
        mixed, plan = dmix.mix(images, None, [method], **output)
        found = {"own": dmix.apply(images, unmixed, **output), "mixed": mixed}
        columns = {name: getattr(plan, name) for name in ("partner", "box", "lam", "offset", "fit")}
        found |= {name: column for name, column in columns.items() if column is not None}
        weights = _weights(plan, method.images, count, size)
        pipeline.set_outputs(*found.values(), *weights)
    outputs = [np.array(batch.as_tensor()) for batch in pipeline.run()]
    arrays = dict(zip(found, outputs, strict=False))
    shares = [weight.mean((1, 2, 3), dtype=float) for weight in outputs[len(found) :]]
    return arrays | {"counted": np.stack(shares, 1)}


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
        told = plan._replace(partner=node)
        weights.append(dmix.apply(pair[0], told, others=pair[1], std=255))
    return weights


def _row(drawn: dict[str, np.ndarray], labels: Sequence[str], method: str, i: int) -> Row:
    counted = drawn["counted"][i]
    partners = np.atleast_1d(drawn["partner"][i]).tolist()
    lam = np.atleast_1d(drawn["lam"][i]).astype(float)
    shares = lam if len(lam) > 1 else np.array([lam[0], 1 - lam[0]])
    everyone = [i, *partners]
    return Row(
        pictures=[drawn["own"][j] for j in everyone],
        labels=[labels[j] for j in everyone],
        shares=shares.tolist(),
        counted=counted.tolist(),
        mixed=drawn["mixed"][i],
        boxes=_boxes(drawn, i, len(partners)),
        method=method if partners != [i] * len(partners) else "unmixed",
    )


def _boxes(drawn: dict[str, np.ndarray], i: int, partners: int) -> list[Box]:
    """The boxes that are not empty: one for each partner, or several of one partner."""
    rows = drawn["box"][i].reshape(-1, 4)
    boxes = []
    for k, (y0, x0, y1, x1) in enumerate(rows.tolist()):
        if y0 == y1:
            continue
        source = (y0, x0, y1, x1)
        if "offset" in drawn:
            y, x = drawn["offset"][i][k].tolist()
            source = (y0 + y, x0 + x, y1 + y, x1 + x)
        if "fit" in drawn:
            source = (0, 0, *drawn["own"].shape[1:3])
        boxes.append(Box(k + 1 if partners > 1 else 1, (y0, x0, y1, x1), source))
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

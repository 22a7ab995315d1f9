"""Reads bounding boxes in COCO's format for the images of a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dali_mix.images.names import shown


def boxes_of(annotations: Path, files: Sequence[Path]) -> list[np.ndarray]:
    """For each file an array (M, 4) float32: (left, top, right, bottom) in [0, 1], relative to the
    square in the middle of the image, which the sheet shows."""
    images, boxes = _read(annotations)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for image in images:
        by_name.setdefault(Path(image["file_name"]).name, []).append(image)
    found = []
    for file in files:
        # Files of two folders may have one name.
        known = [
            image
            for image in by_name.get(file.name, [])
            if file.as_posix().endswith(f"/{Path(image['file_name']).as_posix().lstrip('/')}")
        ]
        rows = [_in_the_middle(image, box) for image in known[:1] for box in boxes[image["id"]]]
        inside = [row for row in rows if row[0] < row[2] and row[1] < row[3]]
        found.append(np.array(inside, np.float32).reshape(-1, 4))
    if not any(len(rows) for rows in found):
        raise ValueError(
            f"--boxes {shown(annotations)} must have boxes of the images, got none for "
            f"{shown(files[0].name)} and the others; names of files are compared with file_name."
        )
    return found


def _read(annotations: Path) -> tuple[list[dict[str, Any]], dict[Any, list[Any]]]:
    """The images, and for the id of each its boxes, (x, y, width, height) in pixels."""
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        images = [dict(image) for image in content["images"]]
        boxes: dict[Any, list[Any]] = {image["id"]: [] for image in images}
        sides = [(image["file_name"], image["height"], image["width"]) for image in images]
        for one in content["annotations"]:
            boxes[one["image_id"]].append([float(number) for number in one["bbox"]])
        right = all(h > 0 and w > 0 for _, h, w in sides)
        right = right and all(len(box) == 4 for rows in boxes.values() for box in rows)
    except OSError as error:
        raise ValueError(
            f"--boxes {shown(annotations)} cannot be read: {error.strerror}."
        ) from error
    except (KeyError, TypeError, ValueError):  # ValueError: no JSON, or no number
        right = False
    if not right:
        raise ValueError(
            f"--boxes {shown(annotations)} must be a JSON file in COCO's format, with images and "
            "annotations."
        )
    return images, boxes


def _in_the_middle(image: dict[str, Any], box: Sequence[float]) -> list[float]:
    side = min(image["height"], image["width"])
    left, top = (image["width"] - side) / 2, (image["height"] - side) / 2
    x, y, width, height = box
    edges = (x - left, y - top, x + width - left, y + height - top)
    return [min(max(edge / side, 0.0), 1.0) for edge in edges]

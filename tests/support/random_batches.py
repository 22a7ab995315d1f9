"""Random batches for `apply` with every column of a plan, always valid. NumPy draws them, or
Hypothesis, which shrinks those that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from helpers import PerSample
from hypothesis import strategies as st
from layered import NO_BOX, Batch, plan_for

MEANS = [101.5, 120.25, 90.0, 64.0, 3.0]
STDS = [2.0, 1.7, -1.3, 2.25, 1.9]
EDGES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97]  # around vectors and blocks of 32


class Picks:
    """A source of random choices."""

    def integer(self, low: int, high: int) -> int:
        """A number in [low, high]."""
        raise NotImplementedError

    def one_of(self, values: Sequence[Any]) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def often(self) -> bool:
        return self.integer(0, 3) > 0

    def seldom(self) -> bool:
        return self.integer(0, 3) == 3


class Seeded(Picks):
    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))


class Drawn(Picks):
    def __init__(self, draw: Callable[[Any], Any]):
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


def pixels(pick: Picks, shape: Sequence[int], dtype: type) -> np.ndarray:
    rng = np.random.default_rng(pick.integer(0, 999))
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    return rng.normal(0, 50, shape).astype(dtype)


def interval(pick: Picks, length: int, longest: int | None = None) -> tuple[int, int]:
    """Begin and end inside [0, length], often at an edge of a vector or a block."""
    near = [edge for edge in (*EDGES, length) if edge <= length]
    ends = [pick.one_of(near) if pick.often() else pick.integer(0, length) for _ in range(2)]
    begin, end = min(ends), max(ends)
    return begin, end if longest is None else min(end, begin + longest)


def random_box(pick: Picks, size: Sequence[int], largest: Sequence[int] | None = None) -> tuple:
    largest = largest or size
    (y0, y1), (x0, x1) = (
        interval(pick, n, longest) for n, longest in zip(size, largest, strict=True)
    )
    return (y0, x0, y1, x1) if not pick.seldom() else NO_BOX


def area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def random_weights(pick: Picks, images: int) -> list[float]:
    """Weights of all images; often some are zero."""
    parts = [pick.one_of([0, 0, 1, 2, 5, 7]) for _ in range(images)]
    total = sum(parts)
    return [part / total for part in parts] if total else [1.0] + [0.0] * (images - 1)


def random_mask(pick: Picks, size: Sequence[int]) -> np.ndarray:
    """A mask of shape (0, 0), of pixels or of cells; with hard weights, soft ones, or one value."""
    kind = pick.integer(0, 3)
    if kind == 0:
        return np.zeros((0, 0), np.uint8)
    shape = size if kind == 1 else [pick.integer(1, n) for n in size]
    mask = pixels(pick, shape, np.uint8)
    levels = pick.one_of([[0, 255], [0, 1, 128, 254, 255], [255], [0], [77]])
    return np.array(levels, np.uint8)[mask % len(levels)]


def random_offset(pick: Picks, boxes: Sequence[Sequence[int]], extent: Sequence[int]) -> tuple:
    """An offset that keeps what the boxes show inside the partner, often at its edge."""
    boxes = [box for box in boxes if area(box)]
    if not boxes:
        return pick.integer(-9, 9), pick.integer(-9, 9)
    ends = []
    for axis in (0, 1):
        low = -min(box[axis] for box in boxes)
        high = extent[axis] - max(box[axis + 2] for box in boxes)
        ends.append(pick.one_of([low, high, pick.integer(low, high)]))
    return tuple(ends)


class Form:
    """What all samples of a batch share."""

    def __init__(self, pick: Picks, **fixed: Any):
        def choose(name: str, values: Sequence[Any]) -> Any:
            return fixed[name] if name in fixed else pick.one_of(values)

        self.count = choose("count", [1, 2, 3, 5])
        self.size = choose(
            "size", [(pick.integer(1, 9), pick.one_of(EDGES[1:])), (pick.integer(1, 9), 100)]
        )
        self.frames = choose("frames", [None, None, 1, 3])
        self.images = choose("images", [2, 2, 3, 4, 8])
        self.boxes = self.images - 1
        if self.images == 2:
            self.boxes = choose("boxes", [1, 2, 3, 8])
        self.others = choose("others", [False, True])
        self.offset = choose("offset", [False, True])
        self.fit = choose("fit", [False, True])
        self.mask = choose("mask", [False, True])
        self.blends_inside = False
        if self.images == 2 and not self.fit:
            self.blends_inside = choose("blends_inside", [False, False, True])
        self.crop = choose("crop", [False, True])
        self.mirror = choose("mirror", [False, True])
        self.copied = choose("copied", [None])
        self.channels = choose("channels", [1, 2, 3, 3, 4, 5])
        self.in_type = choose("in_type", [np.uint8, np.uint8, np.float32, np.float16])
        layouts = ["HWC", "CHW"]
        if self.frames:
            layouts = ["FHWC", "FCHW", "CFHW", "DHWC", "DCHW", "CDHW"]
        self.layout = choose("layout", layouts)
        letter = self.layout.strip("CHW")
        outputs = ["HWC", "CHW"] + ([f"C{letter}HW"] if letter else [])
        self.output_layout = choose("output_layout", outputs)
        self.dtype = choose("dtype", [np.float32, np.float16, np.uint8, np.int8])
        self.pad_output = choose("pad_output", [False, True])

    def array(self, pick: Picks, size: Sequence[int]) -> np.ndarray:
        lengths = {"F": self.frames, "D": self.frames, "C": self.channels}
        lengths |= {"H": size[0], "W": size[1]}
        return pixels(pick, [lengths[axis] for axis in self.layout], self.in_type)

    def normalization(self) -> dict:
        if self.copied is not None:
            return {}
        means, stds = MEANS[: self.channels], STDS[: self.channels]
        return {"mean": means, "std": stds, "scale": 1.25, "shift": 3.5}


def random_batch(pick: Picks, **fixed: Any) -> Batch:
    """A random batch. `fixed`: attributes of Form that are not drawn."""
    form = Form(pick, **fixed)
    any_size = form.offset and not form.crop
    inputs, extents = [], []
    for _ in range(2 if form.others else 1):
        sizes = [form.size] * form.count
        if form.crop:
            sizes = [tuple(n + pick.integer(0, 9) for n in form.size) for _ in sizes]
        elif any_size and inputs:
            sizes = [tuple(pick.integer(1, 2 * n) for n in form.size) for _ in sizes]
        inputs.append([form.array(pick, size) for size in sizes])
        extents += [form.size] * form.count if form.crop else sizes
    columns: dict[str, list] = {}
    fitted = []
    for _ in range(form.count):
        sample, corner = random_sample(pick, form, extents)
        fitted.append(form.array(pick, corner))
        for name, value in sample.items():
            columns.setdefault(name, []).append(value)
    windows = [random_window(pick, form) for _ in range(form.count)]
    return Batch(
        inputs[0],
        plan_for(form.count, **{name: PerSample(values) for name, values in columns.items()}),
        others=inputs[1] if form.others else None,
        fitted=fitted if form.fit else None,
        copied=form.copied,
        layout=form.layout,
        output_layout=form.output_layout,
        dtype=form.dtype,
        pad_output=form.pad_output,
        windows=windows,
        normalization=form.normalization(),
    )


def random_window(pick: Picks, form: Form) -> dict:
    window: dict = {"mirror": bool(form.mirror and pick.integer(0, 1))}
    if form.crop:
        window["crop"] = form.size
        window["crop_pos"] = (pick.integer(0, 8) / 8, pick.integer(0, 8) / 8)
    return window


def random_sample(
    pick: Picks, form: Form, extents: Sequence[Sequence[int]]
) -> tuple[dict, Sequence[int]]:
    """The columns of one sample, and the size of its fitted image."""
    fits = form.fit and pick.often()
    moves = form.offset and not fits and pick.often()
    inside = pick.one_of([0.0, 0.25, 0.7, 1.0]) if form.blends_inside else 0.0
    masked = form.mask and not fits and not moves and not inside
    partners = [pick.integer(0, len(extents) - 1) for _ in range(form.images - 1)]
    if not moves:
        partners = [j if tuple(extents[j]) == tuple(form.size) else 0 for j in partners]
    shown = [partners[0]] * form.boxes if form.images == 2 else partners
    largest = [extents[j] if moves else form.size for j in shown]
    if moves and form.images == 2:  # all boxes lie inside the partner
        largest = [form.size] * form.boxes
        if any(a < b for a, b in zip(extents[partners[0]], form.size, strict=True)):
            partners, shown = [0], [0] * form.boxes
    boxes = [random_box(pick, form.size, most) for most in largest]
    if masked:
        boxes = [box if k == 0 or form.images == 2 else NO_BOX for k, box in enumerate(boxes)]
    if fits:
        boxes = [boxes[0], *([NO_BOX] * (form.boxes - 1))]
    sample: dict = {"partner": partners if form.images > 2 else partners[0], "box": boxes}
    alone = fits or moves or inside > 0
    sample["blend"] = random_blend(pick, form, alone=alone, pair=masked)
    if form.blends_inside:
        sample["box_blend"] = inside
    if form.boxes == 1:
        sample["box"] = boxes[0]
    if form.offset:
        per_partner = [boxes] if form.images == 2 else [[box] for box in boxes]
        sample["offset"] = [
            random_offset(pick, shown_in, extents[j]) if moves else (0, 0)
            for shown_in, j in zip(per_partner, partners, strict=True)
        ]
    if form.fit:
        sample["fit"] = int(fits)
    if form.mask:
        sample["mask"] = random_mask(pick, form.size) if masked else np.zeros((0, 0), np.uint8)
    if form.frames:
        sample["frames"] = interval(pick, form.frames)
    box = boxes[0] if fits and area(boxes[0]) else (0, 0, 1, 1)
    return sample, (box[2] - box[0], box[3] - box[1])


def random_blend(pick: Picks, form: Form, *, alone: bool, pair: bool) -> Any:
    """`alone`: only the own image shows behind the boxes. `pair`: it and the first partner."""
    own = 1.0 if alone else pick.one_of([0.0, 1.0, 0.25, 0.7, pick.integer(0, 1000) / 1000])
    if form.images == 2:
        return own
    if alone or pair:
        return [own, 1 - own] + [0.0] * (form.images - 2)
    return random_weights(pick, form.images)


def joined(batches: Sequence[Batch]) -> Batch:
    """Join batches that differ only in their sizes, and have no `others`, into one."""
    first, columns = batches[0], []
    for name, column in first.plan._asdict().items():
        values, begin = [], 0
        for batch in batches:
            added = getattr(batch.plan, name)
            if added is not None:
                values += [value + begin for value in added] if name == "partner" else list(added)
            begin += len(batch.images)
        columns.append(None if column is None else values)
    return first.but(
        images=[image for batch in batches for image in batch.images],
        fitted=first.fitted and [image for batch in batches for image in batch.fitted or []],
        windows=[window for batch in batches for window in batch.windows or []],
        plan=type(first.plan)(*columns),
    )

"""Whether a contestant of bench/operators.py returns what it says, against float64 arithmetic."""

from __future__ import annotations

import numpy as np

from bench.operators_case import MEAN, STD, Case, Contestant, Mixed

ULP = {"float32": 2.0**-22, "float16": 2.0**-9, "uint8": 1.0}
"""Distance between neighbouring values of up to 4, for uint8 of any size."""
LAM_ULP = {"float32": 2.0**-23, "float16": 2.0**-11, "uint8": 2.0**-23}
"""Distance between neighbours of up to 1. In float16, timm gives lam as float16, too."""


def verify(case: Case, images: np.ndarray, contestant: Contestant, mixed: Mixed) -> None:
    """AssertionError: what was returned is not the mixing of `images` that it is said to be."""
    assert mixed.x.dtype == case.dtype
    for i in sorted({0, 1 % case.count, case.count // 2, case.count - 1}):
        own, partner = (_normalized(image, case) for image in _pair(images, mixed, i))
        lam = float(mixed.lam[i])
        atol = tolerance(case, contestant, mixed)
        x = mixed.x[i].astype(float)
        x = x.transpose(1, 2, 0) if case.layout == "CHW" else x
        if mixed.cut:
            top, left, bottom, right = _box(np.abs(x - own).max(-1) > atol)
            share = (bottom - top) * (right - left) / (case.height * case.width)
            if mixed.partner[i] != i:  # of an image cut into itself, lam may be anything
                np.testing.assert_allclose(1 - share, lam, rtol=0, atol=LAM_ULP[case.dtype])
            expected = own.copy()
            expected[top:bottom, left:right] = partner[top:bottom, left:right]
        else:
            expected = lam * own + (1 - lam) * partner
        if case.dtype == "uint8":
            expected = expected.clip(0, 255)
        np.testing.assert_allclose(x, expected, rtol=0, atol=atol)


def tolerance(case: Case, contestant: Contestant, mixed: Mixed) -> float:
    """Largest difference that rounding explains."""
    scale = case.output.get("scale", 1.0)
    arithmetic = 1e-5 * scale  # of float32
    # What mixes in float16 rounds at every step; for uint8 all mix in float32, and round once.
    roundings = 1 if case.dtype == "uint8" else contestant.roundings
    result = roundings * ULP[case.dtype] / 2
    raw = contestant.raw_rounding * scale / STD.min()
    # lam as it is told may be rounded; it weighs the difference of two images.
    told = 0.0 if mixed.cut else LAM_ULP[case.dtype] / 2 * scale * 255 / STD.min()
    return arithmetic + result + raw + (told if roundings > 1 else 0.0)


def _pair(images: np.ndarray, mixed: Mixed, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Image i and its partner, each flipped as is said."""
    j = int(mixed.partner[i])
    none = np.zeros(len(images), bool)
    mirror = none if mixed.mirror is None else mixed.mirror
    partner_mirror = mirror[mixed.partner] if mixed.partner_mirror is None else mixed.partner_mirror
    own, partner = images[i], images[j]
    return own[:, :: -1 if mirror[i] else 1], partner[:, :: -1 if partner_mirror[i] else 1]


def _normalized(image: np.ndarray, case: Case) -> np.ndarray:
    scale, shift = case.output.get("scale", 1.0), case.output.get("shift", 0.0)
    return scale * (image.astype(float) - MEAN) / STD + shift


def _box(differs: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around all that differs, half-open."""
    if not differs.any():
        return 0, 0, 0, 0
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

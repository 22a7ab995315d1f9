"""Whether a contestant of bench/operators.py returns what it says, against float64 arithmetic."""

from __future__ import annotations

import numpy as np

from bench.operators_case import MEAN, STD, Case, Contestant, Mixed

ULP = {"float32": 2.0**-22, "float16": 2.0**-9, "uint8": 1.0}
"""Distance between neighbouring values of up to 4, for uint8 of any size."""
LAM_ULP = {"float32": 2.0**-23, "float16": 2.0**-11, "uint8": 2.0**-23}
"""Distance between neighbours of up to 1. In float16, timm gives lam as float16, too."""
_CHANCE = 2e-3
"""Share of pixels that may be as the own ones by chance."""


def verify(case: Case, images: np.ndarray, contestant: Contestant, mixed: Mixed) -> None:
    """AssertionError: what was returned is not the mixing of `images` that it is said to be."""
    assert mixed.x.dtype == case.dtype
    for i in sorted({0, 1 % case.count, case.count // 2, case.count - 1}):
        x = mixed.x[i].astype(float)
        x = x.transpose(1, 2, 0) if case.layout == "CHW" else x
        seen = [_normalized(image, case) for image in _images(images, mixed, i)]
        atol = tolerance(case, contestant, mixed)
        if mixed.partner is None:
            # Of random images, other pixels are hardly ever the same by chance.
            kept = (np.abs(x - seen[0]) <= atol).all(-1).mean()
            np.testing.assert_allclose(kept, np.ravel(mixed.lam[i])[0], rtol=0, atol=_CHANCE)
            continue
        expected = _expected(case, mixed, i, seen, np.abs(x - seen[0]).max(-1) > atol)
        if case.dtype == "uint8":
            expected = expected.clip(0, 255)
        np.testing.assert_allclose(x, expected, rtol=0, atol=atol)


def _expected(
    case: Case, mixed: Mixed, i: int, seen: list[np.ndarray], differs: np.ndarray
) -> np.ndarray:
    """Sample i of its images, own first. `differs`: where it is not its own one."""
    if mixed.cut:
        top, left, bottom, right = _box(differs)
        own = 1 - (bottom - top) * (right - left) / (case.height * case.width)
        if mixed.partner[i] != i:  # of an image cut into itself, lam may be anything
            np.testing.assert_allclose(own, mixed.lam[i], rtol=0, atol=LAM_ULP[case.dtype])
        expected = seen[0].copy()
        expected[top:bottom, left:right] = seen[1][top:bottom, left:right]
        return expected
    weights = np.atleast_1d(mixed.lam[i]).astype(float)
    if mixed.weight is not None:
        weights = mixed.weight[i][None, ..., None]
        np.testing.assert_allclose(weights.mean(), mixed.lam[i], rtol=0, atol=LAM_ULP[case.dtype])
    if len(weights) == 1:
        weights = np.concatenate([weights, 1 - weights])
    return sum(weight * image for weight, image in zip(weights, seen, strict=True))


def tolerance(case: Case, contestant: Contestant, mixed: Mixed) -> float:
    """Largest difference that rounding explains."""
    scale = case.output.get("scale", 1.0)
    arithmetic = 1e-5 * scale  # of float32
    # What mixes in float16 rounds at every step (of the peers, see torch_peers.MIXING); for uint8
    # all mix in float32, and round once.
    roundings = 1 if case.dtype == "uint8" else contestant.roundings
    result = roundings * ULP[case.dtype] / 2
    raw = contestant.raw_rounding * scale / STD.min()
    # lam as it is told may be rounded; it weighs the difference of two images.
    told = 0.0 if mixed.cut else LAM_ULP[case.dtype] / 2 * scale * 255 / STD.min()
    return arithmetic + result + raw + (told if roundings > 1 else 0.0)


def _images(images: np.ndarray, mixed: Mixed, i: int) -> list[np.ndarray]:
    """Image i and its partners, each flipped as is said."""
    mirror = np.zeros(len(images), bool) if mixed.mirror is None else mixed.mirror
    found = [images[i][:, :: -1 if mirror[i] else 1]]
    for j in [] if mixed.partner is None else np.atleast_1d(mixed.partner[i]).tolist():
        flipped = mirror[j] if mixed.partner_mirror is None else mixed.partner_mirror[i]
        found.append(images[j][:, :: -1 if flipped else 1])
    return found


def _normalized(image: np.ndarray, case: Case) -> np.ndarray:
    scale, shift = case.output.get("scale", 1.0), case.output.get("shift", 0.0)
    return scale * (image.astype(float) - MEAN) / STD + shift


def _box(differs: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around all that differs, half-open."""
    if not differs.any():
        return 0, 0, 0, 0
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

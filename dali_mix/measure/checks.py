"""Checks every contestant against `dali_mix.reference`, before anything is timed. It needs no
DALI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dali_mix import reference
from dali_mix.measure.outputs import MEAN, STD, Mixed, Output
from dali_mix.plan import Plan

if TYPE_CHECKING:
    from dali_mix.measure.pipelines import Probe

ULP = {"float32": 2.0**-22, "float16": 2.0**-9, "uint8": 1.0}
"""Distance between neighbouring values below 4; for uint8, between any."""
LAM_ULP, HALF_LAM_ULP = 2.0**-23, 2.0**-11
"""The same for lam, in float32 and float16. timm gives a lam in float16 if it mixes in float16."""
ROUNDINGS = 10
"""Error of what is mixed and normalised in float16, with each step rounded, in half units of `ULP`.
The relative error of the factor counts 255 times."""


def tolerance(
    output: Output, *, roundings: int = 1, raw_rounding: float = 0.0, lam_ulp: float = 0.0
) -> float:
    """The largest error of a value that rounding explains.

    roundings:    how often values are rounded to the type of the output
    raw_rounding: error in grey levels from rounding the mixed pixels before they are normalised
    lam_ulp:      distance between neighbouring values of the reported lam, if it is rounded
    """
    scale = output.normalization.get("scale", 1.0)
    level = scale / min(STD)
    return float(
        1e-5 * scale  # arithmetic in float32
        + roundings * ULP[output.dtype] / 2
        + raw_rounding * level
        + lam_ulp / 2 * 255 * level  # lam multiplies the difference of two images
    )


def check_probe(
    name: str, probe: Probe, output: Output, samples: Iterable[int] | None = None
) -> Mixed:
    """Run a probe, check its outputs, and return them as arrays."""
    mixed, images, mirror = probe.run()
    check_mixed(name, mixed, images, mirror, output, samples=samples)
    check_labels(name, mixed)
    return mixed


def check_mixed(
    name: str,
    mixed: Mixed,
    images: Sequence[np.ndarray],
    mirror: Sequence[Any],
    output: Output,
    *,
    atol: float | None = None,
    lam_ulp: float = LAM_ULP,
    samples: Iterable[int] | None = None,
) -> None:
    """An AssertionError unless `mixed` is what the reference makes from the (H, W, 3) `images`.

    mixed:   must hold arrays
    atol:    largest error of a pixel; default: `tolerance(output)`
    lam_ulp: largest difference of lam from the counted one
    samples: indices of the samples to check; default: all
    """
    atol = tolerance(output) if atol is None else atol
    for i in range(len(images)) if samples is None else samples:
        x = np.asarray(mixed.x[i], np.float64)
        own = images[i]
        if mixed.plan is None:
            expected = _expected([own], [mirror[i]], None, output)
            np.testing.assert_allclose(x, expected, rtol=0, atol=atol, err_msg=name)
            continue
        partners = np.atleast_1d(mixed.plan.partner[i]).astype(int).tolist()
        flags = [mirror[i if mixed.mirrored_together else j] for j in partners]
        seen = [own, *(images[j] for j in partners)]
        row = _row(mixed.plan, i)
        if mixed.cut:
            plain = _expected([own], [mirror[i]], None, output)
            apart = np.abs(x - plain).max(0 if output.layout == "CHW" else 2) > atol
            row = row._replace(box=[_box_around(apart)] * len(row.partner))
        expected = _expected(seen, [mirror[i], *flags], row, output)
        if row.fit is not None and np.any(row.fit[0]):  # the image made for the box is not known
            y0, x0, y1, x1 = np.reshape(row.box[0], (-1, 4))[0]
            cells = np.s_[:, y0:y1, x0:x1] if output.layout == "CHW" else np.s_[y0:y1, x0:x1]
            expected[cells] = x[cells]
        np.testing.assert_allclose(x, expected, rtol=0, atol=atol, err_msg=name)
        if partners != [i]:  # if an image is mixed with itself, lam may be anything
            counted = reference.count_weights(row, 0, own.shape[:2])
            lam = np.ravel(mixed.plan.lam[i]).astype(float)
            counted = counted[: len(lam)]
            np.testing.assert_allclose(lam, counted, rtol=0, atol=lam_ulp, err_msg=f"{name}: lam")


def check_labels(name: str, mixed: Mixed) -> None:
    """An AssertionError unless the partners' labels are right, and something is mixed."""
    if mixed.plan is None:
        return
    partner = np.stack(mixed.plan.partner).reshape(len(mixed.x), -1)
    places = np.concatenate([np.arange(len(partner))[:, None], partner], 1)
    paired = np.concatenate([np.stack(y).reshape(len(partner), -1) for y in mixed.labels], 1)
    own = paired[:, 0]
    np.testing.assert_array_equal(paired, own[places], err_msg=f"{name}: labels")
    assert len(own) == 1 or (partner != places[:, :1]).any(), f"{name}: nothing is mixed"


def check_tensor(name: str, x: Any, batch: int, size: int, dtype: str) -> None:
    """An AssertionError unless shape, type and range are those of normalised CHW images."""
    assert x.shape == (batch, 3, size, size), f"{name}: {tuple(x.shape)}"
    assert str(x.dtype).endswith(dtype), f"{name}: {x.dtype}"
    lowest = min(-mean / std for mean, std in zip(MEAN, STD, strict=True))
    highest = max((255 - mean) / std for mean, std in zip(MEAN, STD, strict=True))
    assert lowest - 0.01 <= x.min() and x.max() <= highest + 0.01, f"{name}: {x.min()}, {x.max()}"


def _row(plan: Plan, i: int) -> Plan:
    """A plan for a batch of the own image of sample i and its partners, in this order. It mixes the
    first image as `plan` mixes sample i; the others do not matter."""
    count = 1 + np.size(plan.partner[i])
    columns: dict[str, Any] = {
        name: None if column is None else [np.asarray(column[i])] * count
        for name, column in plan._asdict().items()
    }
    columns["partner"] = [np.arange(1, count)] * count
    columns["blend"] = columns["blend"] or [np.float32(1)] * count
    columns["box"] = columns["box"] or [np.zeros(4, int)] * count
    return Plan(**columns)


def _expected(
    images: list[np.ndarray], mirror: list[Any], plan: Plan | None, output: Output
) -> np.ndarray:
    """Sample 0 of the reference's batch, in float64."""
    alone = Plan([np.int32(0)], [np.float32(1)], [np.zeros(4, int)], [np.float32(1)], None)
    x = reference.apply(
        images,
        plan or alone,
        fitted=images if plan is not None and plan.fit is not None else None,
        dtype=np.float64,
        windows=[{"mirror": bool(flag)} for flag in mirror],
        **output.normalization,
    )[0]
    return x.clip(0, 255) if output.dtype == "uint8" else x


def _box_around(apart: np.ndarray) -> np.ndarray:
    """(y0, x0, y1, x1), half-open, around all true values."""
    if not apart.any():
        return np.zeros(4, int)
    rows, columns = (np.flatnonzero(apart.any(axis)) for axis in (1, 0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])

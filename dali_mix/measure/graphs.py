"""The DALI contestants. Each turns decoded images into a normalised tensor: unmixed, mixed by
DALI's own operators, or mixed by ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dali_mix.fn as dmix  # before DALI, because it says in a sentence if DALI is missing
from dali_mix.measure.outputs import UNMIXED, Mixed, Output
from dali_mix.methods import CutMix, Method, MixUp
from dali_mix.plan import Plan

# isort: split
from nvidia.dali import fn, types

DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}


def arguments(output: Output) -> dict[str, Any]:
    """Arguments of crop_mirror_normalize and of our functions."""
    return {**output.normalization, "dtype": DTYPES[output.dtype]}


Graph = Callable[[Any, Any, Any, dict[str, Any]], Mixed]
"""graph(images, labels, mirror, output); `output`: of `arguments`."""


def unmixed(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    return Mixed(fn.crop_mirror_normalize(images, mirror=mirror, **output), (labels,))


def ours(method: Method) -> Graph:
    def graph(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
        x, plan = dmix.mix(images, None, method, mirror=mirror, **output)
        images_of_one = getattr(method, "images", 2)
        return Mixed(x, dmix.pair_labels(labels, plan, images=images_of_one), plan)

    return graph


def _told(partner: Any, lam: Any, blend: Any = None) -> Plan:
    return Plan(partner, blend, None, lam, None)


def _blend(x: Any) -> tuple[Any, Plan]:
    """Mixup from DALI's own operators."""
    partner = fn.batch_permutation(no_fixed_points=True)
    lam = fn.random.beta(alpha=1.0, beta=1.0)
    mixed = x * lam + fn.permute_batch(x, indices=partner) * (1 - lam)
    return mixed, _told(partner, lam, blend=lam)


def stock_then_cmn(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    """Mix, then normalise."""
    x, plan = _blend(fn.flip(images, horizontal=mirror))
    x = fn.crop_mirror_normalize(fn.reshape(x, layout="HWC"), **output)
    return Mixed(x, (labels, fn.permute_batch(labels, indices=plan.partner)), plan)


def cmn_then_stock(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    """Normalise, then mix."""
    # DALI's arithmetic takes no float16: normalise to float32, mix, then cast.
    normalized = {**output, "dtype": types.FLOAT}
    x, plan = _blend(fn.crop_mirror_normalize(images, mirror=mirror, **normalized))
    if output["dtype"] != types.FLOAT:
        x = fn.cast(x, dtype=output["dtype"])
    return Mixed(x, (labels, fn.permute_batch(labels, indices=plan.partner)), plan)


GRAPHS: dict[str, Graph] = {
    UNMIXED: unmixed,
    "DALI stock, then cmn": stock_then_cmn,
    "cmn, then DALI stock": cmn_then_stock,
    "dali_mix mixup": ours(MixUp(alpha=1.0, fold=False)),
    "dali_mix cutmix": ours(CutMix(alpha=1.0)),
}

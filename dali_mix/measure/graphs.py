"""The DALI contestants: decoded images to a normalised tensor, unmixed, stock and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import dali_mix.fn as dmix  # before DALI, because it says in a sentence if DALI is missing
from dali_mix.methods import CutMix, Method, MixUp

# isort: split
from nvidia.dali import fn, types

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16}
UNMIXED = "DALI unmixed"


class Mixed(NamedTuple):
    """What a contestant makes of a batch; all graph nodes, None where nothing is mixed."""

    x: Any
    y1: Any
    y2: Any = None
    lam: Any = None
    partner: Any = None
    box: Any = None

    @property
    def outputs(self) -> tuple[Any, ...]:
        """What a training loop reads."""
        return tuple(node for node in (self.x, self.y1, self.y2, self.lam) if node is not None)


Graph = Callable[[Any, Any, Any, dict[str, Any]], Mixed]
"""graph(images, labels, mirror, output): `output` is the normalisation, type and layout."""


def unmixed(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    return Mixed(fn.crop_mirror_normalize(images, mirror=mirror, **output), labels)


def ours(method: Method) -> Graph:
    def graph(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
        x, plan = dmix.mix(images, None, method, mirror=mirror, **output)
        y2 = fn.permute_batch(labels, indices=plan.partner)
        return Mixed(x, labels, y2, plan.lam, plan.partner, plan.box)

    return graph


def _blend(x: Any) -> tuple[Any, Any, Any]:
    """Mixup as it is composed from stock operators: (mixed, partner, lam)."""
    partner = fn.batch_permutation(no_fixed_points=True)
    lam = fn.random.beta(alpha=1.0, beta=1.0)
    return x * lam + fn.permute_batch(x, indices=partner) * (1 - lam), partner, lam


def stock_then_cmn(images: Any, mirror: Any, output: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Mixed, then normalised: (x, partner, lam)."""
    x, partner, lam = _blend(fn.flip(images, horizontal=mirror))
    return fn.crop_mirror_normalize(fn.reshape(x, layout="HWC"), **output), partner, lam


def cmn_then_stock(images: Any, mirror: Any, output: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Normalised, then mixed: (x, partner, lam)."""
    # DALI's arithmetic takes no float16: normalise to float32, mix, then cast.
    normalized = {**output, "dtype": types.FLOAT}
    x, partner, lam = _blend(fn.crop_mirror_normalize(images, mirror=mirror, **normalized))
    if output["dtype"] != types.FLOAT:
        x = fn.cast(x, dtype=output["dtype"])
    return x, partner, lam


def stock(mix: Callable[..., tuple[Any, Any, Any]]) -> Graph:
    def graph(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
        x, partner, lam = mix(images, mirror, output)
        return Mixed(x, labels, fn.permute_batch(labels, indices=partner), lam, partner)

    return graph


GRAPHS: dict[str, Graph] = {
    UNMIXED: unmixed,
    "DALI stock, then cmn": stock(stock_then_cmn),
    "cmn, then DALI stock": stock(cmn_then_stock),
    "dali_mix mixup": ours(MixUp(alpha=1.0, fold=False)),
    "dali_mix cutmix": ours(CutMix(alpha=1.0)),
}

"""The DALI contestants. Each turns decoded images into a normalised tensor: unmixed, mixed by
DALI's own operators, or mixed by ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import dali_mix.fn as dmix  # before DALI, because it says in a sentence if DALI is missing
from dali_mix.methods import CutMix, Method, MixUp
from dali_mix.plan import Plan

# isort: split
from nvidia.dali import fn, types

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}
UNMIXED = "DALI unmixed"


class Output(NamedTuple):
    """Type and layout of the output images."""

    dtype: str
    """A key of `DTYPES`."""
    layout: str = "CHW"

    @property
    def normalization(self) -> dict[str, Any]:
        """Arguments that DALI, dali_mix and its reference share. For uint8 the values are scaled to
        fit into 0 to 255."""
        fitted = {"scale": 40.0, "shift": 128.0} if self.dtype == "uint8" else {}
        return {"mean": MEAN, "std": STD, "output_layout": self.layout, **fitted}

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of crop_mirror_normalize and of our functions."""
        return {**self.normalization, "dtype": DTYPES[self.dtype]}


class Mixed(NamedTuple):
    """What a contestant makes from a batch: graph nodes, or arrays in a check."""

    x: Any
    labels: tuple[Any, ...]
    """The own labels, and those of the partners, in one array or more."""
    plan: Plan | None = None
    """How it was mixed; None: it was not. Columns that are not known are None."""
    cut: bool = False
    """Whether the partner shows in a box that `plan` does not have."""
    mirrored_together: bool = False
    """Whether the mirror flag of the own image also mirrors its partner."""

    @property
    def outputs(self) -> tuple[Any, ...]:
        """What a training loop reads."""
        return (self.x, *self.labels, *(() if self.plan is None else (self.plan.lam,)))


Graph = Callable[[Any, Any, Any, dict[str, Any]], Mixed]
"""graph(images, labels, mirror, output); `output` holds `Output.arguments`."""


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

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


def stock(*, normalize_first: bool) -> Graph:
    """Mixup as it is composed from stock operators."""

    def blend(x: Any, partner: Any, lam: Any) -> Any:
        return x * lam + fn.permute_batch(x, indices=partner) * (1 - lam)

    def graph(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
        partner = fn.batch_permutation(no_fixed_points=True)
        lam = fn.random.beta(alpha=1.0, beta=1.0)
        y2 = fn.permute_batch(labels, indices=partner)
        if normalize_first:
            # DALI's arithmetic takes no float16: normalise to float32, mix, then cast.
            x = fn.crop_mirror_normalize(images, mirror=mirror, **{**output, "dtype": types.FLOAT})
            x = blend(x, partner, lam)
            if output["dtype"] != types.FLOAT:
                x = fn.cast(x, dtype=output["dtype"])
        else:
            flipped = fn.flip(images, horizontal=mirror)
            x = fn.reshape(blend(flipped, partner, lam), layout="HWC")
            x = fn.crop_mirror_normalize(x, **output)
        return Mixed(x, labels, y2, lam, partner)

    return graph


GRAPHS: dict[str, Graph] = {
    UNMIXED: unmixed,
    "DALI stock, then cmn": stock(normalize_first=False),
    "cmn, then DALI stock": stock(normalize_first=True),
    "dali_mix mixup": ours(MixUp(alpha=1.0, fold=False)),
    "dali_mix cutmix": ours(CutMix(alpha=1.0)),
}

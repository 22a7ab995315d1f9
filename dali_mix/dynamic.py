"""Mixing in DALI's dynamic mode: the functions of `dali_mix.fn`, with `rng=` in place of `seed=`.

    import dali_mix.dynamic as dmix

    x, y1, y2, lam = dmix.cutmix(images, labels, mean=mean, std=std, rng=rng)

They take and return DALI batches.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dali_mix._mixing import Mixing, Mode
from dali_mix._plugin import load_plugin
from dali_mix.plan import Plan

load_plugin()

import nvidia.dali.experimental.dynamic as ndd  # noqa: E402

__all__ = ["Plan", "apply", "cutmix", "mix", "mixup", "plan"]


class _DynamicMode(Mode):
    """DALI's dynamic mode."""

    ops = ndd
    dtypes: ClassVar = {"FLOAT": ndd.float32, "INT32": ndd.int32}
    random = "rng"

    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        counted = labels if images is None else images
        if counted is None:
            raise ValueError(
                "plan in dynamic mode needs images or labels, to know how many samples there are."
            )
        return (counted,)

    def constant(self, value: float) -> Any:
        return ndd.tensor(value, dtype=ndd.float32)

    def place_like(self, values: Any, images: Any) -> Any:
        return values.to_device(images.device)


_mixing = Mixing(_DynamicMode())
plan = _mixing.plan
apply = _mixing.apply
mix = _mixing.mix
mixup = _mixing.mixup
cutmix = _mixing.cutmix

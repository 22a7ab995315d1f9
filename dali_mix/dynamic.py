"""Mixing in DALI's dynamic mode: the functions of `dali_mix.fn`, with `rng=` in place of `seed=`.

    import dali_mix.dynamic as dmix

    x, y1, y2, lam = dmix.cutmix(images, labels, mean=mean, std=std, rng=rng)

They take and return DALI batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dali_mix._mixing import Mixing, all_numbers
from dali_mix._plugin import load_plugin
from dali_mix.plan import Plan

load_plugin()

import nvidia.dali.experimental.dynamic as ndd  # noqa: E402

__all__ = ["Plan", "apply", "cutmix", "mix", "mixup", "plan"]


class _DynamicMode:
    """DALI's dynamic mode; see `dali_mix._mixing.Mode`."""

    operators = ndd.dali_mix  # type: ignore[attr-defined]  # there since load_plugin()
    random = "rng"

    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        counted = labels if images is None else images
        if counted is None:
            raise ValueError(
                "plan in dynamic mode needs images or labels, to know how many samples there are."
            )
        return (counted,)

    def vector(self, values: Sequence[Any]) -> Any:
        if all_numbers(values):
            return [float(value) for value in values]
        tensors = [
            ndd.tensor(float(value), dtype=ndd.float32)
            if all_numbers([value])
            else ndd.cast(value, dtype=ndd.float32)
            for value in values
        ]
        return ndd.stack(*tensors)

    def cast(self, value: Any, dtype: str) -> Any:
        return ndd.cast(value, dtype={"FLOAT": ndd.float32, "INT32": ndd.int32}[dtype])

    def permute(self, values: Any, indices: Any) -> Any:
        return ndd.permute_batch(values, indices=indices)

    def place_like(self, values: Any, images: Any) -> Any:
        return values.to_device(images.device)


_mixing = Mixing(_DynamicMode())
plan = _mixing.plan
apply = _mixing.apply
mix = _mixing.mix
mixup = _mixing.mixup
cutmix = _mixing.cutmix

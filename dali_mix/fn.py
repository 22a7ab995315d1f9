"""Mixing inside a DALI pipeline: plan, apply, mix, mixup, cutmix.

    import dali_mix.fn as dmix

    x, y1, y2, lam = dmix.mixup(images, labels, alpha=0.4, mean=mean, std=std, dtype=types.FLOAT16)

The mixing functions take the place of `fn.crop_mirror_normalize` and share its arguments. They are
compositions of two operators, `fn.dali_mix.plan`, which draws, and `fn.dali_mix.apply`, which
touches the pixels; `help()` of these is the manual. The same functions for DALI's dynamic mode are
in `dali_mix.dynamic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dali_mix._mixing import Mixing, all_numbers
from dali_mix._plugin import load_plugin
from dali_mix.plan import Plan

load_plugin()

from nvidia.dali import fn, types  # noqa: E402
from nvidia.dali.pipeline import Pipeline  # noqa: E402

__all__ = ["Plan", "apply", "cutmix", "mix", "mixup", "plan"]


class _PipelineMode:
    """DALI's pipeline mode; see `dali_mix._mixing.Mode`."""

    operators = fn.dali_mix  # type: ignore[attr-defined]  # there since load_plugin()
    random = "seed"

    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        pipeline = Pipeline.current()
        on_gpu = images is not None and images.device == "gpu"
        if on_gpu and pipeline is not None and not pipeline.exec_dynamic:
            # That executor gives a CPU operator no look at GPU data, not even at the shapes.
            if not size_known:
                raise ValueError(
                    "the plan sees the size of GPU images only with the dynamic executor, got "
                    "exec_dynamic=False. Pass crop=(H, W) (or size=(H, W) to plan), or build the "
                    "pipeline with exec_dynamic=True."
                )
            images = labels if labels is not None and labels.device == "cpu" else None
        return () if images is None else (images,)

    def vector(self, values: Sequence[Any]) -> Any:
        if all_numbers(values):
            return [float(value) for value in values]
        nodes = [
            types.Constant(float(value), dtype=types.FLOAT)
            if all_numbers([value])
            else fn.cast(value, dtype=types.FLOAT)
            for value in values
        ]
        return fn.stack(*nodes)

    def cast(self, value: Any, dtype: str) -> Any:
        return fn.cast(value, dtype=getattr(types, dtype))

    def permute(self, values: Any, indices: Any) -> Any:
        return fn.permute_batch(values, indices=indices)

    def place_like(self, values: Any, images: Any) -> Any:
        if values.device == images.device:
            return values
        return values.gpu() if images.device == "gpu" else values.cpu()


_mixing = Mixing(_PipelineMode())
plan = _mixing.plan
apply = _mixing.apply
mix = _mixing.mix
mixup = _mixing.mixup
cutmix = _mixing.cutmix

"""Mixing inside a DALI pipeline: plan, apply, mix, mixup, cutmix.

    import dali_mix.fn as dmix

    x, y1, y2, lam = dmix.mixup(images, labels, alpha=0.4, mean=mean, std=std, dtype=types.FLOAT16)

The mixing functions take the place of `fn.crop_mirror_normalize` and share its arguments. They are
compositions of two operators, `fn.dali_mix.plan`, which draws, and `fn.dali_mix.apply`, which
touches the pixels; `help()` of these is the manual. The same functions for DALI's dynamic mode are
in `dali_mix.dynamic`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dali_mix._mixing import Mixing, Mode
from dali_mix._plugin import load_plugin
from dali_mix.plan import Plan

load_plugin()

from nvidia.dali import fn, types  # noqa: E402
from nvidia.dali.pipeline import Pipeline  # noqa: E402

__all__ = ["Plan", "apply", "cutmix", "mix", "mixup", "plan"]


class _PipelineMode(Mode):
    """DALI's pipeline mode."""

    ops = fn
    dtypes: ClassVar = {"FLOAT": types.FLOAT, "INT32": types.INT32}
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

    def constant(self, value: float) -> Any:
        return types.Constant(value, dtype=types.FLOAT)

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

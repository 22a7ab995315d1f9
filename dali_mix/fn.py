"""Mixing inside a DALI pipeline: plan, apply, mix, mixup, cutmix.

    import dali_mix.fn as dmix

    x, y1, y2, lam = dmix.mixup(images, labels, alpha=0.4, mean=mean, std=std, dtype=types.FLOAT16)

The mixing functions replace `fn.crop_mirror_normalize` and share its arguments. They use two
operators: `fn.dali_mix.plan` draws, and `fn.dali_mix.apply` computes the pixels. `help()` of these
two is the manual. `dali_mix.dynamic` has the same functions for DALI's dynamic mode.

`dali_mix.MixLoader` runs such a pipeline. DALI's own PyTorch iterators can run it too. They need a
name for each output, and LastBatchPolicy.DROP: otherwise the copies that fill the last batch are
mixed into its samples. DALIClassificationIterator takes two outputs only: give it soft labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dali_mix.graph import drawing, labels, mixing, pixels, travel
from dali_mix.graph.door import bound
from dali_mix.graph.mode import Mode
from dali_mix.methods.calls import graph_function_lacks
from dali_mix.plan import Plan
from dali_mix.plugin import dali_private
from dali_mix.plugin.loading import load_plugin

load_plugin()

from nvidia.dali import fn, types  # noqa: E402
from nvidia.dali.data_node import DataNode  # noqa: E402
from nvidia.dali.pipeline import Pipeline  # noqa: E402

__all__ = [
    "Plan",
    "apply",
    "apply_boxes",
    "apply_mask",
    "apply_points",
    "blend_labels",
    "cutmix",
    "mix",
    "mixup",
    "pair_labels",
    "plan",
    "resized",
]

_KEEP_THE_TYPE = {
    *("Resize", "RandomResizedCrop", "ResizeCropMirror", "Crop", "Slice", "Pad", "Flip", "Rotate"),
    *("Erase", "ColorTwist", "BrightnessContrast", "Hsv", "ColorSpaceConversion", "GaussianBlur"),
}
"""Operators of DALI that put out the type of their images, unless dtype says another."""
_READ_FILES = {f"readers__{name}" for name in ("File", "COCO", "Webdataset", "Caffe", "MXNet")}
"""Readers that decode nothing."""


class _PipelineMode(Mode):
    """DALI's pipeline mode."""

    ops: Any = fn
    dtypes: ClassVar = {"FLOAT": types.FLOAT, "INT32": types.INT32}
    dtype_kinds = (types.DALIDataType,)
    batches = (DataNode,)
    feed = "arrays come in by fn.external_source; dali_mix.dynamic mixes without a pipeline"
    random = "seed"
    nearest = types.INTERP_NN

    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        pipeline = Pipeline.current()
        on_gpu = images is not None and images.device == "gpu"
        if on_gpu and pipeline is not None and not pipeline.exec_dynamic:
            # In this executor a CPU operator cannot read GPU data, not even its shapes.
            if not size_known:
                raise ValueError(
                    "the plan sees the size of GPU images only with the dynamic executor, got "
                    "exec_dynamic=False. Pass crop=(H, W) (or size=(H, W) to plan), or build the "
                    "pipeline with exec_dynamic=True."
                )
            images = labels if labels is not None and labels.device == "cpu" else None
        return () if images is None else (images,)

    def holds_bytes(self, images: Any) -> bool:
        while (op := getattr(images, "source", None)) is not None:
            kind = dali_private.schema_of(op)
            if dali_private.constants_of(op).get("dtype", types.UINT8) != types.UINT8:
                return False
            if "decoders__Image" in kind:
                return True
            if kind not in _KEEP_THE_TYPE:
                return False
            images = op.inputs[0]
        return False

    def reader_of(self, batch: Any) -> str:
        op = batch.source
        kind = "" if op is None else dali_private.schema_of(op)
        return f"fn.{kind.replace('__', '.').lower()}" if kind in _READ_FILES else ""

    def constant(self, value: float) -> Any:
        return types.Constant(value, dtype=types.FLOAT)

    def place_like(self, values: Any, images: Any) -> Any:
        if values.device == images.device:
            return values
        if images.device == "gpu":
            return self.ops.dali_mix.upload(values, device="mixed")
        return values.cpu()

    def on_cpu(self, values: Any) -> Any:
        return values.cpu() if values.device == "gpu" else values

    def previous(self, batch: Any) -> Any:
        return self.ops.dali_mix.previous(batch)


_mode = _PipelineMode()
apply = bound(pixels.apply, _mode)
apply_boxes = bound(travel.apply_boxes, _mode)
apply_mask = bound(pixels.apply_mask, _mode)
apply_points = bound(travel.apply_points, _mode)
blend_labels = bound(labels.blend_labels, _mode)
cutmix = bound(mixing.cutmix, _mode)
mix = bound(mixing.mix, _mode)
mixup = bound(mixing.mixup, _mode)
pair_labels = bound(labels.pair_labels, _mode)
plan = bound(drawing.plan, _mode)
resized = bound(pixels.resized, _mode)

if not TYPE_CHECKING:  # a type checker would take any name for a function

    def __getattr__(name):
        raise graph_function_lacks(__name__, name)

"""Mixing in DALI's dynamic mode: the functions of `dali_mix.fn`, with `rng=` instead of `seed=`.

    import dali_mix.dynamic as dmix

    x, y1, y2, lam = dmix.cutmix(images, labels, mean=mean, std=std, rng=rng)

They take and return DALI batches. A reader fills the last batch of an epoch with images of the next
epoch, or with copies if pad_last_batch=True. Cut these off before mixing:

    for number, (files, labels) in enumerate(reader.next_epoch(batch_size=32)):
        kept = reader.get_metadata()["epoch_size"] - 32 * number
        files, labels = (ndd.batch(list(part.tensors)[:kept]) for part in (files, labels))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dali_mix.graph import drawing, labels, mixing, pixels, travel
from dali_mix.graph.door import bound
from dali_mix.graph.mode import Mode
from dali_mix.methods.calls import graph_function_lacks
from dali_mix.plan import Plan
from dali_mix.plugin.loading import load_plugin

load_plugin()

import nvidia.dali.experimental.dynamic as ndd  # noqa: E402
from nvidia.dali import types  # noqa: E402

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


class _DynamicMode(Mode):
    """DALI's dynamic mode."""

    ops = ndd
    dtypes: ClassVar = {"FLOAT": ndd.float32, "INT32": ndd.int32}
    dtype_kinds = (types.DALIDataType, ndd.DType)
    batches = (ndd.Batch, ndd.Tensor)
    feed = "ndd.batch([…]) makes one of arrays"
    random = "rng"
    nearest = types.INTERP_NN

    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        counted = labels if images is None else images
        if counted is None:
            raise ValueError(
                "plan in dynamic mode needs images or labels, to know how many samples there are."
            )
        return (counted,)

    def holds_bytes(self, images: Any) -> bool:
        return bool(images is not None and images.dtype == ndd.uint8)

    def reader_of(self, batch: Any) -> str:
        return ""

    def constant(self, value: float) -> Any:
        return ndd.tensor(value, dtype=ndd.float32)

    def place_like(self, values: Any, images: Any) -> Any:
        return values.to_device(images.device)

    def on_cpu(self, values: Any) -> Any:
        return values.cpu()

    def previous(self, batch: Any) -> Any:
        raise ValueError(
            'partner="previous" works in pipelines only: dynamic mode keeps no state. Pass the '
            "batch before as second=(images, labels)."
        )


_mode = _DynamicMode()
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

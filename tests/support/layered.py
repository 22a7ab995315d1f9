"""Batches for `apply` with every column of a plan. The operator and the reference run them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from helpers import DALI_TYPES, PerSample, assert_casts, feed, node_of, run
from nvidia.dali import fn

from dali_mix import reference
from dali_mix.plan import Plan

NO_BOX = (0, 0, 0, 0)
DTYPES = {
    "partner": np.int32,
    "blend": np.float32,
    "box": np.int32,
    "size": np.int32,
    "offset": np.int32,
    "fit": np.int32,
    "frames": np.int32,
    "mask": np.uint8,
    "fill": np.float32,
    "view": np.int32,
    "box_blend": np.float32,
}


def plan_for(count: int, **columns: Any) -> Plan:
    """A plan of `count` samples. A column is a PerSample, or one value for all samples."""
    given = {"blend": 1.0, "box": NO_BOX} | columns
    named = {
        name: [np.asarray(v, DTYPES[name]) for v in value]
        if isinstance(value, PerSample)
        else [np.asarray(value, DTYPES[name])] * count
        for name, value in given.items()
    }
    return Plan(**({"lam": None, "size": None} | named))


@dataclass
class Batch:
    """One call of the operator. `windows` are as in `reference.apply`."""

    images: list[np.ndarray]
    plan: Plan
    others: list[np.ndarray] | None = None
    fitted: list[np.ndarray] | None = None
    copied: int | None = None
    layout: str = "HWC"
    output_layout: str = "CHW"
    dtype: type = np.float32
    pad_output: bool = False
    windows: list[dict] | None = None
    normalization: dict = field(default_factory=dict)

    def but(self, **changes: Any) -> Batch:
        return replace(self, **changes)

    def node(self, device: str = "cpu", **options: Any) -> Any:
        """The node of the operator on these arrays, for the graph of a pipeline."""
        columns = {
            name: node_of(PerSample(column))
            for name, column in self.plan._asdict().items()
            if column is not None and name not in ("lam", "mask")
        }
        further = {"others": self.others, "fitted": self.fitted, "mask": self.plan.mask}
        further = {name: values for name, values in further.items() if values is not None}
        layouts = {"others": self.layout, "fitted": self.layout, "mask": ""}
        images = feed([self.images], self.layout, device, **options)
        inputs = [
            feed([values], layouts[name], device, **options) for name, values in further.items()
        ]
        return fn.dali_mix.apply(
            images, *inputs, inputs=list(further), **columns, **self.arguments(), **self.seen()
        )

    def arguments(self) -> dict:
        given = {"output_layout": self.output_layout, "pad_output": self.pad_output}
        if self.copied is not None:
            return given | {"copied": self.copied}
        return given | {"dtype": DALI_TYPES[self.dtype]} | self.normalization

    def seen(self) -> dict:
        windows = self.windows or []
        given: dict = {}
        if any("mirror" in w for w in windows):
            given["mirror"] = node_of(PerSample(int(w.get("mirror", 0)) for w in windows))
        if any(w.get("crop") for w in windows):
            crop = [np.float32(w["crop"]) for w in windows]
            y, x = zip(*(w.get("crop_pos", (0.5, 0.5)) for w in windows), strict=True)
            given["crop"] = node_of(PerSample(crop))
            given["crop_pos_y"] = node_of(PerSample(np.float32(y)))
            given["crop_pos_x"] = node_of(PerSample(np.float32(x)))
        return given

    def run(self, device: str = "cpu", **options: Any) -> list[np.ndarray]:
        count = len(self.images)
        return run(lambda: self.node(device, **options), batch_size=count, device=device)[0]

    def expected(self, **changes: Any) -> list[np.ndarray]:
        given: dict = {
            "plan": self.plan,
            "images": self.images,
            "others": self.others,
            "fitted": self.fitted,
            "copied": self.copied,
            "dtype": self.dtype,
            "input_layout": self.layout,
            "output_layout": self.output_layout,
            "pad_output": self.pad_output,
            "windows": self.windows,
        }
        return reference.apply(**(given | self.normalization | changes))

    def magnitudes(self) -> list[np.ndarray]:
        """For each value of the outputs, the sum of the absolute terms of its computation."""
        mean, std, scale, shift = (
            np.float64(np.float32(self.normalization.get(name, usual)))
            for name, usual in (("mean", 0), ("std", 1), ("scale", 1), ("shift", 0))
        )
        black = {"mean": 0.0, "shift": 0.0, "scale": abs(scale), "std": np.abs(std)}
        batches = {
            name: batch and [np.abs(image.astype(np.float64)) for image in batch]
            for name, batch in (
                ("images", self.images),
                ("others", self.others),
                ("fitted", self.fitted),
            )
        }
        offset = float(np.max(np.abs(shift - mean * (scale / std))))
        products = self.expected(dtype=np.float64, **black, **batches)
        return [values + offset for values in products]

    def assert_defined(self, device: str = "cpu", **options: Any) -> None:
        """Assert that the operator gives what the reference gives. Copied values are equal. Others
        may differ by half a unit in the last place for each operation, of the sum of the absolute
        terms."""
        outputs = self.run(device, **options)
        if self.copied is not None:
            for actual, expected in zip(outputs, self.expected(), strict=True):
                assert actual.dtype == expected.dtype
                np.testing.assert_array_equal(actual, expected)
            return
        images = 1 + np.size(self.plan.partner[0])
        every = zip(outputs, self.expected(dtype=np.float64), self.magnitudes(), strict=True)
        for actual, value, magnitude in every:
            assert actual.dtype == self.dtype and actual.shape == value.shape
            assert_casts(actual, value, magnitude * images / 2)

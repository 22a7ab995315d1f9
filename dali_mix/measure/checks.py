"""Before anything is timed: every DALI contestant is right, by `dali_mix.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dali_mix import reference
from dali_mix.measure.graphs import MEAN, STD, Graph, Mixed
from dali_mix.measure.pipelines import Settings, Task, jpeg_pipeline
from dali_mix.plan import Plan

TOLERANCE = {"float32": 1e-5, "float16": 4e-3}
"""Largest difference of a normalised pixel: two ulp, and more where DALI blends in float32."""


def check_pipeline(name: str, task: Task, settings: Settings, graph: Graph) -> None:
    """The first batch is what the reference makes of the same decoded images by the same plan, and
    the pipeline that is timed draws the same. Raises AssertionError."""
    mixed = check_probe(name, jpeg_pipeline(task, settings, graph, probe=True), task.dtype)
    timed = [np.asarray(b.as_tensor()) for b in _on_cpu(jpeg_pipeline(task, settings, graph).run())]
    assert timed[0].shape == (task.batch, 3, task.size, task.size), f"{name}: {timed[0].shape}"
    assert timed[0].dtype == task.dtype, f"{name}: {timed[0].dtype}"
    for found, expected in zip(timed[1:], mixed.outputs[1:], strict=True):
        np.testing.assert_array_equal(found, np.stack(expected), err_msg=name)


def check_probe(name: str, probe: Any, dtype: str) -> Mixed:
    """Run a pipeline made with `probe`, check what it puts out, and return that as arrays."""
    columns = [[np.asarray(sample) for sample in batch] for batch in _on_cpu(probe.run())]
    *parts, images, mirror = columns
    mixed = Mixed(*parts)
    check_mixed(name, mixed, images, mirror, dtype)
    return mixed


def check_mixed(name: str, mixed: Mixed, images: Any, mirror: Any, dtype: str) -> None:
    """`mixed`: a batch as lists of arrays; `images`: the decoded ones that it was made of."""
    count = len(images)
    partner = np.arange(count) if mixed.partner is None else np.stack(mixed.partner).reshape(-1)
    lam = np.ones(count) if mixed.lam is None else np.stack(mixed.lam).reshape(-1)
    box = np.zeros((count, 4), int) if mixed.box is None else np.stack(mixed.box)
    blend = np.where(box.any(1), 1.0, lam)
    expected = reference.apply(
        list(images),
        Plan(partner, blend, box, lam, None),
        mean=MEAN,
        std=STD,
        dtype=np.float64,
        windows=[{"mirror": bool(flag)} for flag in mirror],
    )
    for x, wanted in zip(mixed.x, expected, strict=True):
        np.testing.assert_allclose(x, wanted, rtol=0, atol=TOLERANCE[dtype], err_msg=name)
    if mixed.partner is not None:
        y1, y2 = np.stack(mixed.y1), np.stack(mixed.y2)
        np.testing.assert_array_equal(y2, y1[partner], err_msg=f"{name}: labels")
        assert (partner != np.arange(count)).any(), f"{name}: nothing is mixed"
    if mixed.box is not None:
        for i, edges in enumerate(box):
            if edges.any():
                counted = reference.count_lam(tuple(edges), images[i].shape[:2])
                assert lam[i] == counted, f"{name}: lam {lam[i]}, but {counted} is own"


def _on_cpu(outputs: Any) -> list[Any]:
    return [batch.as_cpu() for batch in outputs]

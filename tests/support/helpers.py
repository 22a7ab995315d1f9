"""Helpers for the tests of the operators: pipelines over given arrays, images whose pixels tell
where they came from, and tests of random laws."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from nvidia.dali import Pipeline, fn, types
from scipy import stats

import dali_mix
import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.commands import doctor
from dali_mix.plan import Plan

DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]
# Values of DALI_MIX_CPU that make a difference here, the portable loops first.
CPU_PATHS = doctor.cpu_paths(doctor.cpu_flags())[::-1]
DALI_TYPES = {
    np.float32: types.FLOAT,
    np.float16: types.FLOAT16,
    np.uint8: types.UINT8,
    np.int8: types.INT8,
}
UNMIXED = Plan(None, None, None, None, None)


class PerSample(list):
    """Values of an argument, one for each sample. `node_of` makes a DALI tensor of them."""


def arrays(batch: Any) -> list[np.ndarray]:
    """The samples of a DALI output (pipeline or dynamic mode, CPU or GPU), copied."""
    if hasattr(batch, "as_cpu"):
        batch = batch.as_cpu()
    elif hasattr(batch, "cpu"):
        batch = batch.cpu()
    return [np.array(sample) for sample in batch]


def stacked(batch: Any) -> np.ndarray:
    return np.stack(arrays(batch))


def feed(batches: Sequence[Sequence[np.ndarray]], layout: str = "", device: str = "cpu", **options):
    """An input that gives the batches in turn, again and again. It can be checkpointed."""
    node = fn.external_source(
        source=lambda iteration: batches[iteration % len(batches)],
        batch=True,
        layout=layout or None,
        **options,
    )
    return node.gpu() if device == "gpu" else node


def flatten(outputs: Any) -> list[Any]:
    if isinstance(outputs, Plan):
        outputs = outputs.columns
    if isinstance(outputs, (tuple, list)):
        return [node for part in outputs for node in flatten(part)]
    return [] if outputs is None else [outputs]


def build(
    graph: Callable[[], Any],
    *,
    batch_size: int,
    device: str = "cpu",
    seed: int = 1,
    **options: Any,
) -> Pipeline:
    """A pipeline that outputs what `graph()` returns, flattened."""
    options = {"num_threads": 2, "prefetch_queue_depth": 1} | options
    device_id = 0 if device == "gpu" else None
    pipeline = Pipeline(batch_size=batch_size, device_id=device_id, seed=seed, **options)
    with pipeline:
        pipeline.set_outputs(*flatten(graph()))
    return pipeline


def run(graph: Callable[[], Any], **options: Any) -> list[list[np.ndarray]]:
    """The outputs of one iteration, each a list of arrays."""
    return [arrays(output) for output in build(graph, **options).run()]


def run_on(
    images: Sequence[np.ndarray],
    graph: Callable[..., Any],
    *labels: Sequence[Any],
    layout: str = "HWC",
    device: str = "cpu",
    **options: Any,
) -> list[list[np.ndarray]]:
    """`graph(images, *labels)` once over these arrays. Labels stay on the CPU."""

    def whole():
        nodes = [feed([[np.asarray(value) for value in batch]]) for batch in labels]
        return graph(feed([images], layout, device), *nodes)

    return run(whole, batch_size=max(len(images), 1), device=device, **options)


def node_of(value: Any) -> Any:
    """A PerSample as a DALI tensor; everything else unchanged."""
    if not isinstance(value, PerSample):
        return value
    values = [np.asarray(v) for v in value]
    narrow = {np.dtype(np.int64): np.int32, np.dtype(np.float64): np.float32}
    return feed([[v.astype(narrow.get(v.dtype, v.dtype)) for v in values]])


def apply(
    images: Sequence[np.ndarray],
    plan: Plan = UNMIXED,
    *,
    layout: str = "HWC",
    device: str = "cpu",
    **arguments: Any,
) -> list[np.ndarray]:
    """`dmix.apply` once. Columns of the plan are arrays, one row for each sample."""
    arguments["dtype"] = DALI_TYPES[arguments.get("dtype", np.float32)]

    def graph(x):
        columns = [None if c is None else node_of(PerSample(c)) for c in plan]
        given = {name: node_of(value) for name, value in arguments.items()}
        return dmix.apply(x, Plan(*columns), **given)

    return run_on(images, graph, layout=layout, device=device)[0]


def draw(batch_size: int, method: Any = None, *, runs: int = 1, device: str = "cpu", **arguments):
    """Plans of `runs` successive batches for outputs of 32 x 48: a `Plan` of arrays (runs, batch,
    ...). Masks are lists of lists, because their sizes differ."""
    method = method if method is not None else dali_mix.MixUp(1.0)
    options = {name: arguments.pop(name) for name in ("seed", "num_threads") if name in arguments}
    depth = arguments.pop("prefetch_queue_depth", 1)
    plans: list[Plan] = []

    def graph():
        given = {name: node_of(value) for name, value in arguments.items()}
        plans.append(dmix.plan(None, None, method, **({"size": (32, 48)} | given)))
        return plans[0]

    pipeline = build(graph, batch_size=batch_size, prefetch_queue_depth=depth, **options)
    batches = [pipeline.run() for _ in range(runs)]
    return drawn_plan(plans[0], batches)


def drawn_plan(nodes: Plan, batches: Sequence[Any]) -> Plan:
    """The columns that `nodes` has, over several batches."""
    names = [name for name, node in nodes._asdict().items() if node is not None]
    columns: dict[str, Any] = dict.fromkeys(Plan._fields)
    for k, name in enumerate(names):
        read = arrays if name == "mask" else stacked
        columns[name] = [read(batch[k]) for batch in batches]
        columns[name] = columns[name] if name == "mask" else np.stack(columns[name])
    return Plan(**columns)


def columns_of(plan: Plan) -> list[Any]:
    """The columns that a plan has."""
    return [column for column in plan if column is not None]


def fingerprints(count: int, height: int, width: int) -> list[np.ndarray]:
    """(H, W, 3) uint8 images whose pixel (y, x) of sample i is (i, y, x)."""
    y, x = np.mgrid[:height, :width]
    return [np.stack([np.full_like(y, i), y, x], -1).astype(np.uint8) for i in range(count)]


def random_images(rng: np.random.Generator, shapes, dtype=np.uint8) -> list[np.ndarray]:
    if dtype == np.uint8:
        return [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    return [rng.normal(0, 50, shape).astype(dtype) for shape in shapes]


def definition(images, plan: Plan, windows, mean=0.0, std=1.0, scale=1.0, shift=0.0):
    """For each sample, as (H, W, C) float64: the value before the cast, and the largest absolute
    term or partial sum of its computation."""
    mean, std, scale, shift = (
        np.asarray(value, np.float32).astype(np.float64) for value in (mean, std, scale, shift)
    )
    k = scale / std
    s = shift - mean * k
    seen = [reference.window(x, **kw) for x, kw in zip(images, windows, strict=True)]
    for i, own in enumerate(seen):
        j = int(plan.partner[i])
        size = own.shape[:2]
        w = np.ones(size)
        if j != i:
            w = reference.own_weight(plan.blend[i], tuple(plan.box[i]), size)
        nothing = np.zeros_like(own)
        weights = np.stack([w, 1 - w])
        a = reference.mix_images([own, nothing], weights, k, 0.0)
        b = reference.mix_images([nothing, seen[j] if j != i else nothing], weights, k, 0.0)
        value = a + (b + s)
        yield value, np.max(np.abs([a, b, np.broadcast_to(s, own.shape), b + s, value]), axis=0)


def assert_casts(actual: np.ndarray, value: np.ndarray, largest: np.ndarray) -> None:
    """Assert that `actual` is the cast of a number within the promised distance of `value`: 2 ulp
    (float32) of the largest term or sum, and at least 1e-5 for integers."""
    slack = 2 * np.spacing(largest.astype(np.float32)).astype(np.float64)
    if actual.dtype.kind in "iu":
        slack = np.maximum(slack, 1e-5)
    if actual.dtype == np.float32:
        assert np.all(np.abs(actual - value) <= slack)
        return
    low, high = (reference.cast(value + sign * slack, actual.dtype) for sign in (-1, 1))
    assert np.all((low <= actual) & (actual <= high))


def ks_accepts(sample, cdf, upto=1 - 1e-6):
    """The Kolmogorov-Smirnov test at the level 1/1000, below `upto`, since float32 has few values
    close to 1."""
    sample = np.sort(sample.ravel())
    n, seen = sample.size, sample[sample < upto]
    expected = cdf(seen.astype(np.float64))
    after = np.searchsorted(sample, seen, "right") / n
    before = np.searchsorted(sample, seen, "left") / n
    distance = max(np.max(after - expected), np.max(expected - before))
    return distance < 1.95 / np.sqrt(n)


def folded(alpha):
    """The distribution function of max(t, 1 - t), with t from Beta(alpha, alpha)."""
    law = stats.beta(alpha, alpha)
    return lambda x: np.where(x < 0.5, 0.0, law.cdf(x) - law.cdf(1 - x))


def chi2_accepts(counts, expected=None):
    return stats.chisquare(counts, expected).pvalue > 1e-3


def chosen(plan):
    """The method of each sample: 0 mixup, 1 cutmix. For plans with a given lam, which mix every
    sample."""
    return plan.box.any(-1).astype(int)


def sentence_of(graph, images=None, layout="HWC", error=ValueError):
    """The error message of the operator, without the text and source lines that DALI adds."""
    images = fingerprints(4, 6, 8) if images is None else images
    with pytest.raises(error) as caught:
        run_on(images, graph, layout=layout)
    text = str(caught.value).split("encountered:\n")[-1]
    return text.split("Current pipeline object")[0].strip()


def said(error, call, *arguments, **named):
    """The message of the error that the call raises. It must be a sentence on one line."""
    with pytest.raises(error) as caught:
        call(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text and text.endswith((".", "?")), text
    return text


def assert_refused(sentence, graph, **options):
    said = sentence_of(graph, **options)
    assert re.fullmatch(sentence, said), said
    assert "Assert on" not in said and said.endswith(".")


def per_sample(value, index=2, other=0.5, count=4):
    """`value` for the sample `index`, and `other` for the rest."""
    return PerSample([value if i == index else other for i in range(count)])

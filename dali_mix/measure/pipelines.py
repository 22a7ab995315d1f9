"""The DALI pipelines that measure the contestants, from JPEG files or from decoded images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dali_mix.images.class_folders import listed
from dali_mix.images.reader import read
from dali_mix.measure.checks import check_probe
from dali_mix.measure.graphs import GRAPHS, Graph, arguments
from dali_mix.measure.headers import ON_DEMAND, check_headers
from dali_mix.measure.operators import COPY, SYNCHRONOUS, Case, copying, samples_of
from dali_mix.measure.outputs import Mixed, Output
from dali_mix.measure.segments import Loader
from dali_mix.plan import Plan

# isort: split
from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline


class Task(NamedTuple):
    """What every contestant computes."""

    root: str
    """Folder with one folder of images for each class."""
    batch: int
    size: int
    """Height and width of the output, in pixels."""
    dtype: str
    """"float32" or "float16"; the layout is CHW."""
    device: str
    """"cpu" or "gpu"."""
    seed: int


class Settings(NamedTuple):
    """Settings for the machine. All DALI contestants have the same."""

    threads: int
    prefetch: int = 2
    hw_decoder_load: float = 0.65
    """Share of the images that the JPEG unit of a GPU decodes. The default is DALI's."""


class Probe(NamedTuple):
    """A pipeline that also returns what a check needs."""

    pipeline: Pipeline
    shown: Mixed
    """What the graph returned."""

    def run(self) -> tuple[Mixed, list[np.ndarray], list[np.ndarray]]:
        """The next batch as arrays on the CPU: the mixed one, its images and their mirror flags."""
        columns = [
            [np.asarray(sample) for sample in batch.as_cpu()] for batch in self.pipeline.run()
        ]
        *_, images, mirror = columns
        x, *rest = columns[:-2]
        labels, rest = rest[: len(self.shown.labels)], rest[len(self.shown.labels) :]
        plan = self.shown.plan
        if plan is not None:
            values = iter(rest)
            plan = Plan(*(None if column is None else next(values) for column in plan))
        return self.shown._replace(x=x, labels=tuple(labels), plan=plan), images, mirror


def _probed(mixed: Mixed, images: Any, mirror: Any) -> list[Any]:
    columns = () if mixed.plan is None else mixed.plan.columns
    return [mixed.x, *mixed.labels, *columns, images, mirror]


def jpeg_pipeline(task: Task, settings: Settings, graph: Graph) -> Pipeline:
    """A pipeline that reads JPEG files, decodes, crops, resizes and mirrors them, and runs `graph`.

    It returns what a training loop reads. A ValueError names files with headers that cannot be
    read.
    """
    return _jpegs(task, settings, graph, probing=False).pipeline


def jpeg_probe(task: Task, settings: Settings, graph: Graph) -> Probe:
    """The same pipeline, as a probe."""
    return _jpegs(task, settings, graph, probing=True)


def _jpegs(task: Task, settings: Settings, graph: Graph, *, probing: bool) -> Probe:
    check_headers(task.root, settings.threads)
    on_gpu = task.device == "gpu"
    pipeline = Pipeline(
        batch_size=task.batch,
        num_threads=settings.threads,
        device_id=0 if on_gpu else None,
        seed=task.seed,
        prefetch_queue_depth=settings.prefetch,
    )
    with pipeline:
        files, labels = read(task.root, listed(task.root), random_shuffle=True)
        images = fn.decoders.image_random_crop(files, **_decoder(on_gpu, settings))
        images = fn.resize(images, size=(task.size, task.size), interp_type=types.INTERP_LINEAR)
        mirror = fn.random.coin_flip(dtype=types.INT32)
        mixed = graph(images, labels, mirror, arguments(Output(task.dtype)))
        if probing:
            outputs = _probed(mixed, images, mirror)
        else:
            outputs = [node.gpu() if on_gpu else node for node in mixed.outputs]
        pipeline.set_outputs(*outputs)
    pipeline.build()
    return Probe(pipeline, mixed)


def _decoder(on_gpu: bool, settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"output_type": types.RGB, "device": "mixed" if on_gpu else "cpu"}
    if on_gpu:
        options["hw_decoder_load"] = settings.hw_decoder_load
    return options


def array_pipeline(
    batches: Sequence[Any],
    graph: Graph,
    output: Output,
    *,
    threads: int,
    seed: int,
    device: str = "cpu",
    on_demand: bool = True,
    probing: bool = False,
) -> Probe:
    """A pipeline that runs `graph` on decoded images. They are fed in turn and not copied.

    batches:   (N, H, W, 3) uint8 arrays, or tensors on the GPU
    on_demand: nothing is computed in advance; else DALI's default executor computes in advance
    probing:   return what a check needs, not only what a training loop reads
    """
    on_gpu = device == "gpu"
    labels = [np.array([i], np.int32) for i in range(len(batches[0]))]
    # The plan is drawn on the CPU. Only in the dynamic executor can it read shapes of GPU images.
    pipeline = Pipeline(
        batch_size=len(batches[0]),
        num_threads=threads,
        device_id=0 if on_gpu else None,
        seed=seed,
        **({**ON_DEMAND, "exec_dynamic": on_gpu} if on_demand else {}),
    )
    with pipeline:
        images = fn.external_source(
            itertools.cycle(batches), layout="HWC", batch=True, no_copy=True, device=device
        )
        places = fn.external_source(itertools.cycle([labels]), batch=True)
        mirror = fn.random.coin_flip(dtype=types.INT32)
        mixed = graph(images, places, mirror, arguments(output))
        pipeline.set_outputs(*(_probed(mixed, images, mirror) if probing else mixed.outputs))
    pipeline.build()
    return Probe(pipeline, mixed)


def dali_loader(task: Task, settings: Settings, graph: Graph) -> Loader:
    """A loader of the pipeline. Its queue is full and one more batch is begun when it rests."""
    pipeline = jpeg_pipeline(task, settings, graph)
    return Loader(pipeline.run, task.batch, ahead=settings.prefetch + 1)


def check_pipeline(name: str, task: Task, settings: Settings, graph: Graph) -> None:
    """An AssertionError unless the first batch is what the reference makes from the same decoded
    images and plan, and the timed pipeline draws the same plan."""
    output = Output(task.dtype)
    mixed = check_probe(name, jpeg_probe(task, settings, graph), output)
    outputs = jpeg_pipeline(task, settings, graph).run()
    timed = [np.asarray(batch.as_cpu().as_tensor()) for batch in outputs]
    assert timed[0].shape == (task.batch, 3, task.size, task.size), f"{name}: {timed[0].shape}"
    assert timed[0].dtype == task.dtype, f"{name}: {timed[0].dtype}"
    for found, expected in zip(timed[1:], mixed.outputs[1:], strict=True):
        np.testing.assert_array_equal(found, np.stack(expected), err_msg=name)


def runner(case: Case, graph: Graph) -> Callable[[], Any]:
    """A function that runs the pipeline of a contestant once."""
    run: Callable[..., Any] = _pipeline(case, graph).pipeline.run
    if case.device == "cpu":
        return run
    import torch

    # Results come on torch's stream, so that no contestant waits for the GPU after each batch.
    return lambda: run(torch.cuda.current_stream())


def check(case: Case, graphs: Mapping[str, Graph]) -> None:
    """An AssertionError unless every contestant mixes some of the samples by its plan."""
    samples = samples_of(case.count)
    for name, graph in graphs.items():
        check_probe(name, _pipeline(case, graph, probing=True), case.output, samples)


def _pipeline(case: Case, graph: Graph, *, probing: bool = False) -> Any:
    images = case.tensors if case.device == "gpu" else case.batches
    return array_pipeline(
        images,
        graph,
        case.output,
        threads=case.threads,
        seed=case.seed,
        device=case.device,
        on_demand=probing or case.executor == SYNCHRONOUS,
        probing=probing,
    )


def contestants(
    case: Case, graphs: Mapping[str, Graph] = GRAPHS
) -> dict[str, Callable[[], object]]:
    """The copy and the graphs, checked."""
    check(case, graphs)
    return {COPY: copying(case)} | {name: runner(case, graph) for name, graph in graphs.items()}

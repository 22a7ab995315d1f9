"""The contestants of bench/operators.py that are DALI graphs: ours and stock ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import nvidia.dali as dali
from nvidia.dali import fn, math, types

import dali_mix
import dali_mix.fn as dmix
from bench.operators_case import MEAN, STD, Case, Contestant, Contestants, Mixed
from dali_mix.measure.graphs import cmn_then_stock, stock_then_cmn

DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}
Output = dict[str, Any]
"""Arguments that crop_mirror_normalize and dali_mix share."""


def contestants(case: Case) -> Contestants:
    found = {
        "feed": Contestant(runner(case, _feed), images_read=0),
        "cmn": Contestant(runner(case, _cmn), _read_unmixed, images_read=1),
        "dali_mix unmixed": Contestant(runner(case, _ours_unmixed), _read_unmixed, images_read=1),
    }
    found |= {
        name: Contestant(runner(case, graph), partial(read, cut=cut))
        for name, (graph, cut) in {
            "dali_mix mixup": (_ours(dali_mix.MixUp(alpha=1.0, fold=False)), False),
            "dali_mix cutmix": (_ours(dali_mix.CutMix(alpha=1.0)), True),
            "DALI stock, then cmn": (_stock(stock_then_cmn), False),
            "cmn, then DALI stock": (_stock(cmn_then_stock), False),
            "DALI stock CutMix, then cmn": (partial(_stock_cutmix, case), True),
        }.items()
    }
    return found


def runner(case: Case, graph: Callable[..., Any]) -> Callable[[], Any]:
    """Runs a pipeline that feeds the images of `case` to `graph(images, mirror, output)`."""
    output = {"mean": list(MEAN), "std": list(STD), "dtype": DTYPES[case.dtype]}
    output |= {"output_layout": case.layout, **case.output}
    on_gpu = case.device == "gpu"

    @dali.pipeline_def(
        batch_size=case.count,
        num_threads=case.threads,
        device_id=0 if on_gpu else None,
        seed=case.seed,
        prefetch_queue_depth=1,
        # Only the dynamic executor shows the shapes of GPU images to the plan, which is drawn on
        # the CPU. Either way one batch after the other: nothing runs between the samples.
        exec_dynamic=on_gpu,
        exec_pipelined=False,
        exec_async=False,
    )
    def define() -> Any:
        batches = itertools.cycle(case.tensors if on_gpu else case.batches)
        images = fn.external_source(
            batches, layout="HWC", batch=True, no_copy=True, device=case.device
        )
        return graph(images, fn.random.coin_flip(dtype=types.INT32), output)

    built = define()
    built.build()
    if not on_gpu:
        return built.run
    import torch

    # Results are handed out on torch's stream, so that no row waits for the GPU after each batch.
    return lambda: built.run(torch.cuda.current_stream())


def _columns(outputs: Any) -> list[np.ndarray]:
    x, *told = (np.stack([np.asarray(x) for x in column.as_cpu()]) for column in outputs)
    return [x, *(column.reshape(len(x)) for column in told)]


def read(outputs: Any, cut: bool = False) -> Mixed:
    """Of a graph that returns x, partner, lam, the mirror flags, and those of the partners."""
    x, partner, lam, mirror, *partner_mirror = _columns(outputs)
    return Mixed(x, partner, lam, cut, mirror, *partner_mirror)


def _read_unmixed(outputs: Any) -> Mixed:
    x, mirror = _columns(outputs)
    return Mixed(x, np.arange(len(x)), np.ones(len(x)), mirror=mirror)


def _feed(images: Any, mirror: Any, output: Output) -> Any:
    # The images themselves, as an output, would be copied, which they are in no other row.
    return images.shape(), mirror


def _cmn(images: Any, mirror: Any, output: Output) -> Any:
    return fn.crop_mirror_normalize(images, mirror=mirror, **output), mirror


def _ours_unmixed(images: Any, mirror: Any, output: Output) -> Any:
    plan = dali_mix.Plan(None, None, None, None, None)
    return dmix.apply(images, plan, mirror=mirror, **output), mirror


def _ours(method: Any) -> Callable[..., Any]:
    def graph(images: Any, mirror: Any, output: Output) -> Any:
        x, plan = dmix.mix(images, None, method, mirror=mirror, **output)
        return x, plan.partner, plan.lam, mirror

    return graph


def _stock(mix: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    def graph(images: Any, mirror: Any, output: Output) -> Any:
        return *mix(images, mirror, output), mirror

    return graph


def _stock_cutmix(case: Case, images: Any, mirror: Any, output: Output) -> Any:
    """CutMix as it is composed from stock operators: the partner pasted over the image, both then
    mirrored together, which is the cheaper way."""
    partner = fn.batch_permutation(no_fixed_points=True)
    side = math.sqrt(1 - fn.random.beta(alpha=1.0, beta=1.0))
    (top, bottom), (left, right) = (
        _clipped_span(side, length) for length in (case.height, case.width)
    )
    own = fn.external_source(lambda: np.arange(case.count, dtype=np.int32)[:, None], batch=True)
    corner = fn.stack(fn.stack(0, 0), fn.stack(top, left))
    x = fn.multi_paste(
        images,
        in_ids=fn.cat(own, fn.reshape(partner, shape=[1])),
        in_anchors=corner,
        out_anchors=corner,
        shapes=fn.stack(fn.stack(case.height, case.width), fn.stack(bottom - top, right - left)),
        output_size=[case.height, case.width],
    )
    area = fn.cast((bottom - top) * (right - left), dtype=types.FLOAT)
    lam = 1 - area / float(case.height * case.width)
    x, mirror = _cmn(x, mirror, output)
    return x, partner, lam, mirror, mirror


def _clipped_span(side: Any, length: int) -> tuple[Any, Any]:
    """Ends of a span of `side` times `length` about a uniform centre."""
    span = fn.cast(math.floor(side * float(length)), dtype=types.INT32)
    centre = fn.random.uniform(range=[0.0, float(length)])
    begin = fn.cast(math.floor(centre), dtype=types.INT32) - span // 2
    return math.clamp(begin, 0, length), math.clamp(begin + span, 0, length)

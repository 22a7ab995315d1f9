"""Further DALI contestants than `dali_mix.measure.graphs`: unmixed, CutMix, and every method."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from nvidia.dali import fn, types
from nvidia.dali import math as dali_math

import dali_mix
import dali_mix.fn as dmix
from bench.operators.rows import FEED
from dali_mix.measure import pipelines
from dali_mix.measure.graphs import GRAPHS, Graph, ours, unmixed
from dali_mix.measure.operators import Case
from dali_mix.measure.outputs import UNMIXED, Mixed
from dali_mix.methods import METHODS, CutMix, MixUp, Mosaic, PatchMix

Run = Callable[[], Any]


def contestants(case: Case, *, methods: bool) -> dict[str, Run]:
    """The copy and the graphs, checked. `methods`: add one for every other method of dali_mix."""
    height, width = case.batches[0].shape[1:3]
    graphs = {UNMIXED: GRAPHS[UNMIXED], "dali_mix unmixed": ours_unmixed} | GRAPHS
    graphs["DALI stock CutMix, then cmn"] = stock_cutmix(case.count, height, width)
    if methods:
        graphs |= {f"dali_mix {n}": ours(m) for n, m in other_methods(height, width).items()}
    return {FEED: pipelines.runner(case, feed)} | pipelines.contestants(case, graphs)


def other_methods(height: int, width: int) -> dict[str, Any]:
    """All methods except mixup and cutmix, and mixup of pairs of any sizes."""
    patch = math.gcd(height, 16), math.gcd(width, 16)
    found: dict[str, Any] = {kind.name: kind for kind in METHODS if kind not in (MixUp, CutMix)}
    found["mixup overlap"] = partial(MixUp, overlap=True)
    found["patchmix"] = partial(PatchMix, patch=patch)
    found["patchmix patches"] = partial(PatchMix, patch=patch, shape="patches")
    found["mosaic"] = partial(Mosaic, (height // 2, width // 2))
    return {name: make() for name, make in found.items()}


def feed(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    # If the images were an output, they would be copied, and no other row copies them.
    return Mixed(images.shape(), (labels, mirror))


def ours_unmixed(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
    plan = dali_mix.Plan(None, None, None, None, None)
    return Mixed(dmix.apply(images, plan, mirror=mirror, **output), (labels,))


def stock_cutmix(count: int, height: int, width: int) -> Graph:
    """CutMix from DALI's own operators. The partner is pasted over the image, and both are then
    mirrored together, which costs less."""

    def graph(images: Any, labels: Any, mirror: Any, output: dict[str, Any]) -> Mixed:
        partner = fn.batch_permutation(no_fixed_points=True)
        side = dali_math.sqrt(1 - fn.random.beta(alpha=1.0, beta=1.0))
        (top, bottom), (left, right) = (_span(side, length) for length in (height, width))
        corner = fn.stack(fn.stack(0, 0), fn.stack(top, left))
        pasted = fn.multi_paste(
            images,
            in_ids=fn.cat(fn.reshape(labels, shape=[1]), fn.reshape(partner, shape=[1])),
            in_anchors=corner,
            out_anchors=corner,
            shapes=fn.stack(fn.stack(height, width), fn.stack(bottom - top, right - left)),
            output_size=[height, width],
        )
        area = fn.cast((bottom - top) * (right - left), dtype=types.FLOAT)
        told = dali_mix.Plan(partner, None, None, 1 - area / float(height * width), None)
        paired = (labels, fn.permute_batch(labels, indices=partner))
        x = unmixed(pasted, labels, mirror, output).x
        return Mixed(x, paired, told, cut=True, mirrored_together=True)

    return graph


def _span(side: Any, length: int) -> tuple[Any, Any]:
    """Begin and end of a span of `side` times `length` around a uniform centre, clipped."""
    span = fn.cast(dali_math.floor(side * float(length)), dtype=types.INT32)
    centre = fn.random.uniform(range=[0.0, float(length)])
    begin = fn.cast(dali_math.floor(centre), dtype=types.INT32) - span // 2
    return dali_math.clamp(begin, 0, length), dali_math.clamp(begin + span, 0, length)

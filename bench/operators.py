"""One batch of decoded uint8 images to a mixed, normalised tensor: dali_mix against the others.

    floor                 no arithmetic: read both images, write as many bytes, same threads
    feed                  external_source alone: what every DALI row below contains
    cmn                   DALI's crop_mirror_normalize, NOT mixing: the baseline
    dali_mix …            mixup, cutmix, and apply without a plan, with mirror flags as cmn has
    DALI stock …          mixup of permute_batch and arithmetic, before or after cmn
    torch eager           index, lerp, normalise on the whole batch, as fastai mixes
    torch.compile         the same, compiled
    timm …                Mixup, per batch and per sample (elem), on normalised tensors

A row is the time of one batch, one whole `pipeline.run()` for the DALI rows, fed without a copy, on
the synchronous executor. Results are checked before they are timed. "net" takes the feed off: the
speed of the operator relative to cmn without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import nvidia.dali as dali
from nvidia.dali import fn, types

import dali_mix
import dali_mix.fn as dmix
from bench import torch_peers
from bench.floor import floor
from dali_mix import _harness as harness

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}
BASELINE = "cmn"


class Case(NamedTuple):
    """What is measured: everything that a contestant needs to know."""

    batches: list[list[np.ndarray]]
    """A few batches of (H, W, 3) uint8 images, fed in turn."""
    dtype: str
    layout: str
    threads: int
    seed: int

    @property
    def out_bytes(self) -> int:
        return self.batches[0][0].size * np.dtype(self.dtype).itemsize


def make_case(batch: int, size: int, dtype: str, layout: str, options: Any) -> Case:
    rng = np.random.default_rng(options.seed)
    shape = (batch, size, size, 3)
    batches = [list(rng.integers(0, 256, shape, np.uint8)) for _ in range(3)]
    return Case(batches, dtype, layout, options.threads, options.seed)


def pipeline(case: Case, graph: Callable[..., Any]) -> Any:
    """A built pipeline that feeds the images of `case` to `graph(images, mirror, output)`."""

    def feed() -> Iterator[list[np.ndarray]]:
        while True:
            yield from case.batches

    output = {"mean": MEAN, "std": STD, "dtype": DTYPES[case.dtype], "output_layout": case.layout}
    if case.dtype == "uint8":
        output |= {"scale": 40.0, "shift": 128.0}

    @dali.pipeline_def(
        batch_size=len(case.batches[0]),
        num_threads=case.threads,
        device_id=None,
        seed=case.seed,
        prefetch_queue_depth=1,
        exec_dynamic=False,
        exec_pipelined=False,
        exec_async=False,
    )
    def define() -> Any:
        images = fn.external_source(feed(), layout="HWC", batch=True, no_copy=True)
        return graph(images, fn.random.coin_flip(dtype=types.INT32), output)

    built = define()
    built.build()
    return built


def cmn(images: Any, mirror: Any, output: dict[str, Any]) -> Any:
    return fn.crop_mirror_normalize(images, mirror=mirror, **output)


def ours(methods: Any) -> Callable[..., Any]:
    def graph(images: Any, mirror: Any, output: dict[str, Any]) -> Any:
        x, plan = dmix.mix(images, None, methods, mirror=mirror, **output)
        return (x, plan.partner, plan.lam, mirror)

    return graph


def ours_unmixed(images: Any, mirror: Any, output: dict[str, Any]) -> Any:
    return dmix.apply(images, dali_mix.Plan(None, None, None, None, None), mirror=mirror, **output)


def stock(*, normalize_first: bool) -> Callable[..., Any]:
    """Mixup as it is composed from stock operators."""

    def blend(x: Any, partner: Any, lam: Any) -> Any:
        return x * lam + fn.permute_batch(x, indices=partner) * (1 - lam)

    def graph(images: Any, mirror: Any, output: dict[str, Any]) -> Any:
        partner = fn.batch_permutation(no_fixed_points=True)
        lam = fn.random.beta(alpha=1.0, beta=1.0)
        if normalize_first:
            # DALI's arithmetic takes no float16: normalise to float32, mix, then cast.
            x = cmn(images, mirror, {**output, "dtype": types.FLOAT})
            x = fn.cast(blend(x, partner, lam), dtype=output["dtype"])
        else:
            flipped = fn.flip(images, horizontal=mirror)
            x = cmn(fn.reshape(blend(flipped, partner, lam), layout="HWC"), 0, output)
        return (x, partner, lam, mirror)

    return graph


GRAPHS: dict[str, Callable[..., Any]] = {
    "feed": lambda images, mirror, output: images,
    "cmn": cmn,
    "dali_mix mixup": ours(dali_mix.MixUp(alpha=1.0, fold=False)),
    "dali_mix cutmix": ours(dali_mix.CutMix(alpha=1.0)),
    "dali_mix unmixed": ours_unmixed,
    "DALI stock, then cmn": stock(normalize_first=False),
    "cmn, then DALI stock": stock(normalize_first=True),
}


def check(case: Case, pipelines: dict[str, Any]) -> None:
    """Mixup rows agree with float64 arithmetic on the plan that they report."""
    places = {"float32": 1e-5, "float16": 4e-3, "uint8": 0.51}[case.dtype]
    for name in ("dali_mix mixup", "cmn, then DALI stock"):
        x, partner, lam, mirror = (
            [np.asarray(tensor) for tensor in column] for column in pipelines[name].run()
        )
        images = case.batches[0]
        for i in (0, 1, len(images) - 1):
            j = int(partner[i])
            own, other = (images[k][:, :: -1 if mirror[k] else 1] for k in (i, j))
            expected = lam[i] * _normalized(own, case) + (1 - lam[i]) * _normalized(other, case)
            if case.layout == "CHW":
                expected = expected.transpose(2, 0, 1)
            if case.dtype == "uint8":
                expected = expected.clip(0, 255)
            np.testing.assert_allclose(x[i].astype(float), expected, atol=places, err_msg=name)


def _normalized(image: np.ndarray, case: Case) -> np.ndarray:
    scale, shift = (40.0, 128.0) if case.dtype == "uint8" else (1.0, 0.0)
    return scale * (image.astype(float) - MEAN) / STD + shift


def measure(case: Case, options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Times of every contestant, and for those that are missing why."""
    pipelines = {name: pipeline(case, graph) for name, graph in GRAPHS.items()}
    contestants: dict[str, Callable[[], object]] = {
        "floor": floor(case.batches, case.out_bytes, case.threads)
    }
    contestants |= {name: built.run for name, built in pipelines.items()}
    peers, missing = torch_peers.contestants(case, MEAN, STD) if options.peers else ({}, {})
    results = harness.compare(
        contestants | peers,
        baseline=BASELINE,
        check=lambda: check(case, pipelines),
        rounds=options.rounds,
        seed=case.seed,
    )
    return results, missing


def speed_net_of_feed(results: dict[str, Any]) -> dict[str, str]:
    """How many times as fast as cmn, as measured and with the feed taken off both."""
    wall = {name: np.array(result["wall"]["seconds"]) for name, result in results.items()}
    column = {}
    for name, seconds in wall.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            net = (wall[BASELINE] - wall["feed"]) / (seconds - wall["feed"])
        as_measured = np.median(wall[BASELINE] / seconds)
        column[name] = f"{as_measured:.2f}x"
        if name in GRAPHS and name != "feed":
            column[name] += f", net {np.median(net):.2f}x"
    return column


def main() -> None:
    parser = harness.Parser(__doc__)
    parser.add_argument("--batch", type=harness.positive, nargs="+", default=[128])
    parser.add_argument("--size", type=harness.positive, nargs="+", default=[224])
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", default=["float32", "float16"])
    parser.add_argument("--layout", choices=["CHW", "HWC"], nargs="+", default=["CHW", "HWC"])
    parser.add_argument("--threads", type=harness.positive, default=2, help="default 2")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="DALI rows only")
    options = parser.parse_args()
    cases = []
    for batch in options.batch:
        for size in options.size:
            for dtype in options.dtype:
                for layout in options.layout:
                    case = make_case(batch, size, dtype, layout, options)
                    results, missing = measure(case, options)
                    print(f"\nbatch {batch}, {size} x {size}, {dtype} {layout}")
                    print(harness.table(results, speed_net_of_feed(results)))
                    for name, why in missing.items():
                        print(f"{name:32} missing: {why}")
                    key = {"batch": batch, "size": size, "dtype": dtype, "layout": layout}
                    cases.append(key | {"results": results, "missing": missing})
    if options.out:
        where = harness.provenance(threads=options.threads)
        settings = {"rounds": options.rounds, "seed": options.seed, "baseline": BASELINE}
        record = {"benchmark": "operators", "provenance": where, "settings": settings}
        harness.write(options.out, record | {"cases": cases})


if __name__ == "__main__":
    main()

"""One batch of decoded uint8 images to a mixed, normalised tensor: dali_mix against the others.

    floor                 no arithmetic: read both images, write as many bytes, same threads; on a
                          GPU a device copy of as many bytes
    feed                  external_source, its output the shapes, and the mirror flags: what every
                          DALI row below contains
    cmn                   DALI's crop_mirror_normalize, NOT mixing: the baseline
    dali_mix …            mixup, cutmix, and apply without a plan, with mirror flags as cmn has
    DALI stock …          mixup of permute_batch and arithmetic, before or after cmn; CutMix of
                          multi_paste before cmn
    torch eager           normalise, index, lerp on the whole batch, as fastai mixes
    torch.compile         the same in one expression, compiled
    timm, torchvision, kornia: their own classes on normalised tensors, labels (1,000 classes) too;
                          timm's FastCollateMixup on uint8 images, normalised afterwards

A row is the time of one batch: for DALI one whole `pipeline.run()`, fed without a copy, on the
CPU with the synchronous executor; for the rest one call on images that are one tensor already. No
row decodes. What is freed stays in the process, and OpenMP's threads spin for each other only
briefly (GOMP_SPINCOUNT, 1000 unless set), which is the best for those who mix in PyTorch.
Results are checked before they are timed; what cannot run has a row that says why. "net" takes the
feed off: the speed of the operator relative to cmn without it.

--methods takes all methods of dali_mix in the place of peers; --parts takes mixup apart.

--sweep takes lines of batch sizes and of image sizes, in all types and layouts, with 7 rounds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; read at import

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix.measure import openmp

# isort: split
from bench import operators_dali, operators_methods, operators_parts
from bench.operators_case import (
    DTYPES,
    Case,
    Contestant,
    Contestants,
    Missing,
    make_case,
    memory_needed,
)
from bench.operators_check import verify
from bench.operators_device import Device, device, kernels
from dali_mix import _harness as harness

BASELINE = "cmn"
PEERS = ("torchvision", "timm", "kornia")
BATCHES = (1, 4, 16, 64, 256, 1024)
"""Of a sweep, at 224 x 224."""
SIZES = (32, 64, 128, 224, 512)
"""Of a sweep, in batches of 64."""


def peers(case: Case) -> tuple[Contestants, Missing]:
    """What mixes in PyTorch."""
    try:
        import torch

        from bench import library_peers, torch_peers
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return {}, {"torch and what needs it": "PyTorch is not installed"}
    torch.set_num_threads(case.threads)
    libraries, missing = library_peers.contestants(case)
    found = torch_peers.contestants(case) | libraries
    for name in list(found):
        try:
            found[name].run()
        except Exception as error:  # any: a peer has its own ways to fail
            missing[name] = f"fails ({str(error).strip().splitlines()[0]})"
            del found[name]
    return found, missing


def check(case: Case, contestants: Contestants) -> None:
    """Every contestant mixes as it says, on the batch that its second call takes."""
    for name, contestant in contestants.items():
        output = contestant.run()
        if contestant.read is not None:
            try:
                verify(case, case.batches[1], contestant, contestant.read(output))
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error


def measure(case: Case, where: Device, options: Any) -> dict[str, Any]:
    """Times of every contestant, and for those that are missing why."""
    found = operators_dali.contestants(case)
    if options.methods:
        found |= operators_methods.contestants(case)
    if options.parts:
        found |= operators_parts.contestants(case)
    for contestant in found.values():
        contestant.run()
    others, missing = peers(case) if options.peers else ({}, {})
    found = found | others
    floor = Contestant(where.floor(case))
    results = harness.compare(
        {"floor": floor.run} | {name: contestant.run for name, contestant in found.items()},
        baseline=BASELINE,
        check=lambda: check(case, found),
        rounds=options.rounds,
        synchronize=where.synchronize,
        clocks=where.clocks,
        seed=case.seed,
    )
    if where.gpu:
        for name, contestant in {"floor": floor, **found}.items():
            moved = contestant.images_read * case.in_bytes + case.out_bytes
            results[name]["bytes"] = moved if contestant.images_read else 0
            results[name]["kernels"] = kernels(contestant.run, where.synchronize)
    return {"results": results, "missing": missing}


def speed_net_of_feed(results: dict[str, Any]) -> dict[str, str]:
    """How many times as fast as cmn, as measured and with the feed taken off both."""
    wall = {name: np.array(result["wall"]["seconds"]) for name, result in results.items()}
    column = {}
    for name, seconds in wall.items():
        as_measured = np.median(wall[BASELINE] / seconds)
        column[name] = f"{as_measured:.2f}x"
        if contains_feed(name):
            with np.errstate(divide="ignore", invalid="ignore"):
                net = (wall[BASELINE] - wall["feed"]) / (seconds - wall["feed"])
            column[name] += f", net {np.median(net):.2f}x"
    return column


def contains_feed(name: str) -> bool:
    return name == BASELINE or "dali" in name.lower()


def formats(options: Any) -> Iterator[dict[str, str]]:
    """Types and layouts that are asked for."""
    for dtype in options.dtype or (DTYPES if options.sweep else DTYPES[:2]):
        for layout in options.layout or ("CHW", "HWC"):
            yield {"dtype": dtype, "layout": layout}


def keys(options: Any) -> Iterator[dict[str, Any]]:
    """Batch, size, type and layout of every case."""
    sizes = [(batch, size) for batch in options.batch for size in options.size]
    if options.sweep:
        sizes = [(batch, 224) for batch in BATCHES]
        sizes += [(64, size) for size in SIZES if size != 224]
        sizes.append((BATCHES[-1], SIZES[-1]))
    for kind in formats(options):
        for batch, size in sizes:
            yield {"batch": batch, "size": size, **kind}


def run(key: dict[str, Any], where: Device, options: Any) -> dict[str, Any]:
    """One case, or why it is left out."""
    shape = key["batch"], key["size"], key["size"]
    needed, free = memory_needed(*shape), where.free_memory()
    if needed > free:
        why = f"would take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        return key | {"results": {}, "missing": {"all": why}}
    kind = {name: key[name] for name in ("dtype", "layout")}
    where_and_how = {"threads": options.threads, "seed": options.seed, "device": where.name}
    return key | measure(make_case(*shape, **kind, **where_and_how), where, options)


def main() -> None:
    options, where = arguments()
    harness.keep_freed_memory()
    cases, wanted = [], list(keys(options))
    for key in wanted:
        cases.append(case := run(key, where, options))
        print("\nbatch {batch}, {size} x {size}, {dtype} {layout}".format(**case))
        if case["results"]:
            print(harness.table(case["results"], speed_net_of_feed(case["results"])))
        for name, why in case["missing"].items():
            print(f"{name:32} missing: {why}")
        if options.out:  # after each: a run that is stopped leaves what it has measured
            made = record(cases, where, options) | {"complete": len(cases) == len(wanted)}
            harness.write(options.out, made, again=len(cases) > 1)


def record(cases: list[dict[str, Any]], where: Device, options: Any) -> dict[str, Any]:
    words = ["operators", "gpu" if where.gpu else "", "sweep" if options.sweep else ""]
    words += [word for word in ("methods", "parts") if getattr(options, word)]
    return {
        "benchmark": " ".join(filter(None, words)),
        "provenance": harness.provenance(*PEERS, threads=options.threads, gpu=where.gpu),
        "settings": {
            "rounds": options.rounds,
            "seed": options.seed,
            "baseline": BASELINE,
            **openmp.SETTINGS,
        },
        "cases": cases,
    }


def arguments() -> tuple[Any, Device]:
    parser = harness.Parser(__doc__)
    parser.set_defaults(rounds=None)
    several: dict[str, Any] = {"type": harness.positive, "nargs": "+"}
    parser.add_argument("--batch", **several, help="default 128")
    parser.add_argument("--size", **several, help="height and width, default 224")
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", help="default float32 float16")
    parser.add_argument("--layout", choices=["CHW", "HWC"], nargs="+", help="default both")
    parser.add_argument("--threads", type=harness.positive, default=2, help="default 2")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="default cpu")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--sweep", action="store_true", help="many batch sizes and image sizes")
    rows.add_argument("--methods", action="store_true", help="all methods, and no peers")
    rows.add_argument("--parts", action="store_true", help="mixup in parts, and no peers")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="DALI rows only")
    options = parser.parse_args()
    if options.sweep and (options.batch or options.size):
        parser.error("--sweep chooses batches and sizes itself, give no --batch and no --size")
    if options.parts and options.device != "cpu":
        parser.error("--parts takes the CPU's time apart, give no --device")
    options.peers = options.peers and not options.methods and not options.parts
    options.batch, options.size = options.batch or [128], options.size or [224]
    options.rounds = options.rounds or (7 if options.sweep else 20)
    try:
        return options, device(options.device)
    except RuntimeError as error:
        parser.error(f"--device {options.device} {error}")


if __name__ == "__main__":
    main()

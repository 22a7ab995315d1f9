"""Times ways from one batch of decoded uint8 images to a mixed, normalised tensor.

    copy of as many bytes  the lower bound: it moves as many bytes as mixing reads and writes
    feed                   external_source, with the shapes as output, and the mirror flags: a part
                           of every DALI row below
    DALI unmixed           DALI's crop_mirror_normalize (cmn), which does NOT mix: the baseline
    dali_mix …             mixup, cutmix, and apply without a plan, with mirror flags like cmn
    DALI stock …           mixup from permute_batch and arithmetic, before or after cmn; CutMix from
                           multi_paste before cmn
    torch eager            normalise, index and lerp on the whole batch, as fastai mixes
    torch.compile          the same in one compiled expression
    timm, torchvision, kornia: their own classes on normalised tensors and labels (1,000 classes);
                           timm's FastCollateMixup on uint8 images, normalised afterwards

A row is the time of one batch. For DALI that is one whole `pipeline.run()`, fed without a copy; for
the others it is one call on images that are already one tensor. On the CPU, DALI runs in its
default executor, and then, without the others, in the synchronous one, which is the steadier clock.
Batches that the default executor made in advance are read before the clock starts.
No row decodes. Freed memory stays in the process, and OpenMP's threads spin only briefly
(GOMP_SPINCOUNT, 1000 unless set); both are best for those who mix in PyTorch. Results are checked
before they are timed; a contestant that cannot run has a row that says why. "net" subtracts the
feed: it is the speed relative to DALI unmixed, both without the feed.

--methods measures all methods of dali_mix, and no peers, in the default executor. --widths measures
the time for a pixel at many widths, as a multiple of that at the nearest multiple of 64, in the
synchronous executor. --no-dali measures the copy and the peers alone, where there is no DALI. All
contestants together take up to 24 GB for 1,024 images of 224 x 224.
"""

import os
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; read at import

from dali_mix.measure import openmp  # noqa: F401  # before torch

# isort: split
from bench import program
from bench.operators import device, rows
from dali_mix.measure import operators, timing
from dali_mix.measure.operators import COPY, DEFAULT, SYNCHRONOUS, Case, copying, make_case
from dali_mix.measure.outputs import UNMIXED, Output

DTYPES = ("float32", "float16", "uint8")


def peers(case: Case) -> tuple[dict[str, Any], dict[str, str]]:
    """The contestants that mix in PyTorch, checked, and why the missing ones are missing."""
    try:
        import torch

        from bench.operators import library_peers, torch_peers
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return {}, {"torch and what needs it": "PyTorch is not installed"}
    torch.set_num_threads(case.threads)
    libraries, missing = library_peers.contestants(case)
    runs = {}
    for name, contestant in (torch_peers.contestants(case) | libraries).items():
        try:
            contestant.run()
        except Exception as error:  # a peer may fail with any error
            missing[name] = f"fails ({str(error).strip().splitlines()[0]})"
        else:
            torch_peers.check(name, case, contestant)
            runs[name] = contestant.run
    return runs, missing


def measure(case: Case, options: Any) -> dict[str, Any]:
    """Times of every contestant, and why the missing ones are missing."""
    runs: dict[str, Any] = {COPY: copying(case)}
    if options.dali:
        from bench.operators import graphs

        runs = graphs.contestants(case, methods=options.methods)
    again = options.dali and case.device == "cpu" and case.executor == SYNCHRONOUS
    others, missing = peers(case) if options.peers and not again else ({}, {})
    runs |= others
    synchronize = program.synchronize_of(case.device)
    results = operators.measure(case, runs, rounds=options.rounds, synchronize=synchronize)
    for name, run in runs.items() if case.device == "gpu" else ():
        read = rows.IMAGES_READ.get(name, 2)
        results[name]["bytes"] = read and read * case.in_bytes + case.out_bytes
        results[name]["kernels"] = device.kernels(run, synchronize)
    return {"results": results, "missing": missing}


def keys(options: Any) -> Iterator[dict[str, Any]]:
    """Batch, size, type, layout and, on the CPU, executor of every case."""
    kinds = options.dtype or DTYPES[:2], options.layout or ("CHW", "HWC")
    for dtype, layout, batch, size in product(*kinds, options.batch, options.size):
        key = {"batch": batch, "size": size, "dtype": dtype, "layout": layout}
        if options.device == "gpu" or not options.dali:
            yield key
        else:
            for executor in (DEFAULT,) if options.methods else (DEFAULT, SYNCHRONOUS):
                yield key | {"executor": executor}


def run(key: dict[str, Any], options: Any) -> dict[str, Any]:
    """The results of one case."""
    timing.release_freed_memory()  # of the cases before
    shape, output = (key["batch"], key["size"], key["size"]), Output(key["dtype"], key["layout"])
    how = {"threads": options.threads, "seed": options.seed, "device": options.device}
    how["executor"] = key.get("executor", SYNCHRONOUS)
    return key | measure(make_case(shape, output, **how), options)


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    timing.keep_freed_memory()
    how: Any = sys.modules[__name__]
    if options.widths:
        from bench.operators import widths as how
    run, wanted = recorded(options), list(how.keys(options))
    for key in wanted:
        program.add(run, "cases", case := how.run(key, options), len(wanted), options.out)
        print(f"\n{how.text(case)}", flush=True)


def text(case: dict[str, Any]) -> str:
    return f"{rows.title(case)}\n{rows.table(case).text()}"


def recorded(options: Any) -> dict[str, Any]:
    """The record of a run without its cases."""
    kinds = [word for word in ("methods", "widths") if getattr(options, word)]
    words = ["operators", *(["gpu"] if options.device == "gpu" else []), *kinds]
    settings = {"rounds": options.rounds, "seed": options.seed, "baseline": UNMIXED}
    where = {"threads": options.threads, "settings": settings, "cases": []}
    return program.run_of(" ".join(words), options, "torchvision", "timm", "kornia", **where)


def parsed(arguments: list[str] | None) -> Any:
    parser = program.Parser("bench.operators", __doc__)
    several: dict[str, Any] = {"type": program.positive, "nargs": "+"}
    parser.add_argument("--batch", **several, help="images in a batch, default 128")
    parser.add_argument("--size", **several, help="height and width, default 224")
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", help="default float32 float16")
    parser.add_argument("--layout", choices=["CHW", "HWC"], nargs="+", help="default both")
    parser.count("--rounds", None, "samples of each contestant (default 20)")
    parser.count("--threads", 2, "CPU threads")
    parser.device()
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--methods", action="store_true", help="all methods, and no peers")
    kind.add_argument("--widths", action="store_true", help="many widths, on the CPU")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="DALI rows only")
    parser.add_argument("--no-dali", dest="dali", action="store_false", help="peers only")
    options = parser.checked(arguments)
    if options.widths and (options.batch or options.size):
        parser.error("--widths chooses batches and sizes itself, give no --batch and no --size")
    if options.widths and options.device == "gpu":
        parser.error("--widths measures the loops of the CPU, give no --device gpu")
    options.peers = options.peers and not options.methods
    options.batch, options.size = options.batch or [128], options.size or [224]
    options.rounds = options.rounds or (7 if options.widths else 20)
    return options


if __name__ == "__main__":
    main()

"""JPEG files to mixed tensors, images per second: the input pipeline with and without mixing.

    DALI unmixed            decode, random resized crop, crop_mirror_normalize; the baseline
    DALI stock, then cmn    mixup of stock DALI operators, before the normalisation
    cmn, then DALI stock    the same after it
    dali_mix mixup, cutmix  the mix in the place of crop_mirror_normalize
    DataLoader ...          PyTorch and PIL, unmixed and with timm's mixing; bench/pipeline_peers.py
    FFCV ...                bench/pipeline_ffcv.py

Random resized crop to --size, mirror, normalised CHW. The images are those of --data (one folder of
images for each class), or synthetic JPEGs of about 100 kB, made for the run. Before anything is
timed, the outputs are checked. Contestants then alternate in segments of --images images, from
loaders that keep running; what a loader has made in advance is consumed before the clock starts.

CPU milliseconds count this process and its workers. Ratios are taken within each round; their 95 %
interval is by paired t on the logarithms. A training step behind the loaders: bench/train_step.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix.measure import openmp

# isort: split
from bench import pipeline_ffcv, pipeline_peers, pipeline_sweep
from dali_mix import _harness as harness
from dali_mix.commands import doctor
from dali_mix.measure import comparisons, intervals, jpegs
from dali_mix.measure.checks import check_pipeline
from dali_mix.measure.graphs import GRAPHS
from dali_mix.measure.pipelines import Settings, Task, dali_loader
from dali_mix.measure.segments import Loader, compare_loaders

UNMIXED_OF = {
    **comparisons.UNMIXED_OF,
    **pipeline_peers.UNMIXED_OF,
    **pipeline_ffcv.UNMIXED_OF,
}


@contextmanager
def photographs(options: Any) -> Iterator[Path]:
    """The folder given, or a temporary one of synthetic photographs."""
    if options.data:
        yield options.data
        return
    with tempfile.TemporaryDirectory() as folder:
        count = options.synthetic
        yield jpegs.synthetic(Path(folder), count=count, classes=8, seed=options.seed)


def tuned(task: Task, options: Any, files: list[Path]) -> tuple[Settings, list[dict[str, Any]]]:
    cores = len(os.sched_getaffinity(0))
    settings = Settings(options.threads or cores)
    if not options.sweep:
        return settings, []
    tried = pipeline_sweep.candidates(
        task, settings, cores, pipeline_sweep.largest_image(files), bool(options.threads)
    )
    return pipeline_sweep.sweep(task, settings, max(options.images // 4, 1), tried)


def contestants(task: Task, settings: Settings, peers: dict[str, Loader]) -> dict[str, Loader]:
    """All loaders, those of DALI checked now."""
    for name, graph in GRAPHS.items():
        check_pipeline(name, task, settings, graph)
    return peers | {name: dali_loader(task, settings, graph) for name, graph in GRAPHS.items()}


def measure(root: Path, options: Any) -> dict[str, Any]:
    """Everything but where it was measured."""
    files = jpegs.images_of(root)
    task = Task(str(root), options.batch, options.size, options.dtype, options.device, options.seed)
    workers = options.threads or len(os.sched_getaffinity(0))
    peers, missing = pipeline_peers.loaders(task, workers) if options.peers else ({}, {})
    if options.peers:
        more, absent = pipeline_ffcv.loaders(task, workers)
        peers, missing = peers | more, missing | absent
    settings, record = tuned(task, options, files)
    print(f"{pipeline_sweep.told(record)}\n{settings}\n", flush=True)
    results = compare_loaders(
        contestants(task, settings, peers),
        images=options.images,
        segments=options.rounds,
        seed=options.seed,
    )
    compared = comparisons.comparisons(results, UNMIXED_OF)
    print(comparisons.table(results, compared, UNMIXED_OF, missing))
    return {
        "settings": {
            **{key: getattr(options, key) for key in ("batch", "size", "dtype", "images")},
            **{key: getattr(options, key) for key in ("rounds", "seed", "device")},
            "data": jpegs.described(files) | {"synthetic": not options.data},
            "workers": workers,
            "dali": settings._asdict(),
            "interval": intervals.METHOD,
            **openmp.SETTINGS,
        },
        "sweep": record,
        "results": results,
        "comparisons": compared,
        "unmixed_of": {name: other for name, other in UNMIXED_OF.items() if name in results},
        "missing": missing,
    }


def folder(text: str) -> Path:
    """An argparse type: a folder with one folder of images for each class."""
    try:
        jpegs.images_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
    return Path(text)


def add_arguments(parser: harness.Parser) -> None:
    """Those that bench/train_step.py has too."""
    parser.add_argument("--data", type=folder, help="folder with one folder of images per class")
    parser.add_argument(
        "--synthetic", type=harness.positive, default=256, help="JPEGs to make without --data (256)"
    )
    parser.add_argument("--batch", type=harness.positive, default=64, help="default 64")
    parser.add_argument("--size", type=harness.positive, default=224, help="default 224")
    parser.add_argument("--threads", type=harness.positive, help="and workers; default: the cores")


def main() -> None:
    parser = harness.Parser(__doc__)
    parser.set_defaults(rounds=30)
    add_arguments(parser)
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument(
        "--images", type=harness.positive, default=1024, help="of a segment (default 1024)"
    )
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="default cpu")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="DALI rows only")
    parser.add_argument("--no-sweep", dest="sweep", action="store_false", help="no tuning before")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("argument --rounds: must be at least 2, for an interval, got 1")
    if options.device == "gpu" and not getattr(doctor.driver(), "gpus", None):
        parser.error("--device gpu needs a GPU, and there is none")
    harness.keep_freed_memory()
    with photographs(options) as root:
        record = measure(root, options)
    if options.out:
        where = provenance(options.device, record["settings"]["dali"]["threads"])
        harness.write(options.out, {"benchmark": "pipeline", "provenance": where} | record)


def provenance(device: str, threads: int) -> dict[str, Any]:
    packages = ("timm", "torchvision", "pillow", "ffcv")
    return harness.provenance(*packages, threads=threads, device=device, gpu=gpu(device))


def gpu(device: str) -> str | None:
    """What the GPU is called."""
    if device == "cpu":
        return None
    import torch

    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()

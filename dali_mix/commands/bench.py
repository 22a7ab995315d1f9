"""Measure mixing on this machine: the operators, the pipeline from JPEG files, the loss.

It is a short form of the programs in bench/, which are not installed, with the same contestants.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dali_mix.commands.limits import check_pixels
from dali_mix.commands.output_file import check_writable

SYNTHETIC = 128
"""How many JPEG files are made if no folder is given."""
CHARTS = (".png", ".svg", ".pdf")
CLASSES = 1000
"""Number of classes of the loss."""
LEAST = {"rounds": 2, "batch": 2, "size": 8, "threads": 1}
"""Smallest values of the options. In images of a few pixels the box of cutmix may be empty."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="folder with one folder of images for each class; default: synthetic JPEGs",
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="samples of each contestant (%(default)s)"
    )
    parser.add_argument("--batch", type=int, default=64, help="images in a batch (%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side in pixels (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="where the pipeline runs"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (%(default)s)")
    parser.add_argument("--out", type=Path, help="new JSON file for the raw run")
    parser.add_argument("--chart", type=Path, help=f"chart to draw: {', '.join(CHARTS)}")


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, and write what was asked for; 0, or 1 if a contestant is wrong."""
    _check(args)
    importlib.import_module("dali_mix.measure.openmp")  # before torch
    tqdm = _needed("tqdm", "the progress bar").tqdm
    if args.chart:
        _needed("matplotlib", "--chart")
    args.threads = args.threads or len(os.sched_getaffinity(0))
    try:
        with _photographs(args) as root, tqdm(total=3 * args.rounds, unit="round") as bar:
            record = _measured(root, args, bar)
    except AssertionError as error:  # from `measure.checks`, which run before the timing
        print(f"dali-mix bench: {_wrong(error)}", file=sys.stderr)
        return 1
    print(_tables(record))
    if args.out:
        from dali_mix.measure.record import write

        write(args.out, record)
        print(f"\n{args.out}: raw run")
    if args.chart:
        from dali_mix.measure.chart import draw

        draw(record, args.chart)
        print(f"{args.chart}: chart")
    print(f"\n{_verdict(record)}")
    return 0


def _wrong(error: AssertionError) -> str:
    """The error in one sentence, without the arrays that NumPy prints after its first lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        "a contestant does not put out what dali_mix.reference says, so its time means nothing; "
        f"report it, with the command ({'; '.join(lines[:3])})."
    )


def _check(args: argparse.Namespace) -> None:
    """A ValueError, before the work begins, if an option is wrong."""
    for name, least in LEAST.items():
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}.")
    check_pixels(args, "batch")
    for name, endings in (("out", (".json",)), ("chart", CHARTS)):
        path = getattr(args, name)
        if path is None:
            continue
        if path.suffix.lower() not in endings:
            raise ValueError(f"--{name} must end in {' or '.join(endings)}, got {path.name!r}.")
        check_writable(name, path)
    if args.device == "gpu":
        from dali_mix.commands import doctor

        driver = doctor.driver()
        if driver is None or not driver.gpus:
            raise ValueError("--device gpu needs a GPU, and there is none.")
    if args.out and args.out.exists():
        raise ValueError(f"--out {args.out} exists; name a new file, old runs are kept.")


def _needed(module: str, what: str, package: str | None = None) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = package or module
        raise ImportError(
            f"{what} needs {package}, which is not installed; run `pip install {package}`."
        ) from error


@contextlib.contextmanager
def _photographs(args: argparse.Namespace) -> Iterator[Path]:
    from dali_mix.measure import jpegs

    if not args.folder:
        _needed("PIL", "bench without DIR", "pillow")
    with jpegs.photographs(args.folder, SYNTHETIC, args.seed) as root:
        if args.folder:
            from dali_mix.measure.headers import check_headers

            check_headers(str(root), args.threads)
        yield root


def _measured(root: Path, args: argparse.Namespace, bar: Any) -> dict[str, Any]:
    """Measure, and return the whole record."""
    from dali_mix.measure import intervals, jpegs, operators, pipelines, record
    from dali_mix.measure.comparisons import comparisons
    from dali_mix.measure.outputs import Output

    bar.set_description("operators")
    shape, output = (args.batch, args.size, args.size), Output(args.dtype)
    how = {"threads": args.threads, "seed": args.seed, "executor": operators.DEFAULT}
    case = operators.make_case(shape, output, **how)
    runs = pipelines.contestants(case)
    operator = operators.measure(case, runs, rounds=args.rounds, progress=bar.update)
    bar.set_description("pipeline")
    pipeline = _pipeline(root, args, bar.update)
    bar.set_description("loss")
    loss, missing = _loss(args, bar.update)
    shown = ("rounds", "batch", "size", "dtype", "device", "seed")
    where = record.provenance(threads=args.threads) | {"command": _command(args)}
    return {
        "benchmark": "bench",
        "provenance": where,
        "settings": {name: getattr(args, name) for name in shown}
        | {"data": jpegs.described(jpegs.images_of(root)) | {"synthetic": not args.folder}}
        | {"classes": CLASSES, "interval": intervals.METHOD},
        "operator": operator,
        "pipeline": pipeline,
        "comparisons": comparisons(pipeline, _unmixed_of(pipeline)),
        "loss": loss,
        "missing": missing,
    }


def _unmixed_of(pipeline: dict[str, Any]) -> dict[str, str]:
    from dali_mix.measure.outputs import UNMIXED

    return {name: UNMIXED for name in pipeline if name != UNMIXED}


def _pipeline(
    root: Path, args: argparse.Namespace, progress: Callable[[], object]
) -> dict[str, Any]:
    from dali_mix.measure.graphs import GRAPHS
    from dali_mix.measure.pipelines import Settings, Task, check_pipeline, dali_loader
    from dali_mix.measure.segments import compare_loaders

    task = Task(str(root), args.batch, args.size, args.dtype, args.device, args.seed)
    settings = Settings(args.threads)
    for name, graph in GRAPHS.items():
        check_pipeline(name, task, settings, graph)
    loaders = {name: dali_loader(task, settings, graph) for name, graph in GRAPHS.items()}
    return compare_loaders(
        loaders, images=4 * args.batch, segments=args.rounds, seed=args.seed, progress=progress
    )


def _loss(
    args: argparse.Namespace, progress: Callable[[], object]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The results of the loss on the CPU, and why there are none."""
    try:
        from dali_mix.measure import losses, timing
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return {}, {"loss": "PyTorch is not installed; run `pip install torch`"}
    import torch

    torch.set_num_threads(args.threads)
    timing.keep_freed_memory()
    logits, target = losses.inputs(args.batch, CLASSES, "cpu", args.seed)
    return losses.measure(logits, target, rounds=args.rounds, seed=args.seed, progress=progress), {}


def _command(args: argparse.Namespace) -> str:
    """The command line that gives the same run."""
    words = ["dali-mix", "bench", *([str(args.folder)] if args.folder else [])]
    for name in ("rounds", "batch", "size", "dtype", "threads", "device", "seed"):
        words += [f"--{name}", str(getattr(args, name))]
    return shlex.join(words)


def _tables(record: dict[str, Any]) -> str:
    from dali_mix.measure import comparisons, tables

    settings, pipeline = record["settings"], record["pipeline"]
    what = f"batch {settings['batch']}, {settings['size']} x {settings['size']} {settings['dtype']}"
    data = settings["data"]
    files = f"{data['files']} images of {data['mean_kb']:.0f} kB on average"
    speeds = comparisons.speeds(
        pipeline, record["comparisons"], _unmixed_of(pipeline), record["missing"]
    )
    parts = [
        "DALI runs in its default executor. DALI unmixed ends with cmn, DALI's "
        "crop_mirror_normalize; stock: mixup of its other operators.\n",
        f"Operators: decoded images to a tensor, {what}; baseline: DALI unmixed",
        tables.times(record["operator"]).text(),
        f"\nPipeline: JPEG files to a tensor, {what}; {files}",
        speeds.text(),
        "",
        comparisons.against(record["comparisons"]).text(),
    ]
    if record["loss"]:
        parts += [
            f"\nLoss: forward and backward, batch {settings['batch']}, {CLASSES} classes; "
            "baseline: one cross-entropy",
            tables.times(record["loss"]).text(),
        ]
    return "\n".join(parts)


def _verdict(record: dict[str, Any]) -> str:
    """The result in one sentence."""
    from dali_mix.measure import comparisons

    costs = comparisons.cost_of_mixing(record["comparisons"], _unmixed_of(record["pipeline"]))
    return comparisons.verdict(costs["dali_mix mixup"])

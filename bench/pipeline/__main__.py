"""Measures input pipelines from JPEG files to tensors, with and without mixing: images per second.

    DALI unmixed            decode, random resized crop, crop_mirror_normalize: the baseline
    DALI stock, then cmn    mixup from DALI's own operators, before crop_mirror_normalize
    cmn, then DALI stock    the same after crop_mirror_normalize
    dali_mix mixup, cutmix  dali_mix instead of crop_mirror_normalize
    DataLoader ...          PyTorch and PIL, unmixed and with timm's mixing; see torch_loaders.py
    FFCV ...                see ffcv_loaders.py

With --step, a training step of ResNet-50 follows each batch; see step.py.

All crop at random, resize to --size, mirror, and give normalised CHW tensors. The images are those
of --data (one folder of images for each class), or synthetic JPEGs of about 100 kB, made for the
run. The outputs are checked before anything is timed. The loaders keep running, and take turns in
segments of --images images; batches that a loader has made in advance are read before the clock
starts.

CPU milliseconds count this process and its workers. Ratios are taken within each round; their 95 %
intervals are by paired t on the logarithms.
"""

import json
import os
from pathlib import Path
from typing import Any

from dali_mix.measure import openmp  # noqa: F401  # before torch

# isort: split
from bench import program
from bench.pipeline import ffcv_loaders, step, torch_loaders
from dali_mix.measure import comparisons, intervals, jpegs, record, timing
from dali_mix.measure.graphs import GRAPHS
from dali_mix.measure.outputs import UNMIXED
from dali_mix.measure.pipelines import Settings, Task, check_pipeline, dali_loader
from dali_mix.measure.segments import Loader, compare_loaders

UNMIXED_OF = (
    {name: UNMIXED for name in GRAPHS if name != UNMIXED}
    | torch_loaders.UNMIXED_OF
    | ffcv_loaders.UNMIXED_OF
)
"""For each loader that mixes, the same loader without mixing."""


def tuned(task: Task, threads: int) -> Settings:
    """The fastest settings for the pipeline without mixing, in short segments."""
    counts, loads = sorted({threads, -(-threads // 2)}), (0.0, 0.35, 0.65, 0.9)
    tried = [Settings(count, hw_decoder_load=load) for count in counts for load in loads]
    loaders = {str(settings): dali_loader(task, settings, GRAPHS[UNMIXED]) for settings in tried}
    found = compare_loaders(loaders, images=4 * task.batch, segments=3, seed=task.seed)
    print(comparisons.speeds(found, [], {}, {}).text(), end="\n\n", flush=True)
    speed = {name: each["images_per_second"]["summary"]["median"] for name, each in found.items()}
    return max(tried, key=lambda settings: speed[str(settings)])


def contestants(task: Task, settings: Settings, peers: bool) -> tuple[dict[str, Loader], Any]:
    """All loaders, checked, and why the missing ones are missing. PyTorch's loaders come first,
    because their workers are forks."""
    found: dict[str, Loader] = {}
    missing: dict[str, str] = {}
    for module in (torch_loaders, ffcv_loaders) if peers else ():
        more, absent = module.loaders(task, settings.threads)
        found, missing = found | more, missing | absent
    for name, graph in GRAPHS.items():
        check_pipeline(name, task, settings, graph)
        found[name] = dali_loader(task, settings, graph)
    return found, missing


def measure(root: Path, options: Any) -> dict[str, Any]:
    """Settings and results of a run."""
    task = Task(str(root), options.batch, options.size, options.dtype, options.device, options.seed)
    settings = Settings(options.threads)
    if options.like:
        settings = Settings(**json.loads(options.like.read_text())["settings"]["dali"])
    if options.tune:
        settings = tuned(task, options.threads)
    if options.step:
        loaders, missing = step.contestants(task, settings)
    else:
        loaders, missing = contestants(task, settings, options.peers and not options.tune)
    how = {"images": options.images, "segments": options.rounds, "seed": options.seed}
    results = compare_loaders(loaders, **how)
    unmixed_of = {name: other for name, other in UNMIXED_OF.items() if name in results}
    compared = comparisons.comparisons(results, unmixed_of)
    print(comparisons.speeds(results, compared, unmixed_of, missing).text())
    print(f"\n{comparisons.against(compared).text()}")
    shown = ("batch", "size", "dtype", "images", "rounds", "seed", "device")
    told: dict[str, Any] = {name: getattr(options, name) for name in shown}
    told["data"] = jpegs.described(jpegs.images_of(root)) | {"synthetic": not options.data}
    told |= {"dali": settings._asdict(), "interval": intervals.METHOD}
    return {
        "settings": told,
        "results": results,
        "comparisons": compared,
        "unmixed_of": unmixed_of,
        "missing": missing,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = program.Parser("bench.pipeline", __doc__)
    parser.add_argument("--data", type=Path, help="folder with one folder of images per class")
    parser.count("--synthetic", 256, "JPEGs to make without --data")
    parser.count("--batch", 64, "images in a batch")
    parser.count("--size", 224, "height and width")
    parser.count("--threads", len(os.sched_getaffinity(0)), "DALI's threads, or workers of others")
    parser.add_argument("--like", type=Path, help="a run whose settings of DALI are taken")
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.count("--images", 1024, "images in a segment")
    parser.count("--rounds", 30, "segments of each contestant")
    parser.device()
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="DALI rows only")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--step", action="store_true", help="train ResNet-50 behind the loaders")
    tune = "first find the fastest threads and hw_decoder_load; DALI rows only"
    kind.add_argument("--tune", action="store_true", help=tune)
    options = parser.checked(arguments)
    if options.rounds < 2:
        parser.error("argument --rounds: must be at least 2, for an interval, got 1")
    timing.keep_freed_memory()
    try:
        with jpegs.photographs(options.data, options.synthetic, options.seed) as root:
            measured = measure(root, options)
    except (ImportError, ValueError) as error:
        parser.error(str(error).rstrip("."))
    if options.out:
        run = program.run_of(
            "train_step" if options.step else "pipeline",
            options,
            *("timm", "torchvision", "pillow", "ffcv"),
            threads=measured["settings"]["dali"]["threads"],
            **measured,
        )
        record.write(options.out, run)


if __name__ == "__main__":
    main()

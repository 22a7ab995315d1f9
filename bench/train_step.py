"""A training step of ResNet-50 behind the loaders of bench/pipeline.py: images per second, and how
long the GPU waits between steps.

    random tensors       a batch that lies on the GPU: the ceiling
    DALI unmixed         decoded on the GPU, crop_mirror_normalize
    dali_mix mixup       decoded on the GPU, mixed in the place of crop_mirror_normalize
    DataLoader + Mixup   PIL in the workers, timm's Mixup, mode "elem", on the GPU

One model for all, bfloat16 autocast, channels_last, SGD with momentum. Contestants alternate in
segments of --steps steps, rounded up to a multiple of the workers where there are workers; batches
made in advance are trained on before the clock starts. Between steps: from the end of one to the
start of the next on the GPU's own clock (CUDA events), where it copies, casts or waits; the kernels
of DALI itself run beside the steps. --device cpu is there to try the program.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix.measure import openmp

# isort: split
import torch
from dali_mix.loader.batches import to_batch
from torch import Tensor, nn

from bench import pipeline_peers, resnet
from bench.pipeline import add_arguments, photographs, provenance
from dali_mix import _harness as harness
from dali_mix.measure import comparisons, intervals, jpegs
from dali_mix.measure.checks import check_pipeline
from dali_mix.measure.graphs import GRAPHS, UNMIXED
from dali_mix.measure.pipelines import Settings, Task, jpeg_pipeline
from dali_mix.measure.segments import Loader, compare_loaders
from dali_mix.recipes import class_names
from dali_mix.training.mix_loss import MixLoss
from dali_mix.training.mix_target import MixTarget

CEILING, MIXUP, PEER = "random tensors", "dali_mix mixup", "DataLoader + Mixup"
UNMIXED_OF = {MIXUP: UNMIXED}


class Clock:
    """In the place of a CUDA event where there is no GPU."""

    def record(self) -> None:
        self.seconds = time.perf_counter()

    def elapsed_time(self, later: Clock) -> float:
        return 1e3 * (later.seconds - self.seconds)


class Trained:
    """A feed and the step on what it gives: what is measured as one loader."""

    def __init__(self, feed: Callable[[], Any], step: Callable[[Any, Any], None], on_gpu: bool):
        self.feed, self.step, self.on_gpu = feed, step, on_gpu
        self.marks: list[tuple[Any, Any]] = []
        self.waits: list[float] = []
        """Milliseconds between two steps, on average over what lay between two `settle`."""

    def next(self) -> None:
        x, target = self.feed()
        start, end = (self._mark() for _ in range(2))
        start.record()
        self.step(x, target)
        end.record()
        self.marks.append((start, end))

    def _mark(self) -> Any:
        return torch.cuda.Event(enable_timing=True) if self.on_gpu else Clock()

    def settle(self) -> None:
        """Wait for the GPU, and note how long it has waited."""
        if self.on_gpu:
            torch.cuda.synchronize()
        pairs = zip(self.marks, self.marks[1:], strict=False)
        gaps = [before[1].elapsed_time(after[0]) for before, after in pairs]
        self.waits.append(sum(gaps) / len(gaps) if gaps else 0.0)
        self.marks.clear()

    def timed_waits(self, segments: int) -> list[float]:
        """Of the segments: `settle` is called before and after each."""
        return self.waits[1::2][-segments:]


def feeds(task: Task, settings: Settings) -> tuple[dict[str, Loader], dict[str, str]]:
    """name -> what gives (x, target), without the step; and who is missing."""
    found, missing = pipeline_peers.loaders(task, settings.threads, [PEER])
    for name in (UNMIXED, MIXUP):
        check_pipeline(name, task, settings, GRAPHS[name])
        pipeline = jpeg_pipeline(task, settings, GRAPHS[name])
        feed = partial(_fed, pipeline, name == MIXUP, task.batch)
        found[name] = Loader(feed, task.batch, ahead=settings.prefetch + 1)
    ceiling = _random_batch(task, len(class_names(task.root)))
    return {CEILING: Loader(lambda: ceiling, task.batch, ahead=0), **found}, missing


def _fed(pipeline: Any, mixed: bool, batch: int) -> Any:
    """As MixLoader gives it, without the ends of epochs."""
    return to_batch(pipeline.run(), mixed, batch, copy=False)


def _random_batch(task: Task, classes: int) -> tuple[Tensor, MixTarget]:
    device = "cuda" if task.device == "gpu" else "cpu"
    x = torch.randn(task.batch, 3, task.size, task.size, device=device)
    y1, y2 = (torch.randint(classes, (task.batch,), device=device) for _ in range(2))
    lam = torch.rand(task.batch, device=device)
    return x.to(getattr(torch, task.dtype)), MixTarget(y1, y2, lam)


def training_step(model: nn.Module, device: str) -> Callable[[Tensor, Any], None]:
    """Forward, backward and update; the same for every feed."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    criterion = MixLoss(nn.CrossEntropyLoss())

    def step(x: Tensor, target: Any) -> None:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure(root: Path, options: Any) -> dict[str, Any]:
    """Everything but where it was measured."""
    files, on_gpu = jpegs.images_of(root), options.device == "gpu"
    device = "cuda" if on_gpu else "cpu"
    task = Task(str(root), options.batch, options.size, "float16", options.device, options.seed)
    settings = Settings(
        options.threads or len(os.sched_getaffinity(0)), options.prefetch, options.hw_decoder_load
    )
    fed, missing = feeds(task, settings)
    network, source = resnet.model(options.model, len(class_names(root)))
    network = network.to(device, memory_format=torch.channels_last)
    step = training_step(network, device)
    trained = {name: Trained(feed.next, step, on_gpu) for name, feed in fed.items()}
    loaders = {
        name: feed._replace(next=trained[name].next, synchronize=trained[name].settle)
        for name, feed in fed.items()
    }
    results = compare_loaders(
        loaders, images=options.steps * task.batch, segments=options.rounds, seed=options.seed
    )
    for name, result in results.items():
        waits = trained[name].timed_waits(options.rounds)
        result["wait_ms"] = {"samples": waits, "summary": harness.summary(waits)}
    compared = comparisons.comparisons(results, UNMIXED_OF)
    print(comparisons.table(results, compared, UNMIXED_OF, missing))
    print("\nbetween two steps, ms:", *(_told(*pair) for pair in results.items()), sep="\n")
    shown = ("batch", "size", "steps", "rounds", "seed", "device", "model")
    return {
        "settings": {name: getattr(options, name) for name in shown}
        | {"model_from": source, "dtype": task.dtype, "dali": settings._asdict()}
        | {"data": jpegs.described(files) | {"synthetic": not options.data}}
        | {"interval": intervals.METHOD}
        | openmp.SETTINGS,
        "results": results,
        "comparisons": compared,
        "missing": missing,
    }


def _told(name: str, result: dict[str, Any]) -> str:
    return "{name:36} {median:.2f} ({q1:.2f}-{q3:.2f})".format(
        name=name, **result["wait_ms"]["summary"]
    )


def main() -> None:
    parser = harness.Parser(__doc__)
    add_arguments(parser)
    parser.set_defaults(batch=256, synthetic=512)
    parser.add_argument("--steps", type=harness.positive, default=20, help="of a segment (20)")
    parser.add_argument("--model", choices=["resnet50", "tiny"], default="resnet50")
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu", help="default gpu")
    parser.add_argument("--prefetch", type=harness.positive, default=2, help="DALI's (default 2)")
    parser.add_argument("--hw-decoder-load", type=float, default=0.65, help="default 0.65")
    options = parser.parse_args()
    if options.device == "gpu" and not torch.cuda.is_available():
        parser.error("--device gpu needs a GPU that torch can use, and there is none")
    if options.rounds < 2:
        parser.error("argument --rounds: must be at least 2, for an interval, got 1")
    with photographs(options) as root:
        record = measure(root, options)
    if options.out:
        where = provenance(options.device, record["settings"]["dali"]["threads"])
        harness.write(options.out, {"benchmark": "train_step", "provenance": where} | record)


if __name__ == "__main__":
    main()

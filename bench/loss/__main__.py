"""Measures time and peak memory of the loss of a mixed batch, forward and backward, in five ways.

    cross-entropy once     no mixing: the baseline
    twice and blended      the criterion on both labels, unreduced, blended by lam
    dense soft target      both labels as one-hot rows, blended in every step, then the criterion
    one log_softmax        log_softmax once, a gather for each label
    MixLoss                dali_mix

Logits are (batch, classes) float32, labels are random, and each sample has its own lam. Before the
timing, each way's loss and gradient are compared with float64.

Peak memory is the largest amount that one forward and backward allocates at a time, besides the
logits and labels. On the CPU it is summed from the allocator's events in torch's profiler; on a GPU
it is torch.cuda.max_memory_allocated. "x logits" divides it by the bytes of the logits.
"""

import os
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; read at import

from dali_mix.measure import openmp  # noqa: F401  # before torch

# isort: split
import torch

from bench import program
from dali_mix.measure import losses, tables, timing


def peak_bytes(run: Callable[[], object], device: str) -> int:
    """The largest number of bytes that run() allocates at a time."""
    if device == "gpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(event.nbytes() for event in events))


def measure(classes: int, options: Any) -> dict[str, Any]:
    """Time and memory of every contestant at one number of classes."""
    device = "cuda" if options.device == "gpu" else "cpu"
    logits, target = losses.inputs(options.batch, classes, device, options.seed)
    results = losses.measure(logits, target, rounds=options.rounds, seed=options.seed)
    for name, loss in losses.CONTESTANTS.items():
        run = partial(losses.step, loss, logits, target)
        logits.grad = None
        results[name]["peak_bytes"] = peak_bytes(run, options.device)
    return {"classes": classes, "logits_bytes": logits.numel() * 4, "results": results}


def main(arguments: list[str] | None = None) -> None:
    parser = program.Parser("bench.loss", __doc__)
    sizes = [10, 1000, 21843]
    parser.add_argument("--classes", type=program.positive, nargs="+", default=sizes)
    parser.count("--batch", 256, "rows of the logits")
    parser.count("--rounds", 20, "samples of each contestant")
    parser.count("--threads", None, "CPU threads (default: as many as torch takes)")
    parser.device()
    options = parser.checked(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    timing.keep_freed_memory()
    settings = {name: getattr(options, name) for name in ("batch", "rounds", "seed")}
    threads = torch.get_num_threads()
    run = program.run_of("loss", options, threads=threads, settings=settings, sizes=[])
    for classes in options.classes:
        size = measure(classes, options)
        program.add(run, "sizes", size, len(options.classes), options.out)
        print(f"\n{classes} classes, batch {options.batch}, {threads} threads")
        print(tables.loss_table(size).text())


if __name__ == "__main__":
    main()

"""Time and peak memory of the loss of a mixed batch, forward and backward, against the usual ways.

    cross-entropy once     no mixing: the baseline
    twice and blended      the criterion on both labels, unreduced, blended by lam
    dense soft target      both labels as one-hot rows, blended in every step, then the criterion
    one log_softmax        log_softmax once, a gather for each label
    MixLoss                dali_mix

Logits (batch, classes) float32, random labels, one lam per sample. Every contestant's loss and
gradient are first compared with float64.

Peak memory is the most that is allocated at one time by one forward and backward, beyond what was
there before (logits, labels): on the CPU summed over the allocator's own events as torch's profiler
records them, on a GPU torch.cuda.max_memory_allocated. "x logits" divides it by the logits' bytes.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; read at import

from dali_mix.measure import openmp  # noqa: F401  # before torch

# isort: split
import torch

from bench import program
from dali_mix.measure import losses, record, tables, timing


def peak_bytes(run: Callable[[], object], device: str) -> int:
    """Most bytes that run() has allocated at one time, beyond what was there before."""
    if device == "gpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


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
    parser.count("--threads", None, "default: torch's")
    parser.device()
    options = parser.checked(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    timing.keep_freed_memory()
    measured = []
    for classes in options.classes:
        measured.append(measure(classes, options))
        print(f"\n{classes} classes, batch {options.batch}, {torch.get_num_threads()} threads")
        print(tables.loss_table(measured[-1]).text())
    if options.out:
        settings = {name: getattr(options, name) for name in ("batch", "rounds", "seed")}
        threads = torch.get_num_threads()
        run = program.run_of("loss", options, threads=threads, settings=settings, sizes=measured)
        record.write(options.out, run)


if __name__ == "__main__":
    main()

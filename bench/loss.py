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

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; read at import

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix.measure import openmp

# isort: split
import torch

from dali_mix import _harness as harness
from dali_mix.measure import losses


def peak_bytes(run: Callable[[], object], device: str) -> int:
    """Most bytes that run() has allocated at one time, beyond what was there before."""
    if device == "cuda":
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
    device = options.device
    logits, target = losses.inputs(options.batch, classes, device, options.seed)
    results = losses.measure(logits, target, rounds=options.rounds, seed=options.seed)
    for name, loss in losses.CONTESTANTS.items():
        run = partial(losses.step, loss, logits, target)
        logits.grad = None
        results[name]["peak_bytes"] = peak_bytes(run, device)
    return {"classes": classes, "logits_bytes": logits.numel() * 4, "results": results}


def main() -> None:
    parser = harness.Parser(__doc__)
    parser.add_argument(
        "--classes",
        type=harness.positive,
        nargs="+",
        default=[10, 1000, 21843],
        help="default 10 1000 21843",
    )
    parser.add_argument("--batch", type=harness.positive, default=256, help="default 256")
    parser.add_argument("--threads", type=harness.positive, help="default: torch's")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="default cpu")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch can use, and there is none")
    if options.threads:
        torch.set_num_threads(options.threads)
    harness.keep_freed_memory()
    sizes = []
    for classes in options.classes:
        sizes.append(measure(classes, options))
        memory = {
            name: f"{result['peak_bytes'] / sizes[-1]['logits_bytes']:.2f} x logits"
            for name, result in sizes[-1]["results"].items()
        }
        print(f"\n{classes} classes, batch {options.batch}, {torch.get_num_threads()} threads")
        print(harness.table(sizes[-1]["results"], memory))
    if options.out:
        gpu = torch.cuda.get_device_name() if options.device == "cuda" else None
        where = harness.provenance(threads=torch.get_num_threads(), device=options.device, gpu=gpu)
        settings = {"batch": options.batch, "rounds": options.rounds, "seed": options.seed}
        settings |= openmp.SETTINGS
        record = {"benchmark": "loss", "provenance": where, "settings": settings, "sizes": sizes}
        harness.write(options.out, record)


if __name__ == "__main__":
    main()

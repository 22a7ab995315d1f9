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

import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix import _harness as harness
from dali_mix.losses import MixLoss
from dali_mix.targets import MixTarget

BASELINE = "cross-entropy once"
once = nn.CrossEntropyLoss()
unreduced = nn.CrossEntropyLoss(reduction="none")
mixed = MixLoss(nn.CrossEntropyLoss())


def twice(logits: Tensor, target: MixTarget) -> Tensor:
    l1, l2 = unreduced(logits, target.y1), unreduced(logits, target.y2)
    return torch.lerp(l2, l1, target.lam).mean()


def dense(logits: Tensor, target: MixTarget) -> Tensor:
    rows1, rows2 = (
        torch.zeros_like(logits).scatter_(1, y.unsqueeze(1), 1.0) for y in (target.y1, target.y2)
    )
    lam = target.lam.unsqueeze(1)
    return once(logits, rows1 * lam + rows2 * (1 - lam))


def one_log_softmax(logits: Tensor, target: MixTarget) -> Tensor:
    log_p = functional.log_softmax(logits, 1)
    p1, p2 = (log_p.gather(1, y.unsqueeze(1)).squeeze(1) for y in (target.y1, target.y2))
    return -torch.lerp(p2, p1, target.lam).mean()


CONTESTANTS: dict[str, Callable[[Tensor, MixTarget], Tensor]] = {
    BASELINE: lambda logits, target: once(logits, target.y1),
    "twice and blended": twice,
    "dense soft target": dense,
    "one log_softmax": one_log_softmax,
    "MixLoss": mixed,
}


def step(loss: Callable[[Tensor, MixTarget], Tensor], logits: Tensor, target: MixTarget) -> Tensor:
    """Forward and backward; the gradient is new each time, as that of an activation is."""
    logits.grad = None
    value = loss(logits, target)
    value.backward()
    return value.detach()


def check(logits: Tensor, target: MixTarget) -> None:
    """Every contestant that mixes agrees with the blend of two losses in float64."""
    exact = logits.detach().double().requires_grad_()
    y1, y2, lam = target.y1, target.y2, target.lam.double()
    value = (lam * unreduced(exact, y1) + (1 - lam) * unreduced(exact, y2)).mean()
    value.backward()
    for name, loss in CONTESTANTS.items():
        if name != BASELINE:
            found = step(loss, logits, target)
            torch.testing.assert_close(found.double(), value.detach(), rtol=1e-5, atol=0)
            torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-9)
    logits.grad = None


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
    generator = torch.Generator().manual_seed(options.seed)
    n, device = options.batch, options.device
    logits = torch.randn(n, classes, generator=generator).to(device).requires_grad_()
    y1, y2 = (torch.randint(classes, (n,), generator=generator) for _ in range(2))
    target = MixTarget(y1, y2, torch.rand(n, generator=generator)).to(device)
    runs = {name: partial(step, loss, logits, target) for name, loss in CONTESTANTS.items()}
    results = harness.compare(
        runs,
        baseline=BASELINE,
        check=partial(check, logits, target),
        rounds=options.rounds,
        synchronize=torch.cuda.synchronize if device == "cuda" else harness.nothing,
        seed=options.seed,
    )
    for name, run in runs.items():
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
        record = {"benchmark": "loss", "provenance": where, "settings": settings, "sizes": sizes}
        harness.write(options.out, record)


if __name__ == "__main__":
    main()

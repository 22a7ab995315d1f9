"""Contestants of bench/operators.py that are mixup, and leave out one thing each (--parts)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import dali_mix
import dali_mix.fn as dmix
from bench.operators_case import Case, Contestant, Contestants, Mixed
from bench.operators_dali import Output, read, runner

MIXUP = dali_mix.MixUp(alpha=1.0, fold=False)


def contestants(case: Case) -> Contestants:
    # One image in the place of all: it stays in the cache.
    alike: Any = [[batch[0]] * case.count for batch in case.batches]
    cached = dataclasses.replace(case, batches=alike)
    found = {
        "plan": Contestant(runner(case, _plan)),
        "one pixel": Contestant(runner(case, _mixup(mirrored=True, crop=(1, 1)))),
        "unmixed, not mirrored": Contestant(
            runner(case, _mixup(mirrored=False, prob=0.0)), _read_not_mirrored
        ),
        "mixup, not mirrored": Contestant(runner(case, _mixup(mirrored=False)), _read_not_mirrored),
        "one pixel, cached": Contestant(runner(cached, _mixup(mirrored=True, crop=(1, 1)))),
        "mixup, cached, not mirrored": Contestant(runner(cached, _mixup(mirrored=False))),
        "mixup, cached": Contestant(runner(cached, _mixup(mirrored=True))),
    }
    return {f"dali_mix {name}": contestant for name, contestant in found.items()}


def _plan(images: Any, mirror: Any, output: Output) -> Any:
    plan = dmix.plan(images, MIXUP)
    return plan.partner, plan.lam, mirror


def _mixup(mirrored: bool, **more: Any) -> Callable[..., Any]:
    def graph(images: Any, mirror: Any, output: Output) -> Any:
        flags = {"mirror": mirror} if mirrored else {}
        x, plan = dmix.mix(images, None, MIXUP, **flags, **more, **output)
        return x, plan.partner, plan.lam, mirror

    return graph


def _read_not_mirrored(outputs: Any) -> Mixed:
    """The flags that were drawn are not those of the images."""
    return read(outputs)._replace(mirror=None)

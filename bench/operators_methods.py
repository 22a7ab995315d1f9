"""A contestant of bench/operators.py for every other method of dali_mix (--methods)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import dali_mix
import dali_mix.fn as dmix
from bench.operators_case import Case, Contestant, Contestants, Mixed
from bench.operators_dali import Output, runner


def contestants(case: Case) -> Contestants:
    patch = math.gcd(case.height, 16), math.gcd(case.width, 16)
    methods = {
        "resizemix": dali_mix.ResizeMix(),
        "patchmix": dali_mix.PatchMix(patch=patch),
        "patchmix patches": dali_mix.PatchMix(patch=patch, shape="patches"),
        "gridmix": dali_mix.GridMix(),
        "fmix": dali_mix.FMix(),
        "smoothmix": dali_mix.SmoothMix(),
        "multimix": dali_mix.MultiMix(),
        "ricap": dali_mix.RICAP(),
    }
    return {
        f"dali_mix {name}": Contestant(
            runner(case, _graph(method)),
            partial(_read, case, method),
            # Where images are cut, each pixel reads one; as for cutmix, the bound is two.
            images_read=3 if name == "multimix" else 2,
        )
        for name, method in methods.items()
    }


def _graph(method: Any) -> Callable[..., Any]:
    def graph(images: Any, mirror: Any, output: Output) -> Any:
        x, plan = dmix.mix(images, None, method, mirror=mirror, **output)
        mask = () if plan.mask is None else (plan.mask,)
        return x, plan.partner, plan.lam, mirror, *mask

    return graph


def _read(case: Case, method: Any, outputs: Any) -> Mixed:
    x, partner, lam, mirror, *masks = (
        [np.asarray(value) for value in column.as_cpu()] for column in outputs
    )
    weight = None
    if masks:
        weight = np.stack([_of_pixels(mask, case) for mask in masks[0]])
    told = Mixed(
        np.stack(x),
        np.stack(partner),
        np.stack(lam),
        cut=method.name == "patchmix" and not masks,
        mirror=np.stack(mirror).reshape(len(x)),
        weight=weight,
    )
    # What shows of the partners are not their pixels in place: the own ones are looked at.
    return told._replace(partner=None) if method.name in ("resizemix", "ricap") else told


def _of_pixels(mask: np.ndarray, case: Case) -> np.ndarray:
    """Own weight of each pixel, from that of cells in 1/255; without a mask 1."""
    if not mask.size:
        return np.ones((case.height, case.width))
    rows, columns = (
        np.arange(length) * cells // length
        for length, cells in zip((case.height, case.width), mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)] / 255

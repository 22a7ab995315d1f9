"""For test_migrate.py: runs the mixing of other libraries, and records what they drew."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bench.program import peer


class Mixed(NamedTuple):
    """A batch of N images as a peer mixes it."""

    x: np.ndarray
    """(N, C, H, W) float32."""
    target: np.ndarray
    """(N, classes) float32."""
    lam: np.ndarray
    """(N,), as drawn: the weight of mixup, or the share that the box should leave."""
    boxes: np.ndarray
    """(N, 4): (y0, x0, y1, x1); all zero: no box."""
    partner: np.ndarray | None = None
    """(N,); None: the library does not draw partners."""


Mixing = Callable[[np.ndarray, np.ndarray], Mixed]
"""A function of (N, C, H, W) float32 images and (N,) class ids."""


def imported(module: str) -> Any:
    """The module. If it cannot be imported, the test is skipped."""
    for name in ("torchvision", module):  # all of them need torchvision
        found, why = peer(name)
        if found is None:
            pytest.skip(f"{name} {why}")
    return found


def recorded(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> list[Any]:
    """A list of all values that `place.name` returns from now on."""
    values: list[Any] = []
    ordinary = getattr(place, name)

    def recording(*arguments: Any, **named: Any) -> Any:
        value = ordinary(*arguments, **named)
        values.append(value.clone() if isinstance(value, torch.Tensor) else value)
        return value

    monkeypatch.setattr(place, name, recording)
    return values


def timm(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Mixing:
    mixup = imported("timm.data.mixup")
    mix = mixup.Mixup(**arguments)
    boxes = recorded(monkeypatch, mixup, "cutmix_bbox_and_lam")
    per_batch = recorded(monkeypatch, mix, "_params_per_batch")
    per_elem = recorded(monkeypatch, mix, "_params_per_elem")

    def mixed(images: np.ndarray, labels: np.ndarray) -> Mixed:
        for values in (boxes, per_batch, per_elem):
            values.clear()
        x, target = mix(torch.tensor(images), torch.tensor(labels))
        ((lam, cut),) = per_batch + per_elem
        count = {"batch": 1, "pair": len(labels) // 2, "elem": len(labels)}[mix.mode]
        lam, cut = (np.broadcast_to(values, count) for values in (lam, cut))
        edges = np.zeros((count, 4), int)
        for i, ((y0, y1, x0, x1), _) in zip(np.flatnonzero(cut & (lam != 1)), boxes, strict=True):
            edges[i] = y0, x0, y1, x1
        shared = {
            "batch": np.zeros(len(labels), int),
            "pair": np.r_[:count, count - 1 : -1 : -1] if count > 1 else np.zeros(2, int),
            "elem": np.arange(len(labels)),
        }[mix.mode]
        return Mixed(x.numpy(), target.numpy(), lam[shared], edges[shared])

    return mixed


def torchvision(monkeypatch: pytest.MonkeyPatch, name: str, classes: int, alpha: float) -> Mixing:
    v2 = imported("torchvision.transforms.v2")
    mix = getattr(v2, name)(alpha=alpha, num_classes=classes)
    params = recorded(monkeypatch, mix, "make_params")

    def mixed(images: np.ndarray, labels: np.ndarray) -> Mixed:
        x, target = mix(torch.tensor(images), torch.tensor(labels))
        x0, y0, x1, y1 = params[-1].get("box", (0, 0, 0, 0))
        lam = params[-1].get("lam", params[-1].get("lam_adjusted"))
        return _alike(x, target, lam, (y0, x0, y1, x1))

    return mixed


def fastai(monkeypatch: pytest.MonkeyPatch, name: str, classes: int, alpha: float) -> Mixing:
    callback = getattr(imported("fastai.callback.mixup"), name)(alpha)
    callback.stack_y = False
    orders = recorded(monkeypatch, torch, "randperm")
    if name == "CutMix":
        boxes = recorded(monkeypatch, callback, "rand_bbox")

    def mixed(images: np.ndarray, labels: np.ndarray) -> Mixed:
        x, y = torch.tensor(images), torch.eye(classes)[torch.tensor(labels)]
        callback.learn = SimpleNamespace(x=x, y=y, xb=(x,), yb=(y,))
        callback.before_batch()
        (x,), (y,) = callback.learn.xb, callback.learn.yb
        order = orders[-1].numpy()
        if name == "MixUp":
            lam = callback.lam.numpy()
            return Mixed(x.numpy(), y.numpy(), lam, np.zeros((len(lam), 4), int), order)
        x0, y0, x1, y1 = (int(edge) for edge in boxes[-1])
        return _alike(x, y, float(callback.lam), (y0, x0, y1, x1), order)

    return mixed


def mmpretrain(
    monkeypatch: pytest.MonkeyPatch, augments: list[dict], classes: int, probs: Any = None
) -> Mixing:
    module = imported("mmpretrain.models.utils.batch_augments")
    mix = module.RandomBatchAugment(augments, None if probs is None else list(probs))
    orders = recorded(monkeypatch, torch, "randperm")
    shares = recorded(monkeypatch, np.random, "beta")
    boxes = recorded(monkeypatch, module.CutMix, "cutmix_bbox_and_lam")

    def mixed(images: np.ndarray, labels: np.ndarray) -> Mixed:
        for values in (orders, shares, boxes):
            values.clear()
        x, y = mix(torch.tensor(images), torch.eye(classes)[torch.tensor(labels)])
        if not orders:
            return _alike(x, y, 1.0, (0, 0, 0, 0), np.arange(len(labels)))
        y0, y1, x0, x1 = boxes[0][0] if boxes else (0, 0, 0, 0)
        return _alike(x, y, shares[0], (y0, x0, y1, x1), orders[0].numpy())

    return mixed


def _alike(x: Any, target: Any, lam: float, box: tuple, partner: Any = None) -> Mixed:
    """A batch whose samples share one draw."""
    count = len(x)
    return Mixed(x.numpy(), target.numpy(), np.full(count, lam), np.array([box] * count), partner)

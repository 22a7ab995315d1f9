"""One training of bench/training.py: a small network, one variant, one seed; figures come out.

Deterministic for a variant and a seed: one thread, every random state seeded.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator
from torch import Tensor, nn

from bench.training_data import Data, Files
from bench.training_graph import OUTPUTS, VARIANTS, Graph
from dali_mix import ManifoldTarget, MixAccuracy, MixLoss, MixTarget, manifold_mixup

HIDDEN = ["block1", "block2"]
"""Layers that manifold mixup may mix, beside the input."""
WIDTHS = (16, 32, 64)
BINS = 15
"""Of the calibration error."""


@dataclass(frozen=True)
class Settings:
    """What all trainings of a run share."""

    epochs: int
    batch: int
    train_images: int
    level: float
    """Test accuracy that counts as learned."""
    learning_rate: float = 5e-3
    weight_decay: float = 0.05


def run(name: str, seed: int, data: Data, settings: Settings) -> dict[str, Any]:
    """Train the variant `name`; its test figures and its learning curve."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    variant = VARIANTS[name]
    model = small_network(data).train()
    files = data.drawn(settings.train_images, seed)
    pipeline = Graph(data, settings.batch, seed).training(variant, files)
    loader = iterate(pipeline, OUTPUTS, LastBatchPolicy.DROP)
    test = load(data, data.test, settings.batch)
    criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=variant.smoothing))
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.epochs * len(loader)
    )
    layer_draw = torch.Generator().manual_seed(seed)
    curve: dict[str, list[float]] = {"train_loss": [], "train_accuracy": [], "test_accuracy": []}
    for _ in range(settings.epochs):
        loss, seen = epoch(
            model, loader, criterion, optimizer, schedule, layer_draw if variant.manifold else None
        )
        figures = tested(model, *test)
        for key, value in zip(curve, (loss, seen, figures["accuracy"]), strict=True):
            curve[key].append(round(value, 5))
    return {"variant": name, "seed": seed, **figures, **summary(curve, settings.level), **curve}


def epoch(
    model: nn.Module,
    loader: Any,
    criterion: MixLoss,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    layer_draw: torch.Generator | None,
) -> tuple[float, float]:
    """Train for one epoch; loss and accuracy on the mixed batches. layer_draw: of manifold mixup"""
    accuracy, losses = MixAccuracy(), []
    for (batch,) in loader:
        target = MixTarget(batch["y1"], batch["y2"], batch["lam"])
        mixing: Any = contextlib.nullcontext()
        if layer_draw is not None:
            mixing = manifold_mixup(
                model,
                layers=HIDDEN,
                target=ManifoldTarget(*target, batch["partner"]),
                include_input=True,
                generator=layer_draw,
            )
        with mixing:
            logits = model(batch["x"])
        loss = criterion(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        accuracy.update(logits, target)
        losses.append(loss.item())
    return sum(losses) / len(losses), accuracy.compute().item()


@torch.no_grad()
def tested(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy, calibration and negative log-likelihood on images that are not mixed."""
    model.eval()
    log_p = torch.cat([model(part) for part in x.split(256)]).double().log_softmax(1)
    model.train()
    accuracy = MixAccuracy()(log_p, y).item()
    return {
        "accuracy": accuracy,
        "ece": calibration_error(log_p.exp(), y),
        "overconfidence": log_p.exp().amax(1).mean().item() - accuracy,
        "nll": nn.functional.nll_loss(log_p, y).item(),
    }


def calibration_error(probabilities: Tensor, y: Tensor) -> float:
    """Mean gap between confidence and accuracy over bins of confidence (Guo et al. 2017)."""
    confidence, guess = probabilities.max(1)
    hit = (guess == y).to(confidence.dtype)
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    gaps = torch.zeros(BINS, dtype=confidence.dtype).index_add_(0, place, confidence - hit)
    return (gaps.abs().sum() / len(y)).item()


def summary(curve: dict[str, list[float]], level: float) -> dict[str, Any]:
    """How fast it was learned: epochs until the level (None: never), mean test accuracy."""
    accuracies = curve["test_accuracy"]
    reached = [number for number, value in enumerate(accuracies, 1) if value >= level]
    return {
        "epochs_to_level": reached[0] if reached else None,
        "mean_accuracy": sum(accuracies) / len(accuracies),
    }


def small_network(data: Data) -> nn.Module:
    """Three blocks of convolution, each of which halves the image, and a linear head."""
    widths = (data.channels, *WIDTHS)
    blocks = [
        (
            f"block{number}",
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ),
        )
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1)
    ]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], data.classes))
    return nn.Sequential(OrderedDict([*blocks, ("head", head)]))


def load(data: Data, files: Files, batch: int) -> tuple[Tensor, Tensor]:
    """Images and labels of all `files`, in memory."""
    pipeline = Graph(data, batch, seed=0).test(files)
    batches = [part for (part,) in iterate(pipeline, ["x", "y"], LastBatchPolicy.PARTIAL)]
    x, y = (torch.cat([part[key].clone() for part in batches]) for key in ("x", "y"))
    return x, y.reshape(-1).long()


def iterate(pipeline: Any, names: list[str], policy: Any) -> DALIGenericIterator:
    return DALIGenericIterator(
        pipeline, names, reader_name="Reader", last_batch_policy=policy, auto_reset=True
    )

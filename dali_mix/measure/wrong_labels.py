"""The data, the figures and the report of `make demo`, which trains on wrong labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dali_mix.measure import chart
from dali_mix.measure.tables import Table, mean

FIGURES = {
    "accuracy, %": 100,
    "wrong labels learnt, %": 100,
    "negative log-likelihood": 1,
    "confidence, %": 100,
}
"""What `evaluate` finds, and the factor by which it is shown."""
TOLD = """
Mean ± standard deviation of {seeds} seeds, after {epochs} epochs. Of the test images, whose labels
are right: accuracy, negative log-likelihood, and mean confidence. Of the training images with wrong
labels: how many the network has learnt by heart. With clean labels, and digits as easy as these,
mixing gains nothing. A network whose confidence is above its accuracy is too sure of its guesses;
one whose confidence is below it is not sure enough.
The curves over the epochs, and what the networks saw: {output}/*.png"""


def write_digits(folder: Path, train: int, wrong: float) -> None:
    """Write scikit-learn's digits as {train,test}/LABEL/NNNN-DIGIT.jpg, of 16 x 16 pixels.

    train: number of training images; the others are for the test
    wrong: share of the training images whose label is of another class, drawn evenly
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    shutil.rmtree(folder, ignore_errors=True)
    chance, digits = np.random.default_rng(0), load_digits()
    order = chance.permutation(len(digits.images))
    labels = digits.target.copy()
    corrupted = chance.choice(order[:train], round(wrong * train), replace=False)
    labels[corrupted] += chance.integers(1, 10, len(corrupted))
    for rank, index in enumerate(order):
        place = folder / ("train" if rank < train else "test") / str(labels[index] % 10)
        place.mkdir(parents=True, exist_ok=True)
        digit = Image.fromarray(np.uint8(digits.images[index] * (255 / 16))).resize((16, 16))
        digit.save(place / f"{index:04}-{digits.target[index]}.jpg", quality=95)


@torch.inference_mode()
def evaluate(
    model: nn.Module, training: Sequence[Tensor], test: Sequence[Tensor]
) -> tuple[float, float, float, float]:
    """Accuracy, share of the wrong labels that the network has learnt, negative log-likelihood, and
    mean confidence. Each part is its images, their labels, and the right labels."""
    images, labels, truth = training
    wrong = labels != truth
    learnt = (model(images[wrong]).argmax(1) == labels[wrong]).float().mean().nan_to_num()
    images, labels, _ = test
    logits = model(images)
    confidence, guess = logits.softmax(1).max(1)
    nll = nn.functional.cross_entropy(logits, labels)
    right = (guess == labels).float()
    return right.mean().item(), learnt.item(), nll.item(), confidence.mean().item()


def report(found: Mapping[str, Any], epochs: Sequence[int], output: Path) -> None:
    """Print a table, and write a chart and results.json.

    found: name of a way to mix -> (seeds, epochs, what `evaluate` found)
    """
    shown = {name: np.multiply(values, [*FIGURES.values()]) for name, values in found.items()}
    rows = [[name, *(mean(v, 2) for v in values[:, -1].T)] for name, values in shown.items()]
    seeds = len(next(iter(found.values())))
    print("", Table([*FIGURES], rows).text(), sep="\n")
    print(TOLD.format(seeds=seeds, epochs=epochs[-1], output=output))
    panels = {
        title: {name: values[..., column] for name, values in shown.items()}
        for column, title in enumerate([*FIGURES][:2])
    }
    caption = f"epoch; mean of {seeds} seeds; band: one standard deviation"
    chart.curves(panels, epochs, caption).savefig(output / "curves.png", dpi=150)
    keys = ("accuracy", "wrong_labels_learnt", "nll")
    results = [
        {"mixing": name, **dict(zip(keys, np.mean(values, 0)[-1], strict=False)), "seeds": seeds}
        for name, values in found.items()
    ]
    (output / "results.json").write_text(json.dumps(results, indent=2) + "\n")

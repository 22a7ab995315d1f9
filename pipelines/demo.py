"""What mixing is for: train on labels of which four in ten are wrong, with and without it.

    make demo

This is the experiment with corrupted labels of the mixup paper (Zhang et al. 2018, section 3.4), on
the handwritten digits that scikit-learn ships. They are written as JPEG files, 40 % of those to
train on into the folder of a wrong class. A network learns these labels by heart, and guesses worse
on the test images, whose labels are right. One that sees mixed images cannot learn them by heart.
"""

import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from torch import nn
from tqdm import tqdm

from dali_mix import CutMix, MixLoader, MixLoss, MixUp

OUTPUT = Path("demo")
DATA = OUTPUT / "data"
WRONG = 0.4  # share of the training labels; 0 to see what mixing does to clean labels
METHODS = {"none": None, "mixup": MixUp(8.0, fold=False), "cutmix": CutMix()}
SEEDS = 5
EPOCHS = 30
TRAIN = 1257  # images; the other 540 are for the test
THREADS = max(1, len(os.sched_getaffinity(0)) // 2)  # for DALI, and as many for PyTorch
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def write_digits():
    """Write DATA/{train,test}/LABEL/NNNN-DIGIT.jpg: the label may be wrong, the digit is not."""
    shutil.rmtree(DATA, ignore_errors=True)
    chance, digits = np.random.default_rng(0), load_digits()
    order = chance.permutation(len(digits.images))
    corrupted = chance.choice(order[:TRAIN], round(WRONG * TRAIN), replace=False)
    labels = digits.target.copy()
    labels[corrupted] += chance.integers(1, 10, len(corrupted))  # any class but the right one
    for rank, index in enumerate(order):
        folder = DATA / ("train" if rank < TRAIN else "test") / str(labels[index] % 10)
        folder.mkdir(parents=True, exist_ok=True)
        digit = Image.fromarray(np.uint8(digits.images[index] * (255 / 16))).resize((24, 24))
        name = f"{index:04}-{digits.target[index]}.jpg"
        ImageOps.expand(digit, border=4).save(folder / name, quality=95)


def loader(part, **options):
    grey = {"size": 32, "mean": 127.5, "std": 127.5, "num_threads": THREADS}
    return MixLoader.from_imagefolder(DATA / part, **grey, **options)


def everything(part):
    """All images of a part, their labels, and the digits that they are."""
    files = sorted(path.relative_to(DATA / part) for path in (DATA / part).glob("*/*.jpg"))
    batches = loader(part, batch_size=128, training=False, resize=32, files=map(str, files))
    images, labels = map(torch.cat, zip(*batches, strict=True))
    return images, labels, torch.tensor([int(file.stem[-1]) for file in files], device=DEVICE)


def network():
    def block(inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    model = nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 64), *head)
    return model.to(DEVICE, memory_format=torch.channels_last)


def train(method, seed, parts):
    """One row of `evaluate` for each epoch."""
    torch.manual_seed(seed)
    whole = {"area": (1, 1), "aspect": (1, 1), "mirror": 0}  # nothing is augmented but by mixing
    model, criterion = network(), MixLoss(nn.CrossEntropyLoss())
    with loader("train", batch_size=64, methods=method, seed=seed, **whole) as batches:
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, EPOCHS * len(batches))
        rows = []
        for _ in range(EPOCHS):
            model.train()
            for x, target in batches:
                loss = criterion(model(x), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            rows.append(evaluate(model.eval(), *parts))
    return rows


@torch.inference_mode()
def evaluate(model, training, test):
    """Accuracy, wrong labels learnt, negative log-likelihood, and how sure the network is."""
    images, labels, digits = training
    wrong = labels != digits
    learnt = (model(images[wrong]).argmax(1) == labels[wrong]).sum() / wrong.sum().clamp(min=1)
    images, labels, _ = test
    logits = model(images)
    confidence, guess = logits.softmax(1).max(1)
    right = (guess == labels).float()
    values = right.mean(), learnt, nn.functional.cross_entropy(logits, labels), confidence.mean()
    return [value.item() for value in values]


def draw_sheets():
    """What the network saw, drawn by `dali-mix preview`."""
    for name, options in (("mixup", ["alpha=8", "fold=False"]), ("cutmix", [])):
        given = [word for option in options for word in ("--option", option)]
        command = [sys.executable, "-m", "dali_mix", "preview", DATA / "train", "--size", "32"]
        subprocess.run(
            [*command, "--method", name, *given, "-o", OUTPUT / f"{name}.png"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def draw_curves(curves):
    """Both shares over the epochs: the mean of the seeds as a line, their range as a band."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
    titles = ("Accuracy on clean test images, %", f"Of the wrong labels ({WRONG:.0%}), learnt, %")
    for column, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        for name, rows in curves.items():
            percent = 100 * rows[:, :, column]  # (seeds, epochs)
            epochs = np.arange(1, percent.shape[1] + 1)
            (line,) = panel.plot(epochs, percent.mean(0), label=name)
            panel.fill_between(
                epochs, percent.min(0), percent.max(0), color=line.get_color(), alpha=0.2, lw=0
            )
        panel.set(title=title, xlabel="epoch", ylim=(0, 100))
        panel.grid(alpha=0.3)
    panels[1].legend()
    figure.savefig(OUTPUT / "curves.png", dpi=120)


def report(curves):
    """Print the table of the last epoch, and write its means."""
    print(f"\n{'mixing':8} {'accuracy %':>14} {'wrong labels learnt %':>22} {'NLL':>13} sure by %")
    results = []
    for name, rows in curves.items():
        last = rows[:, -1]  # (seeds, columns of `evaluate`)
        means, spread = last.mean(0), last.std(0)
        shares = [f"{100 * means[k]:.1f} ± {100 * spread[k]:.1f}" for k in range(2)]
        nll = f"{means[2]:.2f} ± {spread[2]:.2f}"
        print(f"{name:8} {shares[0]:>14} {shares[1]:>22} {nll:>13} {100 * means[3]:>9.1f}")
        keys = ("mixing", "accuracy", "wrong_labels_learnt", "nll", "seeds")
        results.append(dict(zip(keys, (name, *means[:3].tolist(), SEEDS), strict=True)))
    (OUTPUT / "results.json").write_text(json.dumps(results, indent=2) + "\n")


def main():
    torch.set_num_threads(THREADS)
    write_digits()
    draw_sheets()
    parts = everything("train"), everything("test")
    curves = {name: [] for name in METHODS}
    for (name, method), seed in tqdm([*product(METHODS.items(), range(SEEDS))], unit="network"):
        curves[name].append(train(method, seed, parts))
    curves = {name: np.array(rows) for name, rows in curves.items()}
    draw_curves(curves)
    report(curves)


if __name__ == "__main__":
    main()

"""Shows what mixing is for: trains with and without it on labels of which 40 % are wrong.

    make demo

This is the experiment with corrupted labels of the mixup paper (Zhang et al. 2018, section 3.4), on
the handwritten digits that scikit-learn ships. They are written as JPEG files, and 40 % of the
training files go into the folder of a wrong class. Without mixing, a network learns the wrong
labels by heart, and is worse on the test images, whose labels are right. With mixing it cannot.
"""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
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
SIZE = 16  # height and width in pixels
TRAIN = 1257  # images; the other 540 are for the test
EVERY = 3  # epochs from one point of the curves to the next
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
        digit = Image.fromarray(np.uint8(digits.images[index] * (255 / 16))).resize((SIZE, SIZE))
        digit.save(folder / f"{index:04}-{digits.target[index]}.jpg", quality=95)


def loader(part, **options):
    grey = {"size": SIZE, "mean": 127.5, "std": 127.5, "num_threads": 1}
    return MixLoader.from_imagefolder(DATA / part, **grey, **options)


def everything(part):
    """All images of a part, their labels, and the digits that they are."""
    files = sorted(path.relative_to(DATA / part) for path in (DATA / part).glob("*/*.jpg"))
    batches = loader(part, batch_size=128, training=False, resize=SIZE, files=map(str, files))
    images, labels = map(torch.cat, zip(*batches, strict=True))
    return images, labels, torch.tensor([int(file.stem[-1]) for file in files], device=DEVICE)


def network():
    def block(inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    head = [nn.Flatten(), nn.Linear(64 * (SIZE // 8) ** 2, 10)]
    model = nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 64), *head)
    return model.to(DEVICE, memory_format=torch.channels_last)


def train(method, seed, parts):
    """Rows of an epoch's number and what `evaluate` finds after it. The last is the last epoch."""
    torch.manual_seed(seed)
    whole = {"area": (1, 1), "aspect": (1, 1), "mirror": 0}  # no augmentation except mixing
    model, criterion = network(), MixLoss(nn.CrossEntropyLoss())
    with loader("train", batch_size=64, methods=method, seed=seed, **whole) as batches:
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, EPOCHS * len(batches))
        rows = []
        for epoch in range(1, EPOCHS + 1):
            model.train()
            for x, target in batches:
                loss = criterion(model(x), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if epoch % EVERY == 0 or epoch == EPOCHS:
                rows.append((epoch, *evaluate(model.eval(), *parts)))
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
    """Draw images as the network saw them, with `dali-mix preview`."""
    for name, options in (("mixup", ["alpha=8", "fold=False"]), ("cutmix", [])):
        given = [word for option in options for word in ("--option", option)]
        command = [sys.executable, "-m", "dali_mix", "preview", DATA / "train", "--size", str(SIZE)]
        subprocess.run(
            [*command, "--method", name, *given, "-o", OUTPUT / f"{name}.png"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def draw_curves(curves):
    """Draw both shares over the epochs: the mean of the seeds as a line, their range as a band."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    panels[0].set_title("Test images with right labels: accuracy, %")
    panels[1].set_title("Training images with wrong labels: learnt by heart, %")
    for name, rows in curves.items():
        epochs = rows[0, :, 0]
        for column, panel in enumerate(panels, 1):
            percent = 100 * rows[:, :, column]  # (seeds, epochs)
            (line,) = panel.plot(epochs, percent.mean(0), label=name)
            band = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
            panel.fill_between(epochs, percent.min(0), percent.max(0), **band)
            panel.set(xlabel="epoch", ylim=(0, 101))
            panel.grid(alpha=0.3)
    panels[0].legend(loc="lower right")
    figure.savefig(OUTPUT / "curves.png", dpi=120)


def report(curves):
    """Print a table of the last epoch, and write its means."""
    print(f"\n{'mixing':8} {'accuracy %':>12} {'wrong labels learnt %':>23} {'NLL':>13}")
    results, gaps = [], []
    for name, rows in curves.items():
        last = rows[:, -1, 1:]  # (seeds, values of `evaluate`)
        (accuracy, learnt, nll, confidence), spread = last.mean(0), last.std(0)
        print(f"{name:8} {100 * accuracy:6.1f} ± {100 * spread[0]:3.1f}", end=" ")
        print(f"{100 * learnt:17.1f} ± {100 * spread[1]:3.1f} {nll:6.2f} ± {spread[2]:4.2f}")
        gaps.append(f"{name} {100 * (confidence - accuracy):+.0f}")
        result = {"mixing": name, "accuracy": accuracy, "wrong_labels_learnt": learnt, "nll": nll}
        results.append({**result, "seeds": SEEDS})
    (OUTPUT / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nMean ± standard deviation of {SEEDS} seeds, after {EPOCHS} epochs. NLL is the mean")
    print("negative log-likelihood of the test labels: less is better.")
    print("With clean labels, and as easy as these, mixing gains nothing: set WRONG = 0 and see.")
    print(f"Calibration, mean confidence less accuracy in points: {', '.join(gaps)}.")
    print("Above 0 a network is too sure of its guesses; below 0 it is not sure enough.")
    print(f"The curves over the epochs, and what the networks saw: {OUTPUT}/*.png")


def main():
    write_digits()
    draw_sheets()
    parts = everything("train"), everything("test")
    curves = {name: [] for name in METHODS}
    for name, seed in tqdm([*product(METHODS, range(SEEDS))], unit="network"):
        curves[name].append(train(METHODS[name], seed, parts))
    curves = {name: np.array(rows) for name, rows in curves.items()}
    draw_curves(curves)
    report(curves)


if __name__ == "__main__":
    main()

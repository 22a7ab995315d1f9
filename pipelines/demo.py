"""Train a small CNN on real JPEG files with and without mixing: the whole way in three minutes.

    make demo

The files are the 1,797 handwritten digits that scikit-learn ships, written as JPEG into class
folders. DALI reads, decodes, crops and mixes them, PyTorch trains, and the table says what came
out; demo/mixup.png shows what the network saw. The digits are easy and few, so this shows how the
parts fit and says little about which method is best.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from torch import nn
from tqdm import tqdm

from dali_mix import CutMix, MixAccuracy, MixLoader, MixLoss, MixUp
from dali_mix.commands.preview import command as preview
from dali_mix.commands.preview import sheet

METHODS = {"none": None, "mixup": MixUp(), "cutmix": CutMix()}
SIZE = 32
TRAIN_SHARE = 0.7
GREY = {"mean": 127.5, "std": 127.5, "size": SIZE}
THREADS = max(1, len(os.sched_getaffinity(0)) // 2)  # for DALI, and as many for PyTorch
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def write_digits(folder, limit):
    """Write up to `limit` digits as JPEG files, folder/{train,val}/{0..9}/NNNN.jpg."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))[:limit]
    for rank, index in enumerate(order):
        part = "train" if rank < TRAIN_SHARE * len(order) else "val"
        path = folder / part / str(digits.target[index]) / f"{index:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.uint8(digits.images[index] * (255 / 16))
        digit = Image.fromarray(pixels).resize((SIZE - 8, SIZE - 8), Image.Resampling.BICUBIC)
        ImageOps.expand(digit, border=4).save(path, quality=95)


def training_batches(root, method, seed, batch_size):
    """Loader of (x, MixTarget). A mirrored digit is none, so nothing is mirrored."""
    augment = {"methods": method, "area": (0.7, 1.0), "mirror": 0}
    return MixLoader.from_imagefolder(
        root, batch_size=batch_size, seed=seed, num_threads=THREADS, **augment, **GREY
    )


def validation_batches(root):
    """Loader of (x, y), every file once."""
    return MixLoader.from_imagefolder(
        root, batch_size=128, training=False, num_threads=THREADS, resize=SIZE, **GREY
    )


def small_cnn():
    def block(inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    model = nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 64), *head)
    return model.to(DEVICE, memory_format=torch.channels_last)


def train(loader, epochs, progress):
    """The model, and images per second of the whole loop."""
    model = small_cnn()
    criterion = MixLoss(nn.CrossEntropyLoss())
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, epochs * len(loader))
    accuracy = MixAccuracy().to(DEVICE)
    images, start = 0, time.perf_counter()
    for _ in range(epochs):
        accuracy.reset()
        for x, target in loader:
            logits = model(x)
            loss = criterion(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            accuracy.update(logits, target)
            images += target.batch_size
            progress.update()
        progress.set_postfix(loss=f"{loss.item():.3f}", train=f"{accuracy.compute().item():.3f}")
    return model, images / (time.perf_counter() - start)


@torch.no_grad()
def evaluate(model, loader):
    """Accuracy and expected calibration error on images that are not mixed."""
    model.eval()
    outputs = [(model(x), y) for x, y in loader]
    logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    accuracy = MixAccuracy().to(DEVICE)(logits, labels).item()
    return accuracy, calibration_error(logits.softmax(1), labels)


def calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy over bins of confidence (Guo et al. 2017)."""
    confidence, guess = probabilities.max(1)
    hit = (guess == labels).float()
    place = (confidence * bins).long().clamp(max=bins - 1)
    gaps = [(confidence - hit)[place == index].sum().abs() for index in range(bins)]
    return (sum(gaps) / len(labels)).item()


def draw_sheet(folder, path):
    """What both kinds of mixing make of images of five classes."""
    files = preview.choose_files(folder, 10, seed=0)
    labels = [file.parent.name for file in files]
    methods = [METHODS["mixup"], METHODS["cutmix"]]
    rows = preview.mixed_rows(files, labels, methods, size=SIZE, seed=2, most=5)
    sheet.contact_sheet(rows, "Handwritten digits, mixed by dali_mix").save(path)


def print_table(results):
    print(f"\n{'mixing':8} {'accuracy %':>14} {'ECE %':>14} {'images/s':>10}")
    for name, runs in results.items():
        accuracies, errors, speeds = zip(*runs, strict=True)
        cells = [spread([100 * value for value in part]) for part in (accuracies, errors)]
        print(f"{name:8} {cells[0]:>14} {cells[1]:>14} {statistics.median(speeds):>10.0f}")


def spread(values):
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


def run(args):
    torch.set_num_threads(THREADS)
    data = args.output / "data" / f"digits-{args.images}"
    write_digits(data, args.images)
    draw_sheet(data / "train", args.output / "mixup.png")
    validation = validation_batches(data / "val")
    steps = int(TRAIN_SHARE * args.images) // args.batch_size * args.epochs
    results = defaultdict(list)
    with tqdm(total=steps * len(METHODS) * args.seeds, unit="step") as progress:
        for seed in range(args.seeds):
            for name, method in METHODS.items():
                progress.set_description(f"{name}, seed {seed}")
                torch.manual_seed(seed)
                with training_batches(data / "train", method, seed, args.batch_size) as loader:
                    model, speed = train(loader, args.epochs, progress)
                results[name].append((*evaluate(model, validation), speed))
    print_table(results)
    print(f"\nMean ± standard deviation over {args.seeds} seeds, {args.epochs} epochs, {DEVICE}.")
    print("ECE: expected calibration error on images that are not mixed, 15 bins; less is better.")
    print(f"What the network saw: {args.output / 'mixup.png'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--images", type=int, default=1797, help="of the digits, 100 to 1797")
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder to write into")
    args = parser.parse_args()
    if min(args.epochs, args.seeds) < 1:
        parser.error("--epochs and --seeds must be at least 1")
    if not 100 <= args.images <= 1797:
        parser.error(f"--images must lie in [100, 1797], got {args.images}")
    if not 2 <= args.batch_size <= TRAIN_SHARE * args.images:
        parser.error(f"--batch-size must lie in [2, {TRAIN_SHARE * args.images:.0f}]")
    try:
        run(args)
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()

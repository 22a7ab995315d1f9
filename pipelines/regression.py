"""A number for each image: float labels, mixed in DALI, and the two meanings of a mixed MSE.

    python pipelines/regression.py ages.csv photos --mix labels

LIST is a CSV file with the columns `file` and `value`; file names are relative to DIR. DALI pairs
float labels as it pairs class ids. Where the loss is not linear in the label, "mixed" has two
meanings, between which --mix chooses, and with it MixLoss(criterion, mix=…):

    losses  lam * L(p, own) + (1 - lam) * L(p, partner's)     how mixup is used for classes
    labels  L(p, lam * own + (1 - lam) * partner's)           how the paper of mixup defines it

For MSE they differ by lam * (1 - lam) * (own - partner's)**2, which does not depend on the
prediction p: the training is the same, the loss printed is larger with "losses". For L1 and Huber
(--loss) they differ: "losses" pulls towards the label of larger weight, "labels" in between. A
share of the list is held back for validation, on images that are not mixed.
"""

import argparse
import contextlib
import csv
from pathlib import Path

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix
import dali_mix.fn as dmix

MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]
LOSSES = {"mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss}


def read_list(path):
    """File names, and a row of one number for each."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [row | {"line": reader.line_num} for row in reader]
    if not rows or not {"file", "value"} <= rows[0].keys():
        raise ValueError(f"LIST must have columns file and value and some rows, got {path}.")
    table = np.full((len(rows), 1), np.nan, np.float32)
    for number, row in zip(table, rows, strict=True):
        with contextlib.suppress(TypeError, ValueError):  # it stays nan
            number[:] = float(row["value"])
        if not (row["file"] and np.isfinite(number)):
            found = f"got {row['file']!r} and {row['value']!r} in line {row['line']} of {path}"
            raise ValueError(f"rows of LIST must have a file and a finite value, {found}.")
    return [row["file"] for row in rows], table


class Source:
    """Encoded files and their numbers, sample by sample; shuffled anew for each epoch."""

    def __init__(self, folder, files, table, shuffle, batch_size):
        self.folder, self.files, self.table, self.shuffle = folder, files, table, shuffle
        self.order, self.epoch = np.arange(len(files)), -1
        # Full batches only: the end of the epoch is filled up, and MixLoader drops or cuts it.
        self.padded = -(-len(files) // batch_size) * batch_size

    def __call__(self, info):
        if info.idx_in_epoch >= self.padded:
            raise StopIteration
        if self.shuffle and info.epoch_idx != self.epoch:
            self.epoch = info.epoch_idx
            self.order = np.random.default_rng(self.epoch).permutation(len(self.files))
        index = self.order[info.idx_in_epoch % len(self.order)]
        return np.fromfile(self.folder / self.files[index], np.uint8), self.table[index]


@pipeline_def
def pipeline(source, args, training):
    files, labels = fn.external_source(source, num_outputs=2, batch=False)
    decoder = "mixed" if args.device == "gpu" else "cpu"
    images = fn.decoders.image(files, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=[args.size, args.size])
    if training:
        mirror = fn.random.coin_flip()
        return dmix.mixup(images, labels, alpha=0.4, mirror=mirror, mean=MEAN, std=STD)
    x = fn.crop_mirror_normalize(images, mean=MEAN, std=STD)
    return x, labels.gpu() if args.device == "gpu" else labels


def make_loader(args, files, table, training):
    source = Source(args.folder, files, table, training, args.batch_size)
    options = {"batch_size": args.batch_size, "num_threads": args.threads, "seed": args.seed}
    device_id = torch.cuda.current_device() if args.device == "gpu" else None
    built = pipeline(source, args, training, device_id=device_id, **options)
    return dali_mix.MixLoader(built, size=len(files))


def train(args):
    files, table = read_list(args.list)
    chosen = np.random.default_rng(args.seed).permutation(len(files))
    val, kept = np.split(chosen, [max(1, round(args.validation * len(files)))])
    std = table[kept].std() or 1.0
    table = (table - table[kept].mean()) / std
    training = make_loader(args, [files[i] for i in kept], table[kept], True)
    validation = make_loader(args, [files[i] for i in val], table[val], False)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if args.device == "gpu" else "cpu")
    stem = [nn.Conv2d(3, 32, 5, stride=2), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    model = nn.Sequential(*stem, nn.Flatten(), nn.Linear(32, 1)).to(device)
    criterion = dali_mix.MixLoss(LOSSES[args.loss](), mix=args.mix)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        for x, target in training:  # target.y1 and target.y2: (N, 1) float32
            loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss of the last batch {loss.item():.4f}", flush=True)
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(x) - y).abs() for x, y in validation])
    print(f"validation on {len(errors)} images: mean absolute error {errors.mean() * std:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("list", metavar="LIST", type=Path, help="CSV file: file,value")
    parser.add_argument("folder", metavar="DIR", type=Path, help="that holds the files")
    parser.add_argument("--mix", choices=["losses", "labels"], default="losses")
    parser.add_argument("--loss", choices=LOSSES, default="mse")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=128, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="of the CPU")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--validation", type=float, default=0.2, help="share held back")
    parser.add_argument("--device", choices=["cpu", "gpu"], help="None: what there is")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not 0 < args.validation < 1:
        parser.error(f"--validation must lie in (0, 1), got {args.validation}")
    if min(args.epochs, args.batch_size, args.size, args.threads) < 1:
        parser.error("--epochs, --batch-size, --size and --threads must be at least 1")
    args.device = args.device or ("gpu" if torch.cuda.is_available() else "cpu")
    try:
        train(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

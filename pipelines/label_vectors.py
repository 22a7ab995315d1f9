"""Train on labels that are float vectors: several labels for an image, or one number.

    python pipelines/label_vectors.py

LIST is a CSV file with the columns `file` and `labels`. DALI pairs vectors as it pairs class ids.
TASK "classes": words, separated by spaces, or none at all; a vector has a 1 for each word.
TASK "number": MixLoss(criterion, mix=…) chooses what is blended, since results differ:
    "losses"  lam * L(p, own) + (1 - lam) * L(p, partner's)    how mixup is used for classes
    "labels"  L(p, lam * own + (1 - lam) * partner's)          how the paper of mixup defines it
For L1, "losses" pulls towards the label of larger weight, "labels" to a value between. For MSE they
differ by lam * (1 - lam) * (own - partner's)**2, which does not depend on the prediction.
"""

import csv
from pathlib import Path

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix.fn as dmix
from dali_mix import MixLoader, MixLoss, recipes

LIST = Path("photos.csv")
FOLDER = Path("photos")  # names of files are relative to it
TASK = "classes"
CRITERION = MixLoss(nn.BCEWithLogitsLoss())  # for a number: MixLoss(nn.L1Loss(), mix="labels")
SIZE = 128  # height and width in pixels
BATCH_SIZE = 64
EPOCHS = 30
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None
DEVICE, DECODER = ("cpu", "cpu") if GPU is None else ("cuda", "mixed")


def read_list():
    """Names of the files, names of the columns of the vectors, and a vector for each file."""
    with open(LIST, newline="", encoding="utf-8") as file:
        rows = [(row["file"], (row["labels"] or "").split()) for row in csv.DictReader(file)]
    files, labels = zip(*rows, strict=True)
    if TASK == "number":
        for name, label in rows:
            if len(label) != 1 or not np.isfinite(float(label[0])):
                raise ValueError(f"labels of {name!r} in {LIST} must be a finite number.")
        return files, ["number"], np.array(labels, np.float32)
    words = sorted({word for label in labels for word in label})
    return files, words, np.array([[word in row for word in words] for row in labels], np.float32)


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=GPU, seed=0)
def pipeline(files, table, training):
    # The reader gives the index of each file, which is its row in the table.
    read = {"files": files, "labels": [*range(len(files))], "shuffle_after_epoch": training}
    encoded, place = fn.readers.file(file_root=str(FOLDER), pad_last_batch=True, **read)
    labels = types.Constant(table, device="cpu")[place[0]]
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    images = fn.decoders.image(encoded, device=DECODER, output_type=types.RGB)
    images = fn.resize(images, size=[SIZE, SIZE])
    output = {"mean": recipes.IMAGENET_MEAN, "std": recipes.IMAGENET_STD}
    if training:
        return dmix.mixup(images, labels, alpha=0.4, mirror=fn.random.coin_flip(), **output)
    return fn.crop_mirror_normalize(images, **output), labels if GPU is None else labels.gpu()


def main():
    files, columns, table = read_list()
    val, train = np.split(np.random.default_rng(0).permutation(len(files)), [len(files) // 5])
    training = MixLoader(pipeline([files[k] for k in train], table[train], True))
    validation = MixLoader(pipeline([files[k] for k in val], table[val], False))
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 32, 5, stride=2), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    model = nn.Sequential(*stem, nn.Flatten(), nn.Linear(32, len(columns))).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        for x, target in training:  # target.y1 and target.y2: (N, columns) float32
            loss = CRITERION(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        results = [(model.eval()(x), y) for x, y in validation]
    outputs, labels = map(torch.cat, zip(*results, strict=True))
    print(f"validation on {len(labels)} images: loss {CRITERION(outputs, labels):.4f}")
    guess = (outputs > 0).float() if TASK == "classes" else outputs
    for column, error in zip(columns, (guess - labels).abs().mean(0), strict=True):
        print(f"  {column:20} mean absolute error {error:.3f}")


if __name__ == "__main__":
    main()

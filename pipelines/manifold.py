"""Mix hidden layers instead of pixels: manifold mixup (Verma et al. 2019) on a small CNN.

    python pipelines/manifold.py

The DALI pipeline draws the plan and pairs the labels, but does not mix pixels. `manifold_mixup`
draws a layer for each batch, and mixes its outputs for each image and its plan.partner. As in the
paper, alpha is 2, each batch has one lam, and nothing is folded.
"""

from collections import Counter, OrderedDict
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix.fn as dmix
from dali_mix import ManifoldTarget, MixAccuracy, MixLoader, MixLoss, MixUp, manifold_mixup, recipes

FOLDER = Path("imagenet")  # with train and val in it
LAYERS = ["stem", "block1"]  # layers to mix, besides the input of the network
SIZE = 64  # height and width in pixels
BATCH_SIZE = 64
EPOCHS = 90
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None


def read(part):
    """Decoded images of one size, and class ids."""
    options = {"pad_last_batch": True, "shuffle_after_epoch": part == "train"}
    encoded, labels = fn.readers.file(file_root=str(FOLDER / part), **options)
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    decoder = "cpu" if GPU is None else "mixed"
    images = fn.decoders.image(encoded, device=decoder, output_type=types.RGB)
    return fn.resize(images, size=[SIZE, SIZE]), labels


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=GPU, seed=0)
def training_pipeline():
    images, labels = read("train")
    plan = dmix.plan(images, labels, MixUp(alpha=2.0, fold=False), per="batch")
    x = fn.crop_mirror_normalize(images, mean=127.5, std=64)
    y1, y2 = dmix.pair_labels(labels, plan)
    return x, y1, y2, plan.lam, plan.partner


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=GPU)
def validation_pipeline():
    images, labels = read("val")
    return fn.crop_mirror_normalize(images, mean=127.5, std=64), labels


def network(classes):
    def block(inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.AvgPool2d(2))

    parts = {"stem": block(3, 16), "block1": block(16, 32), "block2": block(32, 64)}
    parts["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
    return nn.Sequential(OrderedDict(parts)).to("cpu" if GPU is None else "cuda")


def main():
    # mixed=False: x is not mixed, and the labels come as a tuple, (y1, y2, lam, partner).
    training = MixLoader(training_pipeline(), mixed=False, last_batch="drop")
    validation = MixLoader(validation_pipeline())
    torch.manual_seed(0)
    model = network(len(recipes.class_names(FOLDER / "train")))
    criterion, accuracy = MixLoss(nn.CrossEntropyLoss()), MixAccuracy()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(EPOCHS):
        model.train()
        drawn = Counter()
        for x, labels in training:
            target = ManifoldTarget(*(part.to(x.device) for part in labels))
            with manifold_mixup(model, layers=LAYERS, include_input=True, target=target) as layer:
                loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            drawn[layer] += 1
        model.eval()
        accuracy.reset()
        for x, y in validation:
            accuracy.to(x.device).update(model(x).detach(), y.to(x.device))
        print(f"epoch {epoch}: mixed {dict(drawn)}, validation accuracy {accuracy.compute():.4f}")


if __name__ == "__main__":
    main()

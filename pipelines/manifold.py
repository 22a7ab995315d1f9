"""Mix hidden layers instead of pixels: manifold mixup (Verma et al. 2019) on a small CNN.

    python pipelines/manifold.py

The DALI pipeline draws the plan, and pairs the labels, but leaves the pixels alone: it emits
plan.partner, with which `manifold_mixup` mixes the output of one layer, drawn anew for each batch.
The paper takes alpha 2, one lam for each batch, and no folding.
"""

from collections import Counter
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix.fn as dmix
from dali_mix import ManifoldTarget, MixAccuracy, MixLoader, MixLoss, MixUp, manifold_mixup, recipes

FOLDER = Path("imagenet")  # with train and val in it
LAYERS = ["stem", "block1"]  # of the network; its input is one, too
SIZE = 64  # height and width in pixels
BATCH_SIZE = 64
EPOCHS = 90
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None


def read(part):
    """Decoded images of one size, and class ids."""
    shuffle = {"shuffle_after_epoch": True} if part == "train" else {}
    encoded, labels = fn.readers.file(file_root=str(FOLDER / part), pad_last_batch=True, **shuffle)
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    decoder = "cpu" if GPU is None else "mixed"
    images = fn.decoders.image(encoded, device=decoder, output_type=types.RGB)
    return fn.resize(images, size=[SIZE, SIZE]), labels


def on_device(*outputs):
    return outputs if GPU is None else tuple(output.gpu() for output in outputs)


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=GPU, seed=0)
def training_pipeline():
    images, labels = read("train")
    plan = dmix.plan(images, labels, MixUp(alpha=2.0, fold=False), per="batch")
    x = fn.crop_mirror_normalize(images, mean=127.5, std=64)
    y1, y2 = dmix.pair_labels(labels, plan)
    return on_device(x, y1, y2, plan.lam, plan.partner)


@pipeline_def(batch_size=BATCH_SIZE, num_threads=4, device_id=GPU)
def validation_pipeline():
    images, labels = read("val")
    return on_device(fn.crop_mirror_normalize(images, mean=127.5, std=64), labels)


def network(classes):
    def block(inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.AvgPool2d(2))

    model = nn.Sequential()
    model.stem, model.block1, model.block2 = block(3, 16), block(16, 32), block(32, 64)
    model.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
    return model.to("cpu" if GPU is None else "cuda")


def main():
    # mixed=False: x is not, and the labels come as a tuple, (y1, y2, lam, partner).
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
            target = ManifoldTarget(*labels)
            with manifold_mixup(model, layers=LAYERS, include_input=True, target=target) as layer:
                loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            drawn[layer] += 1
        model.eval()
        accuracy.reset()
        for x, y in validation:
            accuracy.to(x.device).update(model(x).detach(), y)
        mixed = ", ".join(f"{layer} {count}" for layer, count in sorted(drawn.items()))
        print(f"epoch {epoch}: mixed at {mixed}; validation accuracy {accuracy.compute():.4f}")


if __name__ == "__main__":
    main()

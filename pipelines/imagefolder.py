"""Train on an image folder with mixed precision, and validate: ImageNet, as timm trains a ViT.

    python pipelines/imagefolder.py

FOLDER holds `train` and `val`, each with one folder of images for each class. One DALI pipeline
crops and flips images, applies RandAugment, erases rectangles, mixes and normalises.
docs/recipes.md has the recipe line by line, and what differs from timm. Without it,
`MixLoader.from_imagefolder` has the usual arguments for a ResNet.
"""

from pathlib import Path

import torch
from nvidia.dali import types
from torch import nn

from dali_mix import MixAccuracy, MixLoader, MixLoss, recipes

FOLDER = Path("imagenet")
RECIPE = "DeiT"  # or A1, A2, A3, DeiT III, Swin, ConvNeXt
SIZE = 224  # height and width in pixels
BATCH_SIZE = 128
EPOCHS = 90
LEARNING_RATE = 1e-3
THREADS = 8  # CPU threads of each pipeline
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OUTPUT = {"size": SIZE, "dtype": types.FLOAT16 if DEVICE.type == "cuda" else types.FLOAT}


def loaders():
    """The training and the validation batches."""
    same = {"batch_size": BATCH_SIZE, "num_threads": THREADS}
    recipe = recipes.published(RECIPE) | OUTPUT
    training = MixLoader.from_imagefolder(FOLDER / "train", seed=0, **same, **recipe)
    return training, MixLoader.from_imagefolder(FOLDER / "val", training=False, **same, **OUTPUT)


def network(classes):
    """Put your model here, such as one of torchvision or timm."""
    convolution = nn.Conv2d(3, 32, 7, stride=4, padding=3)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes)]
    return nn.Sequential(convolution, nn.BatchNorm2d(32), nn.ReLU(), *head).to(DEVICE)


@torch.no_grad()
def validate(model, loader):
    accuracy = MixAccuracy().to(DEVICE)
    for x, y in loader:  # y: (N,) int64, every file once
        with torch.autocast(DEVICE.type):
            logits = model(x)
        accuracy.update(logits, y)
    return accuracy.compute().item()


def main():
    torch.manual_seed(0)
    training, validation = loaders()
    model = network(len(training.classes))
    criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=DEVICE.type == "cuda")
    for epoch in range(EPOCHS):
        model.train()
        for x, target in training:  # x: (N, 3, SIZE, SIZE); target: MixTarget(y1, y2, lam)
            with torch.autocast(DEVICE.type):
                loss = criterion(model(x), target)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        accuracy = validate(model.eval(), validation)
        print(f"epoch {epoch}: loss {loss.item():.4f}, validation accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()

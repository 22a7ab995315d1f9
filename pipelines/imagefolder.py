"""Train on an image folder with mixed precision, and validate: ImageNet, as timm trains a ViT.

    python pipelines/imagefolder.py

FOLDER holds `train` and `val`, each with one folder of images for each class. One DALI pipeline
crops and flips images, applies RandAugment, erases rectangles, mixes and normalises. Without
`augment=` it is the usual recipe for a ResNet.

timm's train.py does the same with `--aa rand-m9-mstd0.5-inc1 --mixup 0.8 --cutmix 1.0 --reprob 0.25
--remode pixel`, with these differences:
  erasing  comes before mixing here, so that lam stays the share of own pixels; a rectangle has one
           random colour, not one for each pixel
  mixing   is drawn for each image, as with --mixup-mode elem; partners are a random permutation
  RandAugment  is DALI's: both operations always act, with magnitude 9 of 10; identity replaces
           invert and solarize-add; posterize keeps 4 bits; areas outside the image become grey
"""

from pathlib import Path

import torch
from nvidia.dali import pipeline_def, types
from nvidia.dali.auto_aug.rand_augment import rand_augment
from torch import nn

from dali_mix import CutMix, MixAccuracy, MixLoader, MixLoss, MixUp, recipes

FOLDER = Path("imagenet")
METHODS = [MixUp(0.8, fold=False), CutMix(1.0)]  # each mixes half of the images
SIZE = 224  # height and width in pixels
BATCH_SIZE = 128
EPOCHS = 90
LEARNING_RATE = 1e-3
THREADS = 8  # CPU threads of each pipeline
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OUTPUT = {"size": SIZE, "dtype": types.FLOAT16 if DEVICE.type == "cuda" else types.FLOAT}


def augment(images):
    """Change cropped uint8 images before they are mixed."""
    images = rand_augment(images, n=2, m=27, shape=[SIZE, SIZE], max_translate_rel=0.45)
    return recipes.random_erasing(images)


@pipeline_def(enable_conditionals=True, enable_checkpointing=True)  # RandAugment uses `if`
def training_pipeline():
    return recipes.imagefolder_train(FOLDER / "train", methods=METHODS, augment=augment, **OUTPUT)


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
    same = {"batch_size": BATCH_SIZE, "num_threads": THREADS}
    device_id = 0 if DEVICE.type == "cuda" else None
    training = MixLoader(training_pipeline(seed=0, device_id=device_id, **same))
    validation = MixLoader.from_imagefolder(FOLDER / "val", training=False, **same, **OUTPUT)
    model = network(len(recipes.class_names(FOLDER / "train")))
    criterion = MixLoss(nn.CrossEntropyLoss())
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

"""Shows what mixing is for: trains with and without it on labels of which 40 % are wrong.

    make demo

This is the experiment with corrupted labels of the mixup paper (Zhang et al. 2018, section 3.4), on
the handwritten digits of scikit-learn. Without mixing, a network learns the wrong labels by heart,
and is worse on the test images, whose labels are right. With mixing it cannot.
"""

from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from dali_mix import CutMix, MixLoader, MixLoss, MixUp
from dali_mix.commands import cli
from dali_mix.measure import wrong_labels

OUTPUT = Path("demo")
DATA = OUTPUT / "data"
WRONG = 0.4  # share of the training labels; 0 to see what mixing does to clean labels
METHODS = {"none": None, "mixup": MixUp(8.0, fold=False), "cutmix": CutMix()}
SEEDS = 5
EPOCHS = 30
TESTED = range(EPOCHS, 0, -3)[::-1]  # epochs after which the network is tested
TRAIN = 1257  # images; the other 540 are for the test
GREY = {"size": 16, "mean": 127.5, "std": 127.5, "num_threads": 1}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def everything(part):
    """All images of a part, their labels, and the digits that they are."""
    files = sorted(path.relative_to(DATA / part) for path in (DATA / part).glob("*/*.jpg"))
    options = {"batch_size": 128, "training": False, "resize": 16, "files": map(str, files), **GREY}
    batches = MixLoader.from_imagefolder(DATA / part, **options)
    images, labels = map(torch.cat, zip(*batches, strict=True))
    return images, labels, torch.tensor([int(file.stem[-1]) for file in files], device=DEVICE)


def network():
    layers = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 2 * 2, 10))
    return model.to(DEVICE, memory_format=torch.channels_last)


def train(method, seed, evaluate):
    """What `evaluate(model)` finds after each epoch in TESTED."""
    torch.manual_seed(seed)
    whole = {"area": (1, 1), "aspect": (1, 1), "mirror": 0}  # no augmentation except mixing
    options = {"batch_size": 64, "methods": method, "seed": seed, **whole, **GREY}
    model, criterion, found = network(), MixLoss(nn.CrossEntropyLoss()), []
    with MixLoader.from_imagefolder(DATA / "train", **options) as batches:
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, EPOCHS * len(batches))
        for epoch in range(1, EPOCHS + 1):
            model.train()
            for x, target in batches:
                loss = criterion(model(x), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if epoch in TESTED:
                found.append(evaluate(model.eval()))
    return found


def main():
    wrong_labels.write_digits(DATA, TRAIN, WRONG)
    for name, options in (("mixup", ["--alpha=8", "--option=fold=False"]), ("cutmix", [])):
        sheet = ["--size=16", f"--method={name}", *options, f"--output={OUTPUT}/{name}.png"]
        cli.main(["preview", f"{DATA}/train", *sheet])
    parts = {"training": everything("train"), "test": everything("test")}
    evaluate = partial(wrong_labels.evaluate, **parts)
    found = {
        name: [train(method, seed, evaluate) for seed in tqdm(range(SEEDS), name)]
        for name, method in METHODS.items()
    }
    wrong_labels.report(found, TESTED, OUTPUT)


if __name__ == "__main__":
    main()

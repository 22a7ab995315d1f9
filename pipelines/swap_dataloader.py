"""A plain training script before and after: what changes when DALI loads and mixes.

    python pipelines/swap_dataloader.py imagenet             # after: dali_mix
    python pipelines/swap_dataloader.py imagenet --before    # before: torchvision's classes

The lines that change are marked CHANGED, each below the line that it replaces; the rest of the
script, model, loop, validation, is the same. Copy only the lines that you keep.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from dali_mix import CutMix, MixLoader, MixLoss, MixUp  # CHANGED: new

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loaders_before(args):
    from torch.utils.data import DataLoader
    from torchvision import transforms as t
    from torchvision.datasets import ImageFolder

    augment = [t.RandomResizedCrop(args.size), t.RandomHorizontalFlip()]
    centre = [t.Resize(args.size * 256 // 224), t.CenterCrop(args.size)]
    finish = [t.ToTensor(), t.Normalize(MEAN, STD)]
    training = ImageFolder(args.folder / "train", t.Compose(augment + finish))
    validation = ImageFolder(args.folder / "val", t.Compose(centre + finish))
    options = {"batch_size": args.batch_size, "num_workers": args.threads}
    return (
        DataLoader(training, shuffle=True, drop_last=True, **options),
        DataLoader(validation, **options),
    )


def loaders_after(args):
    # The same crops, flips and normalisation, and mixing, in a DALI pipeline.
    options = {"batch_size": args.batch_size, "num_threads": args.threads, "size": args.size}
    return (
        MixLoader.from_imagefolder(
            args.folder / "train", methods=[MixUp(alpha=0.2), CutMix()], seed=args.seed, **options
        ),
        MixLoader.from_imagefolder(args.folder / "val", training=False, **options),
    )


def train(args):
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # training, validation = loaders_before(args)
    training, validation = (loaders_before if args.before else loaders_after)(args)  # CHANGED
    classes = sum(entry.is_dir() for entry in (args.folder / "train").iterdir())
    model = small_model(classes).to(device)
    # criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))  # CHANGED
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for x, y in training:
            # x and y are on the GPU already; these two lines could go.
            x, y = x.to(device), y.to(device)
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        loss, share = evaluate(model, validation, criterion, device)
        print(
            f"epoch {epoch}: training loss {total / len(training):.4f}, "
            f"validation loss {loss:.4f}, accuracy {share:.4f}",
            flush=True,
        )


@torch.no_grad()
def evaluate(model, validation, criterion, device):
    model.eval()
    loss, right, seen = 0.0, 0, 0
    for x, y in validation:
        x, y = x.to(device), y.to(device)
        logits = model(x)
        loss += criterion(logits, y).item() * len(y)  # a plain y: MixLoss lets it through
        right += (logits.argmax(1) == y).sum().item()
        seen += len(y)
    return loss / seen, right / seen


def small_model(classes):
    """Here your model would come, from torchvision or timm."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val in it")
    parser.add_argument("--before", action="store_true", help="the plain script; no mixing")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="or workers, before")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        train(args)
    except ModuleNotFoundError as error:
        parser.exit(2, f"{parser.prog}: --before needs {error.name}; pip install {error.name}.\n")
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

"""Mix hidden layers instead of pixels: manifold mixup (Verma et al. 2019) on a small CNN.

    python pipelines/manifold.py imagenet --layers stem block1 block2 --include-input
    python pipelines/manifold.py demo/data/digits-1797 --size 32      # after make demo

The DALI pipeline draws the plan, and pairs the labels, but leaves the pixels alone: it emits
plan.partner, with which `manifold_mixup` mixes the output of one layer, drawn anew for each batch.
The paper takes alpha 2, one lam for each batch (--per batch), and no folding. DIR holds `train` and
`val`, or is itself an image folder: one folder of images for each class.
"""

import argparse
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix.fn as dmix
from dali_mix import ManifoldTarget, MixAccuracy, MixLoader, MixLoss, MixUp, manifold_mixup, recipes


@pipeline_def
def pipeline(folder, args, training):
    order = {"shuffle_after_epoch": True} if training else {}
    files, labels = fn.readers.file(file_root=str(folder), pad_last_batch=True, **order)
    decoder = "mixed" if args.device == "gpu" else "cpu"
    images = fn.decoders.image(files, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=[args.size, args.size])
    x = fn.crop_mirror_normalize(images, mean=127.5, std=64)
    outputs = [x, labels]
    if training:
        plan = dmix.plan(images, labels, MixUp(alpha=args.alpha, fold=False), per=args.per)
        y2 = fn.permute_batch(labels, indices=plan.partner)
        outputs += [y2, plan.lam, plan.partner]
    return tuple(output.gpu() if args.device == "gpu" else output for output in outputs)


def make_loader(folder, args, training):
    built = pipeline(
        folder,
        args,
        training,
        batch_size=args.batch_size,
        num_threads=args.threads,
        device_id=torch.cuda.current_device() if args.device == "gpu" else None,
        seed=args.seed,
    )
    # mixed=False: x is not, and the labels come as a tuple, (y, y2, lam, partner).
    return MixLoader(built, mixed=False, last_batch="drop" if training else "partial")


class SmallNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = self.block(3, 16)
        self.block1 = self.block(16, 32)
        self.block2 = self.block(32, 64)
        self.head = nn.Linear(64, classes)

    def block(self, inputs, outputs):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.AvgPool2d(2))

    def forward(self, x):
        return self.head(self.block2(self.block1(self.stem(x))).mean((2, 3)))


def train(args):
    parts = [args.folder / "train", args.folder / "val"]
    train_folder, val_folder = (part if part.is_dir() else args.folder for part in parts)
    training = make_loader(train_folder, args, True)
    validation = make_loader(val_folder, args, False)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if args.device == "gpu" else "cpu")
    model = SmallNet(len(recipes.class_names(train_folder))).to(device)
    criterion = MixLoss(nn.CrossEntropyLoss())
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    mixing = {"layers": args.layers, "include_input": args.include_input}
    for epoch in range(args.epochs):
        model.train()
        total, drawn = 0.0, []
        for x, parts in training:
            target = ManifoldTarget(*parts)
            with manifold_mixup(model, target=target, **mixing) as layer:
                logits = model(x)
            loss = criterion(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            drawn.append(layer)
        accuracy = evaluate(model.eval(), validation)
        counts = ", ".join(f"{layer} {drawn.count(layer)}" for layer in sorted({*drawn}))
        print(f"epoch {epoch}: loss {total / len(drawn):.4f}, mixed at {counts}")
        print(f"  validation accuracy {accuracy:.4f}", flush=True)


@torch.no_grad()
def evaluate(model, validation):
    accuracy = MixAccuracy()
    for x, y in validation:
        accuracy.to(x.device).update(model(x), y)
    return accuracy.compute()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val, or one")
    parser.add_argument("--layers", nargs="*", default=["stem", "block1"], help="of SmallNet")
    parser.add_argument("--include-input", action="store_true", help="the input is one, too")
    parser.add_argument("--alpha", type=float, default=2.0, help="of Beta(alpha, alpha)")
    parser.add_argument("--per", choices=["sample", "batch"], default="sample")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of each pipeline")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--device", choices=["cpu", "gpu"], help="None: what there is")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"DIR must be a folder, got {args.folder}")
    if min(args.epochs, args.batch_size, args.size, args.threads) < 1:
        parser.error("--epochs, --batch-size, --size and --threads must be at least 1")
    args.device = args.device or ("gpu" if torch.cuda.is_available() else "cpu")
    try:
        train(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

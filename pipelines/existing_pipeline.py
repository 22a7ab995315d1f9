"""A ResNet-50 training pipeline as people have it, and the lines that change to mix in it.

    python pipelines/existing_pipeline.py imagenet/train             # mixed
    python pipelines/existing_pipeline.py imagenet/train --no-mix    # as it was

Three lines change, each marked CHANGED below the line that it replaces: the operator that
normalises, the names of the outputs, the loss. The import is new. The program keeps both versions
so that they can be compared; copy only the lines you need. It prints the loss and the throughput.
"""

import argparse
import time
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator
from torch import nn

import dali_mix.fn as dmix  # CHANGED: new
from dali_mix import MixLoss, MixTarget  # CHANGED: new

MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]


@pipeline_def
def training_pipeline(folder, size, device, mix, shard_id, num_shards):
    files, labels = fn.readers.file(
        name="Reader",
        file_root=str(folder),
        shard_id=shard_id,
        num_shards=num_shards,
        random_shuffle=True,
        pad_last_batch=True,
    )
    images = fn.decoders.image_random_crop(
        files,
        device="mixed" if device == "gpu" else "cpu",
        output_type=types.RGB,
        random_area=[0.08, 1.0],
        random_aspect_ratio=[3 / 4, 4 / 3],
    )
    images = fn.resize(images, size=[size, size], interp_type=types.INTERP_TRIANGULAR)
    mirror = fn.random.coin_flip(probability=0.5)
    output = {"mean": MEAN, "std": STD, "dtype": types.FLOAT, "output_layout": "CHW"}
    if not mix:
        images = fn.crop_mirror_normalize(images, mirror=mirror, **output)
        return images, labels.gpu() if device == "gpu" else labels
    return dmix.mixup(images, labels, alpha=0.2, mirror=mirror, **output)  # CHANGED


def train(args):
    device = torch.device("cuda" if args.device == "gpu" else "cpu")
    pipeline = training_pipeline(
        args.folder,
        args.size,
        args.device,
        args.mix,
        args.shard_id,
        args.num_shards,
        batch_size=args.batch_size,
        num_threads=args.threads,
        device_id=torch.cuda.current_device() if args.device == "gpu" else None,
        seed=args.seed + args.shard_id,
    )
    names = ["data", "label"]
    if args.mix:
        names = ["data", "label", "label2", "lam"]  # CHANGED
    loader = DALIGenericIterator(
        pipeline,
        names,
        reader_name="Reader",
        last_batch_policy=LastBatchPolicy.DROP,  # of one shard, no padded sample mixes
        auto_reset=True,
        prepare_first_batch=False,
    )
    if len(loader) == 0:
        raise ValueError(
            f"--batch-size must be at most the images of one shard of {args.folder}, "
            f"got {args.batch_size}; take a smaller one."
        )
    torch.manual_seed(args.seed)
    classes = sum(entry.is_dir() for entry in args.folder.iterdir())
    model = small_model(classes).to(device)
    criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=0.1))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        images, start, total, steps = 0, time.perf_counter(), 0.0, 0
        for (batch,) in loader:
            logits = model(batch["data"])
            if args.mix:
                target = MixTarget(batch["label"], batch["label2"], batch["lam"])
            else:
                target = batch["label"].squeeze(-1).long()
            loss = criterion(logits, target)  # CHANGED
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, steps, images = total + loss.item(), steps + 1, images + len(logits)
        speed = images / (time.perf_counter() - start)
        print(f"epoch {epoch}: loss {total / steps:.4f}, {speed:.0f} images/s", flush=True)


def small_model(classes):
    """Here ResNet-50 would come, from torchvision or timm."""
    stem = nn.Conv2d(3, 16, 7, stride=4, padding=3)
    return nn.Sequential(
        stem, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder for each class")
    parser.add_argument("--mix", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of the pipeline")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--shard-id", type=int, default=0, help="the rank")
    parser.add_argument("--num-shards", type=int, default=1, help="the number of ranks")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"DIR must be a folder, got {args.folder}")
    if min(args.epochs, args.batch_size, args.size, args.threads) < 1:
        parser.error("--epochs, --batch-size, --size and --threads must be at least 1")
    if args.device == "auto":
        args.device = "gpu" if torch.cuda.is_available() else "cpu"
    try:
        train(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

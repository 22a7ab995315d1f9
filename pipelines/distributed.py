"""One process for each GPU, on any number of nodes: each reads its shard and draws for itself.

    torchrun --nproc-per-node 8 pipelines/distributed.py imagenet
    torchrun --nproc-per-node 2 pipelines/distributed.py photos --device cpu

The loader asks torch.distributed for the shard and for a seed of this process's own, so nothing
about ranks is said here. In an epoch the ranks read different files, the same number of batches
each, and no two of them draw the same weights.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dali_mix import CutMix, MixLoader, MixLoss, MixUp, recipes


def small_model(classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


def mean_over_ranks(*values):
    """Of sums that each rank has: the first over the second, of all ranks together."""
    # Sums may lie on the GPU, counts are plain numbers; stack() takes one device.
    total = torch.stack([torch.as_tensor(v, dtype=torch.float64, device="cpu") for v in values])
    total = total.to(torch.device("cuda") if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(total)
    return (total[0] / total[1]).item()


def train_epoch(model, loader, criterion, optimizer, record):
    for number, (x, target) in enumerate(loader):
        loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = mean_over_ranks(loss.detach() * len(x), len(x))
        if dist.get_rank() == 0:
            print(f"batch {number}: loss {mean:.6f}", flush=True)
        if record:
            name = f"rank{dist.get_rank()}-batch{number}.pt"
            torch.save({"x": x, "target": tuple(target), "loss": mean}, record / name)


@torch.no_grad()
def accuracy(model, loader):
    """Every file once, however many ranks there are: shares may differ by a file, so the model is
    called without DistributedDataParallel, which would wait for the other ranks."""
    right = seen = 0
    for x, y in loader:
        right += (model(x).argmax(1) == y).sum().item()
        seen += len(y)
    return mean_over_ranks(right, seen)


def run(args):
    on_gpu = args.device == "gpu" or (args.device == "auto" and torch.cuda.is_available())
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")  # before the loaders, which ask it
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if on_gpu else "cpu")
    train_root, val_root = args.folder / "train", args.folder / "val"
    same = {"size": args.size, "device": "gpu" if on_gpu else "cpu", "num_threads": args.threads}
    training = MixLoader.from_imagefolder(
        train_root,
        batch_size=args.batch_size,
        methods=[MixUp(), CutMix()],
        seed=args.seed,
        same_draws=args.same_draws,
        **same,
    )
    validation = MixLoader.from_imagefolder(
        val_root, batch_size=args.batch_size, training=False, **same
    )
    model = small_model(len(recipes.class_names(train_root))).to(device)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=args.lr)
    criterion = MixLoss(nn.CrossEntropyLoss())
    with training, validation:
        for epoch in range(args.epochs):
            train_epoch(parallel, training, criterion, optimizer, args.record)
            share = accuracy(model, validation)
            if dist.get_rank() == 0:
                print(f"epoch {epoch}: validation accuracy {share:.4f}", flush=True)
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val in it")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64, help="of each process")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads of each pipeline; None: a share")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--same-draws", action="store_true", help="let all ranks draw alike")
    parser.add_argument("--record", type=Path, help="folder for the batches of each rank")
    args = parser.parse_args()
    if "RANK" not in os.environ:
        parser.error("start it with torchrun: torchrun --nproc-per-node 2 pipelines/distributed.py")
    try:
        run(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

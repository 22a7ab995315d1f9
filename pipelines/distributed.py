"""Train with one process for each GPU, on any number of nodes.

    torchrun --nproc-per-node 8 pipelines/distributed.py

The loader asks torch.distributed for the shard of this process, and makes its own seed, so the
program need not know ranks. In an epoch the ranks read different files and the same number of
batches, and each draws its own weights. Without a GPU the program runs on the CPU.
"""

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dali_mix import CutMix, MixLoader, MixLoss, MixUp, recipes

FOLDER = Path("imagenet")  # with train and val in it
SIZE = 224  # height and width in pixels
BATCH_SIZE = 64  # of each process
EPOCHS = 90
LEARNING_RATE = 0.1
THREADS = None  # CPU threads of each pipeline; None: the node's processes share its processors
SEED = 0


def network(classes):
    """Put your model here, such as one of torchvision or timm."""
    stem = nn.Conv2d(3, 16, 7, stride=4, padding=3)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)]
    return nn.Sequential(stem, nn.ReLU(), *head)


def mean_over_ranks(total, count, device):
    """The sum of all totals over the sum of all counts. Every rank must call it."""
    sums = torch.tensor([total, count], dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return (sums[0] / sums[1]).item()


def step(parallel, criterion, optimizer, x, target):
    """Train on a batch of this rank, and return its loss."""
    loss = criterion(parallel(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, loader, device):
    """Accuracy over every file once, with any number of ranks. Shards may differ by a file, so this
    calls the model without DistributedDataParallel, which would wait for the other ranks."""
    right = seen = 0
    for x, y in loader:
        right += (model(x).argmax(1) == y).sum().item()
        seen += len(y)
    return mean_over_ranks(right, seen, device)


def main():
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")  # before the loaders, which ask it
    torch.manual_seed(SEED)
    same = {"batch_size": BATCH_SIZE, "size": SIZE, "num_threads": THREADS}
    methods = [MixUp(alpha=0.2), CutMix()]
    training = MixLoader.from_imagefolder(FOLDER / "train", methods=methods, seed=SEED, **same)
    validation = MixLoader.from_imagefolder(FOLDER / "val", training=False, **same)
    model = network(len(recipes.class_names(FOLDER / "train"))).to(device)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=LEARNING_RATE)
    criterion = MixLoss(nn.CrossEntropyLoss())
    for epoch in range(EPOCHS):
        losses = [step(parallel, criterion, optimizer, x, target) for x, target in training]
        loss = mean_over_ranks(sum(losses), len(losses), device)
        share = accuracy(model, validation, device)
        if dist.get_rank() == 0:
            print(f"epoch {epoch}: loss {loss:.6f}, validation accuracy {share:.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

"""One process for each GPU, on any number of nodes: each reads its shard and draws for itself.

    torchrun --nproc-per-node 8 pipelines/distributed.py

The loader asks torch.distributed for the shard and for a seed of this process's own, so nothing
about ranks is said here. In an epoch the ranks read different files, the same number of batches
each, and no two of them draw the same weights. Without a GPU it runs on the CPU.
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
THREADS = None  # CPU threads of each pipeline; None: a share for each process of the node
SEED = 0


def network(classes):
    """Here your model would come, from torchvision or timm."""
    stem = nn.Conv2d(3, 16, 7, stride=4, padding=3)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)]
    return nn.Sequential(stem, nn.ReLU(), *head)


def mean_over_ranks(total, count, device):
    """The sum of all totals over the sum of all counts; every rank calls it."""
    sums = torch.tensor([total, count], dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return (sums[0] / sums[1]).item()


def step(parallel, criterion, optimizer, x, target):
    """The loss of this rank's batch."""
    loss = criterion(parallel(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, loader, device):
    """Every file once, however many ranks there are. Shares may differ by a file, so the model is
    called without DistributedDataParallel, which would wait for the other ranks."""
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

"""Runs one training of a small network, with one way of mixing and one seed.

It uses `MixLoader`, `MixLoss` and `manifold_mixup`, as a user does. There is one thread, and every
random state is seeded, so a way and a seed fix the result.
"""

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import Tensor, nn

import dali_mix.fn as dmix
from bench.training.data import Data, wrong_files
from dali_mix import CutMix, ManifoldTarget, MixLoader, MixLoss, MixUp, manifold_mixup, recipes

PIXELS: dict[str, Any] = {"mean": 0.0, "std": 255.0}


@dataclass(frozen=True)
class Way:
    """How a batch is mixed, and what the criterion does."""

    methods: Any = None
    per: str = "sample"
    manifold: bool = False
    """Whether the input or one of two hidden layers is mixed in the network, instead of pixels."""
    smoothing: float = 0.0
    """Label smoothing of the criterion."""


THREES = {
    "none": Way(),
    "mixup": Way(MixUp(0.4)),
    "mixup per batch": Way(MixUp(0.4), per="batch"),
    "mixup unfolded": Way(MixUp(0.4, fold=False)),
}
NOISE = {
    "none": Way(),
    **{f"mixup {alpha:g}": Way(MixUp(alpha, fold=False)) for alpha in (1.0, 2.0, 8.0, 32.0)},
    "cutmix": Way(CutMix()),
    "manifold": Way(MixUp(2.0, fold=False), manifold=True),
    "label smoothing": Way(smoothing=0.2),
}
CIFAR = {"none": Way(), "mixup": Way(MixUp(1.0)), "cutmix": Way(CutMix())}
WAYS = {"threes": THREES, "noise": NOISE, "cifar": CIFAR}


@dataclass(frozen=True)
class Task:
    """Everything that the result depends on."""

    experiment: str
    """A key of `WAYS`."""
    way: str
    data: Data
    seed: int
    epochs: int
    batch: int = 64
    device: str = "cpu"
    """Where the network is, and the images of "cifar": cpu or gpu."""

    @property
    def place(self) -> torch.device:
        return torch.device("cuda" if self.device == "gpu" else "cpu")


def run(task: Task) -> dict[str, Any]:
    """Train, and return the figures of each epoch and the share of wrong labels that was learnt."""
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    way = WAYS[task.experiment][task.way]
    training = (from_memory if task.experiment == "cifar" else training_loader)(task, way)
    model, optimizer, schedule = learner(task, task.epochs * len(training))
    test = in_memory(task.data.test, task)
    criterion = MixLoss(nn.CrossEntropyLoss(label_smoothing=way.smoothing))
    chance = torch.Generator().manual_seed(task.seed)
    curves: dict[str, list[float]] = {"train_loss": [], "accuracy": [], "test_loss": []}
    begin, half = time.perf_counter(), task.device == "gpu"
    with training:
        for _ in range(task.epochs):
            losses = []
            for x, target in training:
                with torch.autocast(task.place.type, torch.bfloat16, enabled=half):
                    loss = criterion(*forward(model, x, target, way, chance))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.detach())  # reading it would wait for a GPU
            figures = (torch.stack(losses).mean().item(), *tested(model, *test))
            for name, value in zip(curves, figures, strict=True):
                curves[name].append(value)
    seconds = time.perf_counter() - begin
    wrong = wrong_files(task.data)
    learnt = tested(model, *in_memory(task.data.train, task, wrong))[0] if wrong else None
    key = {"way": task.way, "seed": task.seed, "seconds": seconds}
    return {**key, "wrong_labels_learnt": learnt, **curves}


def training_loader(task: Task, way: Way) -> MixLoader:
    """The training batches, without augmentation except mixing: whole images, not mirrored."""
    root, size = task.data.train, task.data.size
    whole = {"size": size, "area": (1.0, 1.0), "aspect": (1.0, 1.0), "mirror": 0.0, **PIXELS}
    whole["shuffle_seed"] = task.seed

    @pipeline_def(batch_size=task.batch, num_threads=1, device_id=None, seed=task.seed)
    def batches() -> Any:
        if not way.manifold:
            return recipes.imagefolder_train(root, methods=way.methods, per=way.per, **whole)
        x, y, *_ = recipes.imagefolder_train(root, methods=None, **whole)
        plan = dmix.plan(None, None, way.methods, size=(size, size))
        return x, *dmix.pair_labels(y, plan), plan.lam, plan.partner

    return MixLoader(batches(), mixed=not way.manifold, last_batch="drop")


def from_memory(task: Task, way: Way) -> MixLoader:
    """The training batches of images that are decoded once and stay on the device, as bytes. They
    are cropped at random, with four pixels of border, mirrored, and mixed."""
    x, y = in_memory(task.data.train, task)
    bordered = nn.functional.pad(x, (4, 4, 4, 4), mode="reflect").mul(255).round().byte()
    images, steps = bordered.permute(0, 2, 3, 1).contiguous(), len(x) // task.batch
    gpu = task.device == "gpu"

    def chosen(values: Tensor, iteration: int) -> Any:
        epoch, step = divmod(iteration, steps)
        chance = torch.Generator().manual_seed(1000 * epoch + task.seed)
        order = torch.randperm(len(values), generator=chance)[step * task.batch :]
        part = values[order[: task.batch].to(values.device)]
        return part if part.is_cuda else part.numpy()

    @pipeline_def(
        batch_size=task.batch, num_threads=1, device_id=0 if gpu else None, seed=task.seed
    )
    def batches() -> Any:
        place = {f"crop_pos_{axis}": fn.random.uniform(range=[0.0, 1.0]) for axis in "xy"}
        window = {"crop": (task.data.size, task.data.size), **place, **PIXELS}
        window["mirror"] = fn.random.coin_flip(dtype=types.INT32)
        window["dtype"] = types.FLOAT16 if gpu else types.FLOAT
        methods, prob = way.methods or MixUp(), float(way.methods is not None)
        how = {"batch": True, "device": task.device, "layout": "HWC"}
        x = fn.external_source(lambda iteration: chosen(images, iteration), **how)
        labels = fn.external_source(lambda iteration: chosen(y.cpu(), iteration), batch=True)
        return dmix.mix(x, labels, methods, prob=prob, **window)

    return MixLoader(batches(), size=steps * task.batch, last_batch="drop")


def forward(
    model: nn.Module, x: Tensor, target: Any, way: Way, chance: torch.Generator
) -> tuple[Tensor, Any]:
    """Logits and target."""
    if not way.manifold:
        return model(x), target
    target = ManifoldTarget(*target)
    mixing = {"layers": ["0", "1"], "include_input": True, "generator": chance}
    with manifold_mixup(model, target=target, **mixing):
        return model(x), target


def learner(task: Task, steps: int) -> tuple[nn.Module, Any, Any]:
    """Network, optimizer and schedule of the experiment."""
    schedules = torch.optim.lr_scheduler
    if task.experiment == "threes":  # fastai v1: simple_cnn, and the defaults of its Learner
        model = network((3, 16, 16, task.data.classes), simple_block)
        adam = torch.optim.AdamW(model.parameters(), 3e-3, (0.9, 0.99), weight_decay=0.01)
        return model, adam, schedules.ConstantLR(adam, 1.0)
    if task.experiment == "cifar":
        model = resnet(task.data.classes)
    else:
        model = network((3, 16, 32, 64), block, nn.Linear(64, task.data.classes))
    model = model.to(task.place, memory_format=torch.channels_last)
    adam = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
    return model, adam, schedules.OneCycleLR(adam, 1e-2, steps)


def network(widths: tuple[int, ...], make: Any, *head: nn.Module) -> nn.Module:
    """A network of blocks, and the average over the image."""
    blocks = [make(*pair) for pair in itertools.pairwise(widths)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


def simple_block(inputs: int, outputs: int) -> nn.Module:
    """A convolution with He's initialisation, and a ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    nn.init.kaiming_normal_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return nn.Sequential(convolution, nn.ReLU())


def block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


class Residual(nn.Module):
    """Adds what two convolutions make of an image to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(block(width, width)[:3] for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def resnet(classes: int) -> nn.Module:
    """ResNet-9, which takes 94 % on CIFAR-10 in a few epochs."""
    first, last = block(3, 64)[:3], nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
    body = block(64, 128), Residual(128), block(128, 256), block(256, 512), Residual(512)
    return nn.Sequential(first, *body, last, nn.Linear(512, classes))


def in_memory(folder: Path, task: Task, files: list[str] | None = None) -> tuple[Tensor, Tensor]:
    """All images, or the named ones, unchanged, and their labels."""
    whole = {"size": task.data.size, "resize": task.data.size, "files": files, **PIXELS}
    how = {"batch_size": 256, "training": False, "num_threads": 1, "device": "cpu"}
    with MixLoader.from_imagefolder(folder, **how, **whole) as loader:
        x, y = (torch.cat(parts).to(task.place) for parts in zip(*loader, strict=True))
    return x, y


@torch.no_grad()
def tested(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Accuracy and cross-entropy."""
    model.eval()
    logits = torch.cat([model(part) for part in x.split(256)])
    model.train()
    hit = (logits.argmax(1) == y).double().mean()
    return hit.item(), nn.functional.cross_entropy(logits.double(), y).item()

"""Measures a training step of ResNet-50 after each batch of a loader, in images per second.

    random tensors       always the same batch, which is on the device: the upper bound
    DALI unmixed         decoded by DALI, crop_mirror_normalize
    dali_mix mixup       decoded by DALI, dali_mix instead of crop_mirror_normalize
    DataLoader + Mixup   PIL in the workers, timm's Mixup in mode "elem" on the model's device

All train one model, with bfloat16 autocast, channels_last, and SGD with momentum. Batches that were
made in advance are trained on before the clock starts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench import program
from bench.pipeline import torch_loaders
from bench.program import peer
from dali_mix import MixLoss, MixTarget
from dali_mix.measure.graphs import GRAPHS
from dali_mix.measure.outputs import UNMIXED
from dali_mix.measure.pipelines import Settings, Task, check_pipeline, jpeg_pipeline
from dali_mix.measure.segments import Loader
from dali_mix.recipes import class_names

CEILING, MIXUP = "random tensors", "dali_mix mixup"


def network(classes: int) -> nn.Module:
    """ResNet-50 of torchvision."""
    models, why = peer("torchvision.models")
    if models is None:
        raise ImportError(f"--step needs the ResNet-50 of torchvision, which {why}")
    return models.resnet50(num_classes=classes)


def contestants(task: Task, settings: Settings) -> tuple[dict[str, Loader], dict[str, str]]:
    """name -> a loader followed by the step; and why the missing ones are missing."""
    device = "cuda" if task.device == "gpu" else "cpu"
    classes = len(class_names(task.root))
    peers, missing = torch_loaders.loaders(task, settings.threads, [torch_loaders.MIXUP])  # forks
    ceiling = random_batch(task, classes, device)
    found = {CEILING: Loader(lambda: ceiling, task.batch, ahead=0), **peers}
    step = training_step(network(classes).to(device, memory_format=torch.channels_last), device)
    for name in (UNMIXED, MIXUP):
        check_pipeline(name, task, settings, GRAPHS[name])
        feed = partial(fed, jpeg_pipeline(task, settings, GRAPHS[name]))
        found[name] = Loader(feed, task.batch, ahead=settings.prefetch + 1)
    synchronize = program.synchronize_of(task.device)

    def trained(feed: Loader) -> Loader:
        return feed._replace(next=lambda: step(*feed.next()), synchronize=synchronize)

    return {name: trained(feed) for name, feed in found.items()}, missing


def fed(pipeline: Any) -> tuple[Tensor, Any]:
    """The next batch as MixLoader yields it, but without end."""
    x, *rest = (torch.from_dlpack(batch.as_tensor()) for batch in pipeline.run())
    y, *more = (part.flatten() for part in rest)
    return x, MixTarget(y.long(), more[0].long(), more[1]) if more else y.long()


def random_batch(task: Task, classes: int, device: str) -> tuple[Tensor, MixTarget]:
    x = torch.randn(task.batch, 3, task.size, task.size, device=device)
    y1, y2 = (torch.randint(classes, (task.batch,), device=device) for _ in range(2))
    lam = torch.rand(task.batch, device=device)
    return x.to(getattr(torch, task.dtype)), MixTarget(y1, y2, lam)


def training_step(model: nn.Module, device: str) -> Callable[[Tensor, Any], None]:
    """A function that runs forward, backward and update. All loaders share it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    criterion = MixLoss(nn.CrossEntropyLoss())

    def step(x: Tensor, target: Any) -> None:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step

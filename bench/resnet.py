"""ResNet-50 (He et al. 2015, stride on the 3x3) for bench/train_step.py: torchvision's, timm's, or
the one here where neither is installed; and a tiny one, to try the program with."""

from __future__ import annotations

from torch import Tensor, nn

from bench.peers_import import peer


def model(name: str, classes: int) -> tuple[nn.Module, str]:
    """The network and where it comes from. `name`: "resnet50" or "tiny"."""
    if name == "tiny":
        return ResNet((1, 1), width=8, classes=classes), "bench/resnet.py"
    models, _ = peer("torchvision.models")
    if models is not None:
        return models.resnet50(num_classes=classes), "torchvision"
    timm, _ = peer("timm")
    if timm is not None:
        return timm.create_model("resnet50", num_classes=classes), "timm"
    return ResNet((3, 4, 6, 3), width=64, classes=classes), "bench/resnet.py"


class ResNet(nn.Sequential):
    """Bottleneck blocks in stages, each stage at half the size and twice the channels."""

    def __init__(self, blocks: tuple[int, ...], width: int, classes: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels = width
        for stage, count in enumerate(blocks):
            inner = width * 2**stage
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append(Bottleneck(channels, inner, stride))
                channels = 4 * inner
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
        super().__init__(*layers)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the input added."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, 4 * inner, 1, bias=False),
            nn.BatchNorm2d(4 * inner),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != 4 * inner:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, 4 * inner, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * inner),
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))

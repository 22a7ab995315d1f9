"""Small models and targets for the tests of manifold_mixup, and the mixing written by hand."""

import torch
from torch import nn

from dali_mix import ManifoldTarget

N = 5
PARTNER = torch.tensor([3, 0, 4, 1, 2])  # not its own inverse: exchanging the roles would show
LAM = torch.tensor([0.9, 0.25, 1.0, 0.0, 0.6])


def make_target(partner=PARTNER, lam=LAM):
    y = torch.arange(len(partner))
    return ManifoldTarget(y, y[partner], lam, partner)


def mixed(h, target):
    """`h` mixed by the definition, sample by sample, in float64."""
    rows = [
        lam * h[own].double() + (1 - lam) * h[other].double()
        for own, (other, lam) in enumerate(
            zip(target.partner.tolist(), target.lam.double().tolist(), strict=True)
        )
    ]
    return torch.stack(rows)


def hooks(model):
    """The modules of the model that have hooks."""
    return [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


class Tower(nn.Module):
    """Three layers in a row."""

    def __init__(self, *layers):
        super().__init__()
        self.first, self.second, self.third = layers

    def forward(self, x):
        return self.third(self.second(self.first(x)))


def dense():
    return Tower(nn.Linear(4, 6), nn.Sequential(nn.Tanh(), nn.Linear(6, 6)), nn.Linear(6, 3))


def convolutional():
    return Tower(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 6 * 7, 3)),
    )


def tokens():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return Tower(nn.Linear(4, 8), layer, nn.Linear(8, 3))


def embedded():
    return Tower(nn.Embedding(11, 4), nn.Flatten(), nn.Linear(8, 3))


MODELS = {
    "dense": (dense, lambda: torch.randn(N, 4)),
    "convolutional": (convolutional, lambda: torch.randn(N, 3, 6, 7)),
    "tokens": (tokens, lambda: torch.randn(N, 2, 4)),
    "embedding": (embedded, lambda: torch.randint(11, (N, 2))),
}


def by_hand(model, x, target, layer):
    """The forward pass with the mixing written into it."""
    for name, part in model.named_children():
        x = part(x)
        if name == layer:
            x = mixed(x, target).to(x.dtype)
    return x

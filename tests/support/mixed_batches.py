"""Batches and criterion options that several test files of the loss share."""

import torch

from dali_mix.training.mix_target import MixTarget

N, C = 5, 7
IGNORED = 255
WEIGHT = torch.linspace(0.1, 10, C, dtype=torch.float64)

OPTIONS = {
    "bare": {},
    "weight": {"weight": WEIGHT},
    "ignore": {"ignore_index": IGNORED},
    "smoothing": {"label_smoothing": 0.3},
    "all": {"weight": WEIGHT, "ignore_index": IGNORED, "label_smoothing": 0.3},
}


def batch(dims=(), n=N, ignored=False, seed=0):
    """Logits (n, C, *dims) in float64 and a MixTarget whose lam has a 0, a 1 and no 0.5.

    ignored: some own labels, some partners' labels, and both labels of sample 2 are IGNORED
    """
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, C, *dims, generator=g, dtype=torch.float64) * 3
    y1, y2 = (torch.randint(C, (n, *dims), generator=g) for _ in range(2))
    lam = torch.rand(n, generator=g)
    lam[:2] = torch.tensor([0.0, 1.0])[:n]
    if ignored:
        y1[[0, 2]] = IGNORED
        y2[1:3] = IGNORED
    return logits, MixTarget(y1, y2, lam)


def label_vectors():
    """Predictions (N, C) in float64 and a MixTarget of float32 vectors."""
    logits, target = batch()
    return logits, MixTarget(torch.rand(N, C), torch.rand(N, C), target.lam)


def only_own_label(target):
    return target._replace(lam=torch.ones_like(target.lam))


def value_and_gradient(loss, logits, *target):
    x = logits.detach().clone().requires_grad_()
    value = loss(x, *target)
    value.sum().backward()
    return value.detach(), x.grad


class Focal(torch.nn.Module):
    """A user's criterion that is not linear in the label and has a parameter."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction
        self.gamma = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, logits, y):
        loss = torch.nn.functional.cross_entropy(logits, y, reduction="none")
        loss = (1 - torch.exp(-loss)) ** self.gamma * loss
        if self.reduction == "none":
            return loss
        return loss.sum() if self.reduction == "sum" else loss.mean()

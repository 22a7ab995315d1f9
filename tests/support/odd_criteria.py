"""Criteria that are not torch's own, made in all the ways that programs use."""

import functools
import warnings

import torch
from mixed_batches import WEIGHT, C, Focal, N
from torch import nn
from torch.nn import functional

REDUCE = {"none": lambda loss: loss, "sum": torch.sum, "mean": torch.mean}


class Float32(nn.CrossEntropyLoss):
    """A subclass that overrides forward, as programs often do."""

    def forward(self, x, y):
        return super().forward(x.float(), y)


class Flat:
    """Like fastai's CrossEntropyLossFlat: it has the reduction of the loss that it wraps."""

    def __init__(self, *args, axis=-1, **options):
        self.func, self.axis = nn.CrossEntropyLoss(*args, **options), axis

    @property
    def reduction(self):
        return self.func.reduction

    @reduction.setter
    def reduction(self, value):
        self.func.reduction = value

    def __call__(self, x, y):
        x, y = x.transpose(self.axis, -1).contiguous(), y.contiguous()
        return self.func(x.view(-1, x.shape[-1]), y.view(-1))


class Forwarding(nn.Module):
    """Setting its reduction sets the reduction of the loss that it wraps."""

    def __init__(self, reduction):
        super().__init__()
        self.wrapped = nn.CrossEntropyLoss(reduction=reduction)

    def __getattr__(self, name):
        if name == "reduction":
            return self.wrapped.reduction
        return super().__getattr__(name)

    def __setattr__(self, name, value):
        if name == "reduction":
            self.wrapped.reduction = value
        else:
            super().__setattr__(name, value)

    def forward(self, x, y):
        return self.wrapped(x, y)


class Slots:
    __slots__ = ("reduction",)

    def __init__(self, reduction):
        self.reduction = reduction

    def __call__(self, x, y):
        return functional.cross_entropy(x, y, reduction=self.reduction)


class Margin(nn.Module):
    """Writes into logits and labels, as some face recognisers with margins (ArcFace) do."""

    def __init__(self, reduction):
        super().__init__()
        self.reduction = reduction

    def forward(self, x, y):
        x[torch.arange(len(y)), y] -= 0.5
        loss = functional.cross_entropy(x * 4, y, reduction=self.reduction)
        y.zero_()
        return loss


class Head(nn.Module):
    """A criterion with weights, like ArcFace. It takes the dtype and shape of its weights."""

    def __init__(self, reduction):
        super().__init__()
        self.reduction = reduction
        self.fc = nn.Linear(C, C)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.fc.reset_parameters()
        self.double()

    def forward(self, x, y):
        return functional.cross_entropy(self.fc(x), y, reduction=self.reduction)


def focal(x, y, gamma=2.0, reduction="mean"):
    loss = functional.cross_entropy(x, y, reduction="none")
    return REDUCE[reduction]((1 - torch.exp(-loss)) ** gamma * loss)


class Buffered(nn.Module):
    """Returns its losses in the same buffer each time."""

    def __init__(self, reduction):
        super().__init__()
        self.reduction = reduction
        self.register_buffer("losses", torch.zeros(N, dtype=torch.float64))

    def forward(self, x, y):
        losses = focal(x, y, reduction="none").detach()
        return REDUCE[self.reduction](self.losses.copy_(losses))


def hooked(reduction):
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    criterion.register_forward_hook(lambda module, given, loss: loss * 2)
    return criterion


def overridden(reduction):
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    criterion.forward = lambda x, y: functional.cross_entropy(x / 2, y, reduction=reduction)
    return criterion


def compiled(reduction):
    return torch.compile(nn.CrossEntropyLoss(reduction=reduction), backend="eager")


def scripted(reduction):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(nn.CrossEntropyLoss(reduction=reduction))


MAKERS = {
    "subclass": lambda r: Float32(weight=WEIGHT.float(), reduction=r),
    "flat": lambda r: Flat(weight=WEIGHT, reduction=r),
    "forwarding": Forwarding,
    "slots": Slots,
    "in place": Margin,
    "head": Head,
    "parameters": Focal,
    "buffer": Buffered,
    "hooked": hooked,
    "overridden": overridden,
    "compiled": compiled,
    "scripted": scripted,
    "function": lambda r: functools.partial(focal, reduction=r),
    "compiled function": lambda r: functools.partial(
        torch.compile(focal, backend="eager"), reduction=r
    ),
    "inner": lambda r: functools.partial(functional.cross_entropy, reduction=r, reduce=None),
    "method": lambda r: functools.partial(Slots(r).__call__),
}

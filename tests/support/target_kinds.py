"""Targets of every kind with labels of every kind, for tests that hold for all of them."""

import torch

from dali_mix import ManifoldTarget, MixTarget, MultiMixTarget

N, K, C = 6, 3, 4
_G = torch.Generator().manual_seed(0)
PARTNER = torch.arange(N).roll(1)
LAM = torch.rand(N, generator=_G)
WEIGHTS = torch.rand(N, K, generator=_G).softmax(1)
IDS = torch.randint(C, (N,), generator=_G)
MAPS = torch.randint(C, (N, 3, 5), generator=_G).byte()
HOT = torch.rand(N, C, generator=_G) > 0.5
VECTORS = torch.rand(N, C, generator=_G).softmax(1)


def pair(y):
    return MixTarget(y, y[PARTNER], LAM)


def multi(y):
    return MultiMixTarget(torch.stack([y.roll(k, 0) for k in range(K)], 1), WEIGHTS)


def manifold(y):
    return ManifoldTarget(y, y[PARTNER], LAM, PARTNER)


TARGETS = {
    f"{make.__name__} of {name}": make(y)
    for make in (pair, multi, manifold)
    for name, y in {"ids": IDS, "maps": MAPS, "multi-hot": HOT, "vectors": VECTORS}.items()
}


def assert_same(found, expected):
    """Assert that the targets have one kind, and parts with equal values, dtypes and devices."""
    assert type(found) is type(expected)
    for part, other in zip(found, expected, strict=True):
        assert part.dtype == other.dtype and torch.equal(part, other)

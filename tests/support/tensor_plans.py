"""Plans whose columns are PyTorch tensors, from plans of arrays and by chance."""

from __future__ import annotations

import numpy as np
import torch

from dali_mix.plan import Plan


def dense(masks, size):
    """Masks as one tensor: cells as pixels, and 255 where there is no mask."""
    rows, columns = (np.arange(n) for n in size)
    whole = []
    for mask in masks:
        if not mask.size:
            mask = np.full((1, 1), 255, np.uint8)
        y, x = rows * mask.shape[0] // size[0], columns * mask.shape[1] // size[1]
        whole.append(mask[np.ix_(y, x)])
    return torch.from_numpy(np.stack(whole))


def in_torch(plan, size):
    """A plan of arrays, with tensors for columns."""
    columns = {n: c for n, c in plan._asdict().items() if c is not None}
    tensors = {n: torch.from_numpy(np.stack(c)) for n, c in columns.items() if n != "mask"}
    if plan.mask is not None:
        tensors["mask"] = dense(plan.mask, size)
    return Plan(**dict.fromkeys(Plan._fields) | tensors)


def random_plan(count=5, size=(12, 20), seed=0, **columns):
    """Made without the library's draw."""
    chance = np.random.default_rng(seed)
    partner = (np.arange(count) + 1) % count
    ends = np.sort(chance.integers(0, [size[0] + 1, size[1] + 1], (2, count, 2)), axis=0)
    plan = {
        "partner": partner.astype(np.int32),
        "blend": chance.random(count, dtype=np.float32),
        "box": np.concatenate([*ends], 1).astype(np.int32),
        "lam": chance.random(count, dtype=np.float32),
        "size": np.tile(np.int32(size), (count, 1)),
    } | columns
    return Plan(**dict.fromkeys(Plan._fields) | plan)

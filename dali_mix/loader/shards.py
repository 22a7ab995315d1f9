"""The part of the data that this process reads, and its seed. Imports neither torch nor DALI."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import numpy as np

from dali_mix.methods.method import is_whole

__all__ = ["Shard", "shard", "spread_seed"]

_SEEDS = 2**62


class Shard(NamedTuple):
    """The arguments `shard_id` and `num_shards` of a reader, and `seed` of its pipeline."""

    shard_id: int
    """Global rank, in [0, num_shards)."""
    num_shards: int
    """Number of processes on all nodes."""
    seed: int
    """In [0, 2**62); different on every rank, unless same_draws=True."""


def shard(seed: int = 0, *, same_draws: bool = False) -> Shard:
    """Shard and pipeline seed of this process, from torch.distributed.

    seed:       any integer; pass the same on every rank
    same_draws: let all ranks draw the same mixing weights, boxes, partners and crops
    returns:    Shard(shard_id, num_shards, seed). The seeds differ between the ranks of a run, and
                are unrelated to the seeds of a run with another `seed`

    The rank comes from the default process group, if it is initialised; else from RANK and
    WORLD_SIZE, which torchrun sets; else this process is the only one. It is the global rank: local
    ranks repeat on every node, and so would their draws.

        shard = dali_mix.shard(seed=0)
        @pipeline_def(batch_size=256, num_threads=8, device_id=local_rank, seed=shard.seed)
        def training():
            files, labels = fn.readers.file(
                shard_id=shard.shard_id, num_shards=shard.num_shards, pad_last_batch=True, …)
    """
    rank, size = _rank_and_size()
    return Shard(rank, size, (spread_seed(seed) + (0 if same_draws else rank)) % _SEEDS)


def spread_seed(seed: int) -> int:
    """A seed in [0, 2**62), unrelated to that of any other `seed`."""
    if not is_whole(seed):
        raise ValueError(f"seed must be a whole number, got {seed!r}.")
    sign = int(seed < 0)
    return int(np.random.SeedSequence([abs(seed), sign]).generate_state(1, np.uint64)[0]) % _SEEDS


def _rank_and_size() -> tuple[int, int]:
    torch = sys.modules.get("torch")  # if it is not imported, there is no process group
    if torch is not None:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
    return _from_environment("RANK", "WORLD_SIZE") or (0, 1)


def local_rank_and_size() -> tuple[int, int] | None:
    """Rank of this process on its node, and the number of processes there, from torchrun's
    variables; None if they are not set."""
    return _from_environment("LOCAL_RANK", "LOCAL_WORLD_SIZE")


def _from_environment(*names: str) -> tuple[int, int] | None:
    """A rank and the number of ranks; None if neither is set."""
    given = [os.environ.get(name) for name in names]
    if given == [None, None]:
        return None
    said = " and ".join(
        f"no {name}" if value is None else f"{name}={value}"
        for name, value in zip(names, given, strict=True)
    )
    if None in given:
        raise ValueError(
            f"{names[0]} and {names[1]} must be set together, got {said} in the environment; start "
            "with torchrun, which sets both, or set or unset both."
        )
    try:
        rank, size = (int(str(value)) for value in given)
    except ValueError:
        rank, size = -1, 0
    if not 0 <= rank < size:
        raise ValueError(
            f"{names[0]} must lie in [0, {names[1]}), got {said} in the environment; start with "
            "torchrun, or unset both."
        )
    return rank, size

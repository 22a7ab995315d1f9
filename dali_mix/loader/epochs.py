"""Which batches of a pipeline make an epoch, and which of their samples count. Arithmetic only.

A DALI reader cuts the data set of `images` files into shards and reads on for ever. With
pad_last_batch it fills the last batch of a shard with copies of the shard's last file, and makes
equally many batches of every shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAST_BATCH = ("drop", "partial", "fill")


@dataclass(frozen=True)
class Share:
    """What one pipeline reads in each epoch."""

    images: int
    """In the whole data set."""
    batch_size: int
    shard_id: int = 0
    """Of the first epoch."""
    num_shards: int = 1
    sticks: bool = True
    """Whether it reads the same shard in every epoch, or each time the one after."""

    @property
    def longest(self) -> int:
        """Samples of the largest share."""
        return _ceil(self.images, self.num_shards)

    @property
    def batches(self) -> int:
        """How many the pipeline makes in an epoch, the padded one among them."""
        return _ceil(self.longest, self.batch_size)

    @property
    def lengths(self) -> list[int]:
        """Batches with samples that are no copies: how many the shards have, each number once."""
        sizes = {self._size_of(shard) for shard in range(self.num_shards)}
        return sorted({_ceil(size, self.batch_size) for size in sizes})

    def size(self, epoch: int) -> int:
        """Samples of that epoch, without copies."""
        shard = self.shard_id if self.sticks else (self.shard_id + epoch) % self.num_shards
        return self._size_of(shard)

    def _size_of(self, shard: int) -> int:
        first, end = (self.images * s // self.num_shards for s in (shard, shard + 1))
        return end - first

    def kept(self, epoch: int, batch: int) -> int:
        """Samples of that batch which are no copies; they come first."""
        left = self.size(epoch) - batch * self.batch_size
        return min(max(left, 0), self.batch_size)


def length(shares: Sequence[Share], last_batch: str, epoch: int) -> int:
    """Batches that a loader yields in that epoch: for "drop" and "fill" the same in every process,
    for "partial" those in which any of these shares has samples."""
    first = shares[0]
    if last_batch == "drop":
        return first.images // first.num_shards // first.batch_size
    if last_batch == "fill":
        return first.batches
    return max(_ceil(share.size(epoch), share.batch_size) for share in shares)


def share_of_reader(name: str, meta: Mapping[str, Any], batch_size: int) -> Share:
    """From what DALI says about the reader; a ValueError if its epochs share batches."""
    share = Share(
        images=meta["epoch_size"],
        batch_size=batch_size,
        shard_id=meta["shard_id"],
        num_shards=meta["number_of_shards"],
        sticks=bool(meta["stick_to_shard"]) or meta["number_of_shards"] == 1,
    )
    if not meta["pad_last_batch"] and share.images % (share.num_shards * batch_size):
        raise ValueError(
            f"the reader {name!r} must have pad_last_batch=True, got False: it would fill the last "
            "batch of an epoch with the first images of the next one, which that one would lack."
        )
    return share


def check_together(shares: Sequence[Share]) -> None:
    """Pipelines of one loader: one data set, one batch size, each its own shard."""
    for name in ("images", "batch_size", "num_shards", "sticks"):
        values = [getattr(share, name) for share in shares]
        if len(set(values)) > 1:
            raise ValueError(f"the pipelines must agree in {name}, got {values}.")
    ids = [share.shard_id for share in shares]
    if shares[0].num_shards > 1 and len(set(ids)) < len(ids):
        raise ValueError(f"the pipelines must read different shards, got shard_id {ids}.")


def _ceil(a: int, b: int) -> int:
    return -(-a // b)

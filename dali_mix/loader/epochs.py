"""Counts the batches of an epoch, and the samples of a batch that are not copies.

A DALI reader cuts the data set of `images` files into shards, and reads without end. With
pad_last_batch it fills the last batch of a shard with copies of the shard's last file, and makes
the same number of batches from every shard.
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
    """Number of images in the whole data set."""
    batch_size: int
    shard_id: int = 0
    """The shard that it reads in the first epoch."""
    num_shards: int = 1
    sticks: bool = True
    """True: it reads the same shard in every epoch; False: the next shard in each epoch."""

    @property
    def longest(self) -> int:
        """Samples of the largest share."""
        return _ceil(self.images, self.num_shards)

    @property
    def batches(self) -> int:
        """Number of batches that the pipeline makes in an epoch, with the padded one."""
        return _ceil(self.longest, self.batch_size)

    @property
    def lengths(self) -> list[int]:
        """The numbers of batches that shards have, each once. Batches of copies do not count."""
        sizes = {self._size_of(shard) for shard in range(self.num_shards)}
        return sorted({_ceil(size, self.batch_size) for size in sizes})

    def size(self, epoch: int) -> int:
        """Number of samples in that epoch, without copies."""
        shard = self.shard_id if self.sticks else (self.shard_id + epoch) % self.num_shards
        return self._size_of(shard)

    def _size_of(self, shard: int) -> int:
        first, end = (self.images * s // self.num_shards for s in (shard, shard + 1))
        return end - first

    def kept(self, epoch: int, batch: int) -> int:
        """Number of samples in that batch that are not copies. They come first."""
        left = self.size(epoch) - batch * self.batch_size
        return min(max(left, 0), self.batch_size)


def length(shares: Sequence[Share], last_batch: str, epoch: int) -> int:
    """Number of batches that a loader yields in that epoch. With "drop" and "fill" it is the same
    in every process; with "partial" the share with the most samples gives it."""
    first = shares[0]
    if last_batch == "drop":
        return first.images // first.num_shards // first.batch_size
    if last_batch == "fill":
        return first.batches
    return max(_ceil(share.size(epoch), share.batch_size) for share in shares)


def share_of_reader(name: str, meta: Mapping[str, Any], batch_size: int) -> Share:
    """The share of a reader, from DALI's metadata. A ValueError if a batch may hold images of two
    epochs."""
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
    """A ValueError unless the pipelines of a loader read different shards of one data set in
    batches of one size."""
    for name in ("images", "batch_size", "num_shards", "sticks"):
        values = [getattr(share, name) for share in shares]
        if len(set(values)) > 1:
            raise ValueError(f"the pipelines must agree in {name}, got {values}.")
    ids = [share.shard_id for share in shares]
    if shares[0].num_shards > 1 and len(set(ids)) < len(ids):
        raise ValueError(f"the pipelines must read different shards, got shard_id {ids}.")


def _ceil(a: int, b: int) -> int:
    return -(-a // b)

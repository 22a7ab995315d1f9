"""Draws partners for epochs that end in a padded batch. Its copies are not mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dali_mix.loader.epochs import Share

PATTERNS = ("derange", "shuffle", "reverse", "roll", "match")


@dataclass
class KeptPartners:
    """A source for `fn.external_source` that gives the partners of each batch.

    Samples that are not copies are partners of each other; a copy is its own partner. The partners
    of batch k depend on the seed and k only, so a checkpoint only needs k.
    """

    seed: int
    pattern: str
    """A `pairing` of the plan operator, or "match": random disjoint pairs."""
    images: int = 2
    """K: how many images one sample mixes."""
    share: Share | None = None
    """Set when the pipeline is built; needed when it runs."""

    def __call__(self, iteration: int) -> np.ndarray:
        """The partners of batch `iteration`, counted through all epochs: (batch_size,) int32, or
        (batch_size, K-1) for more than two images."""
        assert self.share is not None
        epoch, batch = divmod(iteration, self.share.batches)
        own = np.arange(self.share.batch_size, dtype=np.int32)
        partners = np.tile(own, (self.images - 1, 1))
        kept = self.share.kept(epoch, batch)
        rng = np.random.default_rng([self.seed, iteration])
        if self.images > 2 and kept > 1:
            partners[:, :kept] = _draw_several(self.pattern, self.images - 1, kept, rng)
        else:
            partners[:, :kept] = _draw(self.pattern, kept, rng)
        return partners[0] if self.images == 2 else partners.T.copy()


def _draw_several(pattern: str, wanted: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(wanted, count): `wanted` partners for each of `count` samples, at least two. The partners of
    a sample differ from each other and, unless "shuffle", from the sample. If there are too few
    samples for that, they are repeated in the same order.
    """
    own, ranks = np.arange(count), np.arange(wanted)[:, None]
    if pattern in ("derange", "shuffle"):  # successors in one random cyclic order
        order = rng.permutation(count)
        if pattern == "shuffle":
            return order[(rng.permutation(count) + ranks) % count]
        return order[(np.argsort(order) + 1 + ranks % (count - 1)) % count]
    # The pattern gives the first partner, unless that is the sample itself.
    first = _draw(pattern, count, rng)
    if pattern == "roll":
        further = [(own - step) % count for step in range(2, count)]
    elif count % 2 == 0:  # shifts and reversals that map no sample to itself or its first partner
        further = [(own + step) % count for step in range(2, count, 2)]
        further += [(end - own) % count for end in range(1, count - 1, 2)]
    else:  # the middle image has no first partner
        further = []
        columns = [rng.permutation(np.setdiff1d(own, [i, first[i]])) for i in own]
        columns = [np.r_[first[i], c] if first[i] != i else c for i, c in enumerate(columns)]
        return np.stack([np.resize(column, wanted) for column in columns], 1)
    rows = [first, *rng.permutation(np.reshape(further, (-1, count)))]
    return np.stack([rows[k % len(rows)] for k in range(wanted)])


def _draw(pattern: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of `count`, by the law of the plan operator."""
    order = np.arange(count)
    if pattern == "reverse":
        return order[::-1]
    if pattern == "roll":
        return np.roll(order, 1)
    drawn = rng.permutation(count)
    if pattern == "match":
        pairs = drawn[: count // 2 * 2].reshape(-1, 2)
        order[pairs] = pairs[:, ::-1]
        return order
    while pattern == "derange" and count > 1 and np.any(drawn == order):
        drawn = rng.permutation(count)  # 2.7 tries on average
    return drawn

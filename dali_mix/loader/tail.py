"""Partners for epochs that end in a padded batch: its copies are nobody's partner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dali_mix.loader.epochs import Share

PATTERNS = ("derange", "shuffle", "reverse", "roll", "match")


@dataclass
class KeptPartners:
    """A source for `fn.external_source`: partners of the batches in the order they are made in.

    Only samples that are no copies are partners, of each other; a copy is its own. What batch
    number k gets depends on the seed and on k alone, so that a checkpoint that knows k is enough.
    """

    seed: int
    pattern: str
    """One of the plan operator's, or "match": random disjoint pairs."""
    images: int = 2
    """How many one sample mixes: K."""
    share: Share | None = None
    """Known when the pipeline is built, and needed when it runs."""

    def __call__(self, iteration: int) -> np.ndarray:
        """(batch_size,) int32, or (batch_size, K-1) of more than two images, of the batch
        `iteration`, counted through all epochs."""
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
    """(wanted, count): for each of at least two samples that many partners. They differ from each
    other and, but by "shuffle", from the sample, as far as there are so many; then they come again.
    """
    own, ranks = np.arange(count), np.arange(wanted)[:, None]
    if pattern in ("derange", "shuffle"):  # those that follow one another in a cyclic order
        order = rng.permutation(count)
        if pattern == "shuffle":
            return order[(rng.permutation(count) + ranks) % count]
        return order[(np.argsort(order) + 1 + ranks % (count - 1)) % count]
    # The first partner follows from the place, if it is another image.
    first = _draw(pattern, count, rng)
    if pattern == "roll":
        further = [(own - step) % count for step in range(2, count)]
    elif count % 2 == 0:  # turns and mirrorings that leave no image at its place, nor at the first
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
    """A permutation of `count`, by the law of the plan operator's."""
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

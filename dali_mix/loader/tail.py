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
        for k, partner in enumerate(partners):
            # Further ones that followed from the place, too, would all be the same.
            fixed = k > 0 and self.pattern in ("reverse", "roll")
            partner[:kept] = _draw("derange" if fixed else self.pattern, kept, rng)
        return partners[0] if self.images == 2 else partners.T.copy()


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

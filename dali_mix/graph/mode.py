"""What differs between DALI's pipeline mode and its dynamic mode, and what follows from it."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from dali_mix.graph.schedule import Scheduled


class Mode(ABC):
    """Implemented by `dali_mix.fn` and `dali_mix.dynamic`."""

    ops: Any
    """`nvidia.dali.fn`, or dynamic mode: where DALI's operators are found, ours among them."""
    dtypes: ClassVar[dict[str, Any]]
    """FLOAT and INT32 as these operators take them."""
    dtype_kinds: ClassVar[tuple[type, ...]]
    """Of which a dtype is one."""
    batches: ClassVar[tuple[type, ...]]
    """Of which a batch is one."""
    feed: ClassVar[str]
    """How to make one of what is none: half a sentence."""
    random: str
    """Name of the argument of the random state: "seed" or "rng"."""
    nearest: Any
    """`interp_type` of fn.resize that invents no values."""

    @abstractmethod
    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        """What the plan operator looks at to know the batch: images, or something of the same
        count, or nothing."""

    @abstractmethod
    def constant(self, value: float) -> Any:
        """A float for each sample."""

    @abstractmethod
    def place_like(self, values: Any, images: Any) -> Any:
        """`values` on the device of `images`."""

    @abstractmethod
    def on_cpu(self, values: Any) -> Any:
        """`values` on the CPU."""

    @abstractmethod
    def previous(self, batch: Any) -> Any:
        """The batch before this one."""

    def vector(self, values: Sequence[Any]) -> Any:
        """One float vector for each sample, of numbers and tensors with a value for each sample."""
        if all(isinstance(value, numbers.Real) for value in values):
            return [float(value) for value in values]
        return self.ops.stack(
            *(
                self.constant(float(value))
                if isinstance(value, numbers.Real)
                else self.cast(value, "FLOAT")
                for value in values
            )
        )

    def cast(self, value: Any, dtype: str) -> Any:
        value = value.node() if isinstance(value, Scheduled) else value
        return self.ops.cast(value, dtype=self.dtypes[dtype])

    def gather(self, batch: Any, others: Any, partner: Any, which: int, images: int = 0) -> Any:
        """For each sample what belongs to its partner, in the batch or in the one behind it."""
        batches = (batch,) if others is None else (batch, others)
        return self.ops.dali_mix.gather(*batches, partner=partner, which=which, images=images)

    def element(self, vectors: Any, k: int) -> Any:
        """Of each sample's vector the k-th value."""
        return self.ops.squeeze(self.ops.slice(vectors, k, 1, axes=[0]), axes=[0])

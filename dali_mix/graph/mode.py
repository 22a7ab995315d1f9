"""The differences between DALI's pipeline mode and its dynamic mode."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from dali_mix.graph.schedule import Scheduled


class Mode(ABC):
    """Implemented by `dali_mix.fn` and `dali_mix.dynamic`."""

    ops: Any
    """The module with DALI's and our operators: `nvidia.dali.fn`, or the module of dynamic mode."""
    dtypes: ClassVar[dict[str, Any]]
    """FLOAT and INT32, as the operators take them."""
    dtype_kinds: ClassVar[tuple[type, ...]]
    """The Python types of a dtype."""
    batches: ClassVar[tuple[type, ...]]
    """The Python types of a batch."""
    feed: ClassVar[str]
    """Words that say how to make a batch of an array, for the error that refuses an array."""
    random: str
    """Name of the argument of the random state: "seed" or "rng"."""
    nearest: Any
    """The `interp_type` of fn.resize that copies the nearest pixel and makes no new values."""

    @abstractmethod
    def counted_by(self, images: Any, labels: Any, size_known: bool) -> tuple[Any, ...]:
        """The input that tells the plan operator the batch size, and the images' sizes unless
        `size_known`: the images, a batch of as many samples, or none."""

    @abstractmethod
    def holds_bytes(self, images: Any) -> bool:
        """Whether images are known to be uint8, before any is there."""

    @abstractmethod
    def reader_of(self, batch: Any) -> str:
        """The reader of files that puts this out, such as "fn.readers.file"; "" if none does."""

    @abstractmethod
    def constant(self, value: float) -> Any:
        """The same float for each sample."""

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
        """One float vector for each sample. `values` are its elements: numbers, or tensors with a
        number for each sample."""
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
        """For each sample, the entry of its partner number `which`. Indices from N on are in
        `others`. `images`: how many images the plan must mix, 0: any number."""
        batches = (batch,) if others is None else (batch, others)
        return self.ops.dali_mix.gather(*batches, partner=partner, which=which, images=images)

    def element(self, vectors: Any, k: int) -> Any:
        """The k-th value of each sample's vector."""
        # Not squeeze, which in the dynamic mode of DALI 2.2 does not see its axes.
        return self.ops.reductions.max(self.ops.slice(vectors, k, 1, axes=[0]), axes=[0])

"""Scheduled: a number that changes while a pipeline runs, of the draw or the size of images.

Loads no DALI when imported. A Python source gives the pipeline the value for each batch, and knows
when the value changed. Two counters of DALI give the place of a batch: how often the pipeline was
reset, and how many batches came since.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from dali_mix.plugin import dali_private

__all__ = ["Scheduled"]

Place = tuple[int, int]
"""Place of a batch in the life of its pipeline: resets, batches since the last reset."""
History = list[tuple[Place, float]]
"""Values, each with the place of the first batch that has it."""


@dataclass(frozen=True)
class Scheduled:
    """A number that `MixLoader.set` can change: an alpha, prob, lam, the weight of a method, or the
    size of the images in `recipes.imagefolder_train` and `MixLoader.from_imagefolder`.

    name:  its name in the call of `set`
    value: the first value, in [0, most]
    most:  the largest value that `set` takes; 1 for a probability

        alpha, prob = dali_mix.Scheduled("alpha", 0.4), dali_mix.Scheduled("prob", 0.0, most=1)
        x, y1, y2, lam = dmix.mixup(images, labels, alpha=alpha, prob=prob)      # in the graph
        loader.set(alpha=0.2, prob=1.0)

    It works in pipelines only. All batches must be full, as readers make them. In dynamic mode,
    pass a new number to each call.
    """

    name: str
    value: float
    most: float = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(
                f"name of a Scheduled must be one that set(name=…) takes, got {self.name!r}."
            )
        object.__setattr__(self, "value", self.checked(self.value))

    def checked(self, value: Any) -> float:
        """`value` as a float. A ValueError or TypeError if this schedule cannot take it."""
        if not isinstance(value, numbers.Real):
            raise TypeError(f"{self.name} must be one number, got {value!r}.")
        if not (0 <= float(value) <= self.most and math.isfinite(value)):
            limit = "finite and not negative" if math.isinf(self.most) else f"in [0, {self.most:g}]"
            raise ValueError(f"{self.name} must be {limit}, got {value}.")
        return float(value)

    def node(self) -> Any:
        """The value as a DALI tensor, a float32 for each sample. A pipeline may return it, to show
        the value that each batch was drawn with."""
        from nvidia.dali import fn, types
        from nvidia.dali.pipeline import Pipeline

        pipeline = Pipeline.current()
        if pipeline is None:
            raise RuntimeError(
                f"the Scheduled {self.name!r} needs a pipeline, and there is none here; in dynamic "
                "mode pass a number."
            )
        source = _sources.setdefault(pipeline, {}).setdefault(
            self.name, _Source(self, pipeline.max_batch_size)
        )
        if source.schedule != self:
            raise ValueError(
                f"a pipeline has two different Scheduled named {self.name!r}; name one differently."
            )
        return fn.external_source(
            source=source, batch=True, batch_info=True, dtype=types.FLOAT, ndim=0
        )


@dataclass
class _Source:
    """The external source of `Scheduled.node`."""

    schedule: Scheduled
    batch_size: int
    history: History = field(init=False)
    undrawn: Place = (0, 0)
    """Place of the first batch that DALI has not asked for."""

    def __post_init__(self) -> None:
        self.history = [((0, 0), self.schedule.value)]

    def __call__(self, batch: Any) -> np.ndarray:
        """(batch_size,) float32; `batch` is DALI's BatchInfo."""
        place = (batch.epoch_idx, batch.iteration)
        self.undrawn = (batch.epoch_idx, batch.iteration + 1)
        value = _since(self.history, place)[0][1]
        return np.full(self.batch_size, value, np.float32)


_sources: WeakKeyDictionary[Any, dict[str, _Source]] = WeakKeyDictionary()
"""The sources of each pipeline, by name."""


def change(pipelines: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Change values, from the first batch on that no pipeline has drawn yet."""
    known = _by_name(pipelines)
    for name in values:
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there is none"
            raise TypeError(
                f"set() changes dali_mix.Scheduled values of the pipelines, {there}, got {name!r}."
            )
    checked = {name: known[name][0].schedule.checked(value) for name, value in values.items()}
    handed_out = max(map(_handed_out, pipelines))
    for name, value in checked.items():
        start = max([handed_out, *(source.undrawn for source in known[name])])
        for source in known[name]:
            kept = [entry for entry in _since(source.history, handed_out) if entry[0] < start]
            source.history = [*kept, (start, value)]


def state(pipelines: Sequence[Any]) -> dict[str, list[list[float]]]:
    """For each name a list of [resets, batches, value]: the values from the next batch on."""
    handed_out = max(map(_handed_out, pipelines))
    return {
        name: [[*place, value] for place, value in _since(found[0].history, handed_out)]
        for name, found in sorted(_by_name(pipelines).items())
    }


def load(pipelines: Sequence[Any], saved: Mapping[str, list[list[Any]]]) -> None:
    """Restore what `state` returned, in pipelines that have not run."""
    check(pipelines, saved)
    for name, found in _by_name(pipelines).items():
        for source in found:
            source.history = [((e, b), source.schedule.checked(v)) for e, b, v in saved[name]]


def carry(old: Any, new: Any, *, back: bool = False) -> None:
    """Give a rebuilt pipeline the values of the old one.

    back: the new one goes on at an earlier place, and has the newest values from its start
    """
    for name, source in _sources.get(new, {}).items():
        history = list(_sources[old][name].history)
        source.history = [((0, 0), history[-1][1])] if back else history


def check(pipelines: Sequence[Any], saved: Mapping[str, list[list[Any]]]) -> None:
    """A ValueError if the pipelines have other Scheduled numbers than the saved state."""
    known = _by_name(pipelines)
    if sorted(saved) != sorted(known):
        raise ValueError(
            f"the state was saved with the Scheduled values {sorted(saved)}, but this loader has "
            f"{sorted(known)}; it cannot continue bit for bit. Make the loader as it was."
        )


def _by_name(pipelines: Sequence[Any]) -> dict[str, list[_Source]]:
    found: dict[str, list[_Source]] = {}
    for pipeline in pipelines:
        for name, source in _sources.get(pipeline, {}).items():
            found.setdefault(name, []).append(source)
            if source.schedule != found[name][0].schedule:
                raise ValueError(
                    f"the pipelines have different Scheduled named {name!r}; use one for all."
                )
    return found


def _handed_out(pipeline: Any) -> Place:
    """Place of the batch after the last one that the pipeline has returned."""
    return dali_private.handed_out(pipeline)


def _since(history: History, place: Place) -> History:
    """The part of the history that counts from `place` on."""
    past = sum(start <= place for start, _ in history)
    return history[max(past - 1, 0) :]

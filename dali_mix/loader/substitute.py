"""Replaces bad files by good ones, so that a run goes on: `on_bad_file="substitute"`.

A DALI pipeline cannot go on after a file that it cannot decode. It still knows its place, so the
places of the failed batch in the list of files are known, and each of its files is tried by itself.
Then the pipeline is rebuilt with a list in which another file replaces each bad one, and moved to
the place of the old one. Order and draws depend on places only, so everything else stays the same,
bit for bit; no batch is lost or added.

The substitute is the next good file of the list; it has the same class in most cases. If a reader
keeps to one shard, it is the next good file of that shard. The choice depends on the files only, so
every process finds the same one, and so does a run that goes on from a saved state.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline

from dali_mix.graph import schedule
from dali_mix.images.class_folders import ImageList
from dali_mix.images.decoding import Single, decoder, fault_of_file
from dali_mix.images.names import shown
from dali_mix.loader.dali_checkpoint import restore, states_of_operators, with_states
from dali_mix.plugin import dali_private

ON_BAD_FILE = ("raise", "substitute")

_log = logging.getLogger("dali_mix")


class Substituted(NamedTuple):
    """A file that cannot be used, why, and the file that replaces it."""

    path: str
    reason: str
    substitute: str


class StandIns:
    """The files of one pipeline, in which good files replace bad ones.

    shard:      the part of the list that the reader keeps to
    num_shards: into how many parts the list is cut; 1: the reader reads the whole list
    """

    def __init__(self, root: str, images: ImageList, shard: int = 0, num_shards: int = 1) -> None:
        self._root = root
        self._images = images
        first, end = (len(images.names) * s // num_shards for s in (shard, shard + 1))
        self._range = range(first, end)
        self._bad: dict[int, str] = {}
        """The place of each bad file, and why it is bad."""
        self._substitute: dict[int, int] = {}
        """The place of each bad file, and the place of its substitute."""

    def images(self) -> ImageList:
        """The images that the reader reads, with substitutes."""
        names, labels = list(self._images.names), list(self._images.labels)
        for place, other in self._substitute.items():
            names[place], labels[place] = self._images.names[other], self._images.labels[other]
        return ImageList(names, labels)

    def find(self, pipeline: Pipeline, reader: str) -> bool:
        """Look for bad files in the batches where this pipeline failed. True if there are any."""
        decode = decoder(pipeline.device_id)
        bad, known = dict(self._bad), len(self._bad)
        for batch in _coming(pipeline, reader, len(self._images.names)):
            for place in {self._substitute.get(place, place): None for place in batch}:
                self._try(place, decode, bad)
            if len(bad) > known:
                break
        for place in list(bad)[known:]:
            for other in self._after(place):
                if other not in bad and self._try(other, decode, bad):
                    break
        self._know(bad)
        for one in self.found()[known:]:
            _log.warning(
                "%s cannot be used: %s; %s takes its place.",
                *(shown(text) for text in (one.path, one.reason, one.substitute)),
            )
        return len(bad) > known

    def found(self) -> list[Substituted]:
        return [
            Substituted(self._path(place), reason, self._path(self._substitute[place]))
            for place, reason in self._bad.items()
            if place in self._substitute  # no place is, if all files are bad
        ]

    def state(self) -> list[list[str]]:
        """[name, reason] of each bad file."""
        return [[self._images.names[place], reason] for place, reason in self._bad.items()]

    def load_state(self, state: Sequence[Sequence[str]]) -> bool:
        """Take the bad files of a saved state. True if that changes them."""
        places = {name: place for place, name in enumerate(self._images.names)}
        for name, _ in state:
            if name not in places:
                raise ValueError(
                    f"the state was saved with a substitute for {shown(name)}, which this loader "
                    "does not read; make the loader as it was, or start anew."
                )
        before = set(self._bad)
        self._know({places[name]: reason for name, reason in state})
        return set(self._bad) != before

    def _try(self, place: int, decode: Single, bad: dict[int, str]) -> bool:
        """Whether the file at that place is good. If not, the reason is added to `bad`."""
        fault = fault_of_file(self._path(place), decode)
        if fault is not None:
            bad[place] = fault
        return fault is None

    def _after(self, place: int) -> Iterator[int]:
        """The places after this one, then those before it from the start."""
        return chain(range(place + 1, self._range.stop), range(self._range.start, place))

    def _know(self, bad: dict[int, str]) -> None:
        """Set the bad files, and choose the next good file for each; the first follows the last.

        Both attributes change in one statement, so that an interruption leaves no half state.
        """
        good = next((place for place in self._range if place not in bad), None)
        if good is None:
            self._bad = bad
            place, reason = next(iter(bad.items()))
            raise RuntimeError(
                f"none of the {len(self._range)} files can be decoded, such as "
                f"{self._path(place)}: {reason}; `dali-mix check` tells what is wrong with each."
            )
        substitute = {}
        for place in reversed(self._range):
            if place in bad:
                substitute[place] = good
            else:
                good = place
        self._bad, self._substitute = bad, substitute

    def _path(self, place: int) -> str:
        return os.path.join(self._root, self._images.names[place])


def _coming(pipeline: Pipeline, reader: str, count: int) -> Iterator[list[int]]:
    """The batches after the last one that this pipeline returned, as places in its list of `count`
    files. These are all the batches that DALI may have begun.

    A reader with the same arguments and state, but a list of a file that can be read, gives the
    same places and cannot fail.
    """
    operator = next(op for op in dali_private.operators(pipeline) if op.name == reader)
    arguments = dali_private.constants_of(operator)
    for name in ("file_root", "file_list"):
        arguments.pop(name, None)
    arguments |= {"files": [__file__] * count, "labels": list(range(count))}
    places = Pipeline(
        pipeline.max_batch_size, num_threads=1, device_id=None, enable_checkpointing=True
    )
    with places:
        places.set_outputs(fn.readers.file(name=reader, **arguments)[1])
    places.build()
    position = states_of_operators(pipeline.checkpoint())[reader.encode()]
    restore(places, with_states(places.checkpoint(), {reader.encode(): position}))
    for _ in range(1 + ahead_of(pipeline)):
        yield np.array(places.run()[0].as_tensor()).ravel().tolist()


def ahead_of(pipeline: Pipeline) -> int:
    """The largest number of batches that DALI computes in advance."""
    depth = pipeline.prefetch_queue_depth
    return sum(depth.values()) if isinstance(depth, Mapping) else depth


def renewed(source: Any, pipeline: Pipeline, reader: str | None) -> Pipeline | None:
    """A new pipeline at the place where `pipeline` failed. None if no file is bad, or if `source`
    does not substitute."""
    stand_ins = stand_ins_of(source)
    if stand_ins is None or reader is None or not stand_ins.find(pipeline, reader):
        return None
    again: Pipeline = source()
    schedule.carry(pipeline, again)
    restore(again, pipeline.checkpoint())
    return again


def stand_ins_of(source: Any) -> StandIns | None:
    return getattr(source, "stand_ins", None)


def check_on_bad_file(on_bad_file: str, sources: Sequence[Any]) -> None:
    if on_bad_file not in ON_BAD_FILE:
        raise ValueError(
            f"on_bad_file must be one of {', '.join(ON_BAD_FILE)}, got {on_bad_file!r}."
        )
    if on_bad_file == "substitute" and any(stand_ins_of(source) is None for source in sources):
        raise ValueError(
            "on_bad_file='substitute' needs MixLoader.from_imagefolder, which can make its "
            "pipeline anew with another list of files; for a pipeline of your own, "
            "`dali-mix check --fix-list` writes a list of good files."
        )


def states(sources: Sequence[Any]) -> list[list[list[str]]]:
    """The bad files of each source, for a state: a list of [name, reason]."""
    every = [stand_ins_of(source) for source in sources]
    return [[] if stand_ins is None else stand_ins.state() for stand_ins in every]


def load_states(sources: Sequence[Any], saved: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Give each source its saved bad files. True if that changes those of any source."""
    changed = False
    for source, state in zip(sources, saved, strict=True):
        stand_ins = stand_ins_of(source)
        if stand_ins is not None:
            changed |= stand_ins.load_state(state)
        elif state:
            raise ValueError(
                f"the state was saved after {len(state)} bad files had been substituted; make the "
                "loader with on_bad_file='substitute', as it was."
            )
    return changed


def found(sources: Sequence[Any]) -> list[Substituted]:
    """All substituted files of the sources."""
    every = [stand_ins_of(source) for source in sources]
    return [one for stand_ins in every if stand_ins is not None for one in stand_ins.found()]

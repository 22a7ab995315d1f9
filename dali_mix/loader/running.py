"""The pipelines of one loader while they run: which may fail, be interrupted, and be made anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nvidia.dali.pipeline import Pipeline

from dali_mix.graph import schedule
from dali_mix.loader import position, substitute
from dali_mix.loader.culprit import explained
from dali_mix.loader.dali_checkpoint import NOT_ENABLED, restore
from dali_mix.loader.position import Base
from dali_mix.loader.restorable import unrestorable
from dali_mix.loader.sources import (
    Source,
    counting_reader,
    opened,
    outputs_of,
    root_of,
)
from dali_mix.loader.substitute import Substituted
from dali_mix.plugin import dali_private

_T = TypeVar("_T")
_OBJECT = (
    "a pipeline that was given as an object stays where it is after its first batch; give "
    "MixLoader a function that makes it"
)


class Running:
    """Pipelines and where they come from.

    sources, reader_name, size, pure_python: as in MixLoader
    """

    def __init__(
        self, sources: list[Source], reader_name: str | None, size: int | None, pure_python: bool
    ) -> None:
        if not sources:
            raise ValueError("pipelines must hold at least one pipeline, got none.")
        self.sources = sources
        self.pipelines = [opened(source) for source in sources]
        self.reader = counting_reader(self.pipelines[0], reader_name, size)
        self.failure: str | None = None
        """Why they cannot go on."""
        self.apart = False
        """Whether they may stand elsewhere than the loader counts: while they work, and after
        something has put an end to that which is no failure, such as Ctrl-C."""
        self._found: list[Substituted] = []
        self._pure_python = pure_python
        self._start = self._newest_base = [
            Base(0, pipeline.checkpoint() if dali_private.saves_states(pipeline) else b"")
            for pipeline in self.pipelines
        ]

    def attempt(self, work: Callable[[], _T]) -> _T:
        """What `work` returns. Until the caller has counted that, and says so, they are apart."""
        self.apart = True
        try:
            return work()
        except StopIteration:  # of a source, before anything was made
            self.apart = False
            raise
        except Exception as error:  # of a bad file, of a Python source, of a batch with no shape
            self.failure = str(error).strip().partition("\n")[0]
            raise

    def outputs(self, restart: bool) -> list[Any]:
        """Of each pipeline, the next; `restart`: a source that has stopped begins again."""
        return [self._outputs(place, restart) for place in range(len(self.pipelines))]

    def _outputs(self, place: int, restart: bool) -> Any:
        source = self.sources[place]
        while True:
            pipeline = self.pipelines[place]
            try:
                return outputs_of(pipeline, restart)
            except RuntimeError as error:
                renewed = substitute.renewed(source, pipeline, self.reader)
                if renewed is None:
                    raise explained(pipeline, self.reader, root_of(source), error) from error
            self.pipelines[place] = renewed

    @property
    def ahead(self) -> int:
        """How many batches DALI computes in advance."""
        return substitute.ahead_of(self.pipelines[0])

    def no_state(self) -> str | None:
        """Why they can give no state; None: they can."""
        for pipeline in self.pipelines:
            if not dali_private.saves_states(pipeline):
                return NOT_ENABLED
            part = unrestorable(pipeline, self._pure_python)
            if part is not None:
                return f"the loader gives no state, as {part}."
        return None

    def fixed(self) -> str | None:
        """Why they cannot be put at any place without running; None: they can."""
        if self._used and any(isinstance(source, Pipeline) for source in self.sources):
            return _OBJECT
        for pipeline in self.pipelines:
            if not dali_private.saves_states(pipeline):
                return "the pipeline was made without enable_checkpointing=True"
            why = unrestorable(pipeline, self._pure_python) or position.why_not(pipeline)
            if why is not None:
                return why
        return None

    def place(self, batches: int, *, back: bool) -> None:
        """Put them where they are after `batches` batches; needs `fixed()` to be None.

        back: that is before where they were
        """
        bases = self._newest_base if self._newest_base[0].batches <= batches else self._start
        checkpoints = [
            position.checkpoint_after(pipeline, base, batches)
            for pipeline, base in zip(self.pipelines, bases, strict=True)
        ]
        before = self.pipelines
        self.renew()
        for old, new in zip(before, self.pipelines, strict=True):
            if old is not new:
                schedule.carry(old, new, back=back)
        self.restore(batches, checkpoints)

    def restore(self, batches: int, checkpoints: Sequence[bytes]) -> None:
        """Put pipelines that have not run where `checkpoints` were taken, after that many batches
        in all."""
        for pipeline, checkpoint in zip(self.pipelines, checkpoints, strict=True):
            restore(pipeline, checkpoint)
        self._newest_base = [Base(batches, checkpoint) for checkpoint in checkpoints]

    def check_renewable(self) -> None:
        if self._used and any(isinstance(source, Pipeline) for source in self.sources):
            raise RuntimeError(
                "load_state_dict() must come before the first batch of a pipeline given as an "
                "object; give MixLoader a function that makes the pipeline instead."
            )

    def renew(self, always: bool = False) -> None:
        """Pipelines that have not run; new ones where they have, or have failed, or `always`."""
        if always or self._used:
            self.pipelines = [opened(source) for source in self.sources]

    @property
    def _used(self) -> bool:
        return self.failure is not None or any(
            dali_private.has_run(pipeline) for pipeline in self.pipelines
        )

    def __str__(self) -> str:
        """What they read."""
        if not self.sources:
            return "no pipelines: it is closed"
        many = len(self.pipelines)
        each = "" if many == 1 else f" in {many} pipelines"
        if self.reader is None:
            return f"a Python source{each}"
        root = root_of(self.sources[0])
        return f"the reader {self.reader!r}{f' of {root}' if root else ''}{each}"

    def substituted(self) -> list[Substituted]:
        return [*self._found, *substitute.found(self.sources)]

    def close(self) -> None:
        self._found = self.substituted()  # which outlives its sources
        self.pipelines = []
        self.sources = []

    def check_open(self) -> None:
        if not self.sources:
            raise RuntimeError("the loader is closed; make a new one.")

    def check(self) -> None:
        """Whether they can go on; where they were interrupted, by being made anew."""
        self.check_open()
        if self.failure is not None:
            raise RuntimeError(
                f"the loader has failed and cannot go on: {self.failure.rstrip('.')}. Make a new "
                "one, or load a state."
            )
        why = self.fixed() if self.apart else None
        if why is not None:
            raise RuntimeError(
                "the loader was interrupted while DALI worked, and what DALI had made is lost. It "
                f"cannot go back to its place: {why}. Make a new loader, or load a state."
            )

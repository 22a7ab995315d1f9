"""The pipelines of one loader while they run. They may fail, be interrupted, and be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nvidia.dali.pipeline import Pipeline

from dali_mix.graph import schedule
from dali_mix.loader import position, substitute
from dali_mix.loader.culprit import explained, reason_first
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
    """The pipelines of a loader, and the sources that they come from.

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
        """Why they cannot go on; None: they can."""
        self.apart = False
        """Whether their place may differ from the count of the loader. That is so while they work,
        and after something other than a failure has interrupted them, such as Ctrl-C."""
        self._found: list[Substituted] = []
        self._pure_python = pure_python
        self._start = self._newest_base = [
            Base(0, pipeline.checkpoint() if dali_private.saves_states(pipeline) else b"")
            for pipeline in self.pipelines
        ]

    def attempt(self, work: Callable[[], _T]) -> _T:
        """Return work(). Sets `apart`; the caller unsets it when it has counted the result."""
        self.apart = True
        try:
            return work()
        except StopIteration:  # of a source, before anything was made
            self.apart = False
            raise
        except Exception as error:  # such as a bad file, or a Python source that fails
            self.failure = str(error).strip().partition("\n")[0]
            raise

    def outputs(self, restart: bool) -> list[Any]:
        """The next outputs of each pipeline. `restart`: a source that has stopped begins again."""
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
            except (ValueError, TypeError, IndexError) as error:
                reason = reason_first(error)
                if reason is None:
                    raise
                raise reason from error
            self.pipelines[place] = renewed

    @property
    def ahead(self) -> int:
        """How many batches DALI computes in advance."""
        return substitute.ahead_of(self.pipelines[0])

    def no_state(self) -> str | None:
        """Why they cannot give a state; None if they can."""
        for pipeline in self.pipelines:
            if not dali_private.saves_states(pipeline):
                return NOT_ENABLED
            part = unrestorable(pipeline, self._pure_python)
            if part is not None:
                return f"the loader gives no state, as {part}."
        return None

    def fixed(self) -> str | None:
        """Why they cannot be moved to another place without running; None if they can."""
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
        """Move them to their place after `batches` batches; `fixed()` must be None.

        back: whether that is before their present place
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
        """Move pipelines that have not run to the place of `checkpoints`, which were taken after
        `batches` batches."""
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
        """Rebuild the pipelines if they have run or failed, or `always`."""
        if always or self._used:
            self.pipelines = [opened(source) for source in self.sources]

    @property
    def _used(self) -> bool:
        return self.failure is not None or any(
            dali_private.has_run(pipeline) for pipeline in self.pipelines
        )

    def __str__(self) -> str:
        """What they read, in words."""
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
        self._found = self.substituted()  # outlives the sources
        self.pipelines = []
        self.sources = []

    def check_open(self) -> None:
        if not self.sources:
            raise RuntimeError("the loader is closed; make a new one.")

    def check(self) -> None:
        """A RuntimeError if they cannot go on. After an interruption they must be rebuilt."""
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

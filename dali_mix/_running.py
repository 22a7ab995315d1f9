"""The pipelines of one loader while they run: which may die of a file, and be made anew."""

from __future__ import annotations

from typing import Any

from nvidia.dali.pipeline import Pipeline

from dali_mix import _substitute
from dali_mix._culprit import explained
from dali_mix._sources import Source, counting_reader, has_run, opened, outputs_of, root_of
from dali_mix._substitute import Substituted


class Running:
    """Pipelines and where they come from.

    sources, reader_name, size: as in MixLoader
    """

    def __init__(self, sources: list[Source], reader_name: str | None, size: int | None) -> None:
        if not sources:
            raise ValueError("pipelines must hold at least one pipeline, got none.")
        self.sources = sources
        self.pipelines = [opened(source) for source in sources]
        self.reader = counting_reader(self.pipelines[0], reader_name, size)
        self._found: list[Substituted] = []
        self.failure: str | None = None
        """Why they cannot go on."""

    def outputs(self, restart: bool) -> list[Any]:
        """Of each pipeline, the next; `restart`: a source that has stopped begins again."""
        try:
            return [self._outputs(place, restart) for place in range(len(self.pipelines))]
        except StopIteration:
            raise
        except Exception as error:  # of a bad file, or of a Python source
            self.failure = str(error).strip().partition("\n")[0]
            raise

    def _outputs(self, place: int, restart: bool) -> Any:
        source = self.sources[place]
        while True:
            pipeline = self.pipelines[place]
            try:
                return outputs_of(pipeline, restart)
            except RuntimeError as error:
                renewed = _substitute.renewed(source, pipeline, self.reader)
                if renewed is None:
                    raise explained(pipeline, self.reader, root_of(source), error) from error
            self.pipelines[place] = renewed

    def renew(self, always: bool) -> None:
        """Pipelines that have not run; new ones where they have, or have failed, or `always`."""
        if always or self.failure is not None or any(has_run(p) for p in self.pipelines):
            if any(isinstance(source, Pipeline) for source in self.sources):
                raise RuntimeError(
                    "load_state_dict() must come before the first batch of a pipeline given as an "
                    "object; give MixLoader a function that makes the pipeline instead."
                )
            self.pipelines = [opened(source) for source in self.sources]

    def substituted(self) -> list[Substituted]:
        return [*self._found, *_substitute.found(self.sources)]

    def close(self) -> None:
        self._found = self.substituted()  # which outlives its sources
        self.pipelines = []
        self.sources = []

    def check_open(self) -> None:
        if not self.sources:
            raise RuntimeError("the loader is closed; make a new one.")

    def check(self) -> None:
        self.check_open()
        if self.failure is not None:
            raise RuntimeError(
                f"the loader has failed and cannot go on: {self.failure.rstrip('.')}. Make a new "
                "one, or load a state."
            )

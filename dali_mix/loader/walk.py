"""Walks through the epochs of a loader, batch by batch, or straight to any epoch.

A step is a transaction. While the pipelines work, they are `apart` from the count that is kept
here. If a signal or an exit interrupts the step, they stay apart: DALI may have made a batch that
nobody received. The next call moves the pipelines to the counted place, or refuses to go on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

from dali_mix.loader.batches import Batch, Form, joined, to_batch
from dali_mix.loader.epochs import Share, length
from dali_mix.loader.plans import Names
from dali_mix.loader.running import Running
from dali_mix.loader.sources import PADDED_TAIL
from dali_mix.methods.method import is_whole

_log = logging.getLogger("dali_mix")


class Walk:
    """The place of a loader in its epochs.

    shares:     one for each pipeline
    last_batch: as in MixLoader
    form:       what the outputs of a pipeline are
    mixing:     whether the images are mixed
    single:     whether a step yields one batch rather than a list
    plans:      the columns of each plan that a batch comes with
    repeats:    how many groups of outputs make one batch
    """

    def __init__(
        self,
        running: Running,
        shares: list[Share],
        last_batch: str,
        form: Form,
        mixing: bool,
        single: bool,
        plans: list[Names],
        repeats: int,
    ) -> None:
        self.running = running
        self.shares = shares
        self.last_batch = last_batch
        self.repeats = repeats
        self.epoch = 0
        self.made = 0
        """Number of batches of this epoch that were yielded."""
        self.asked: int | None = None
        """The epoch that set_epoch() asked for and the next iteration begins."""
        self._form = form
        self._mixing = mixing
        self._single = single
        self._plans = plans
        self._continues = True  # the next iteration goes on in this epoch
        self._newest: object = None  # token of the newest iteration; older ones may not go on
        self._begun: object = None  # token of the newest iteration that has taken a batch

    @property
    def length(self) -> int:
        epoch = self.epoch if self.asked is None else self.asked
        return length(self.shares, self.last_batch, epoch)

    @property
    def next_place(self) -> tuple[int, int]:
        """Epoch and number of the next batch."""
        if self.asked is not None:
            return self.asked, 0
        return (self.epoch, self.made) if self.made < self.length else (self.epoch + 1, 0)

    @property
    def next_epoch(self) -> int:
        """The epoch of the next iteration."""
        if self.asked is not None or self._continues or not self.made:
            return self.next_place[0]
        return self.epoch + 1

    def iterate(self) -> Iterator[Any]:
        self.running.check()
        self._newest = token = object()
        return self._iterate(token)

    def ask(self, epoch: int) -> None:
        """Let the next iteration begin that epoch."""
        self.running.check()
        if not (is_whole(epoch) and epoch >= 0):
            raise ValueError(f"epoch must be a whole number, at least 0, got {epoch!r}.")
        if self._continues and self.asked is None and epoch == self.next_epoch:
            return
        if epoch < self.epoch or (epoch == self.epoch and self.made):
            why = self.running.fixed()
            if why is not None:
                raise RuntimeError(
                    f"set_epoch({epoch}) goes back from epoch {self.epoch}, and this loader cannot:"
                    f" {why}."
                )
        if self._newest is self._begun:
            self._newest = None
        self.asked, self._continues = int(epoch), False

    def settle(self) -> None:
        """Move the pipelines to the place of the next batch."""
        self.running.check()
        if self.asked is None:
            self._go(self.epoch, self.made)
        else:
            self._go(self.asked, 0)
            self.asked, self._continues = None, True

    def loaded(self, epoch: int, made: int) -> None:
        """Take the place of a loaded state, to which the pipelines have been moved."""
        self.epoch, self.made, self.asked = epoch, made, None
        self._newest, self._continues, self.running.failure = None, True, None
        self.running.apart = False

    def end(self) -> None:
        self._newest = None

    def batches_before(self, epoch: int, made: int) -> int:
        """How many batches a pipeline has made in all when it is at that place."""
        return epoch * self.shares[0].batches + made

    def _iterate(self, token: object) -> Iterator[Any]:
        self._check_newest(token)
        self._begun = token
        epoch = self.next_epoch
        self._go(epoch, self.made if epoch == self.epoch and self._continues else 0)
        self.asked, self._continues = None, False
        while self.made < self.length:
            batches = self.running.attempt(self._next_batches)
            # From here to the yield nothing is called, so that no signal handler comes between.
            self.made, self.running.apart = self.made + 1, False
            yield batches[0] if self._single else batches
            self._check_newest(token)
        self._finish_epoch()

    def _next_batches(self) -> list[Batch]:
        number, running = self.made, self.running
        try:
            outputs = running.outputs(restart=number == 0)
        except StopIteration:
            raise RuntimeError(self._stopped()) from None
        batches = []
        for pipeline, share, output in zip(running.pipelines, self.shares, outputs, strict=True):
            kept, got = share.batch_size, len(output[0])
            if self.last_batch == "partial":
                kept = share.kept(self.epoch, number)
            if self._mixing and running.reader is None and got > kept:
                raise ValueError(PADDED_TAIL.format(f"{kept} of {got} samples"))
            if got < kept:
                raise ValueError(
                    f"batch {number} of an epoch must have {kept} samples, as size={share.images} "
                    f"and batch_size={share.batch_size} promise, got {got}; let the source give "
                    "full batches (only the last of an epoch may be smaller), or correct one of "
                    "the two."
                )
            if kept:  # one shard may end before another
                copy = not pipeline.exec_dynamic
                each = len(output) // self.repeats
                groups = [output[k * each : (k + 1) * each] for k in range(self.repeats)]
                batches.append(
                    joined([to_batch(g, self._form, kept, copy, self._plans) for g in groups])
                )
        return batches

    def _stopped(self) -> str:
        """The error for a source that has stopped too early."""
        if self.made == 0 and self.epoch > 0:
            return (
                f"the source did not begin again after epoch {self.epoch - 1}: give "
                "fn.external_source cycle='raise', where it reads an iterable, or a callable that "
                "takes the index of the batch."
            )
        share = self.shares[0]
        return (
            f"the source of the pipeline stopped after {self.made} batches of {share.batch_size}, "
            f"but size={share.images} needs {self.length}; correct one of the two."
        )

    def _go(self, epoch: int, made: int) -> None:
        """Move the pipelines to that batch: the current one, or the first of an epoch."""
        running = self.running
        here = self.batches_before(self.epoch, self.made)
        there = self.batches_before(epoch, made)
        if running.apart or not 0 <= there - here <= running.ahead:
            why = running.fixed()
            if why is None:
                running.apart = True
                running.place(there, back=there < here)
                self.epoch, self.made, running.apart = epoch, made, False
                return
            if there < here:
                raise RuntimeError(f"the loader cannot go back to epoch {epoch}: {why}.")
            if there - here > self.shares[0].batches:
                _log.warning(
                    "%d batches are computed and thrown away on the way to epoch %d, as %s.",
                    *(there - here, epoch, why),
                )
        while self.epoch < epoch:
            self._finish_epoch()

    def _finish_epoch(self) -> None:
        """Run the pipelines to the end of this epoch, and go to the next one."""
        running = self.running
        while self.made < self.shares[0].batches:
            try:
                running.attempt(partial(running.outputs, restart=self.made == 0))
            except StopIteration:  # a source makes no padded batch; it begins again later
                break
            self.made, running.apart = self.made + 1, False
        self.epoch, self.made = self.epoch + 1, 0

    def _check_newest(self, token: object) -> None:
        self.running.check()
        if self._newest is not token:
            raise RuntimeError(
                "this iteration was overtaken by a newer iter(), set_epoch() or load_state_dict() "
                "of its loader; one loader runs one iteration at a time."
            )


class BatchSampler:
    """Stands for the sampler of a DataLoader, whose set_epoch() frameworks call.

    They call it before every epoch, also in validation, and sometimes twice for the same epoch. So
    this never goes back, and never computes batches to throw them away.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    @property
    def sampler(self) -> BatchSampler:
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to that epoch, if it lies ahead."""
        walk = self._walk
        if epoch <= walk.next_epoch:
            return
        why = walk.running.fixed()
        if why is None:
            walk.ask(epoch)
        else:
            warnings.warn(
                f"epoch {epoch} begins, and the loader goes on with the batches of its epoch "
                f"{walk.next_epoch}, as it cannot go to another one: {why}.",
                stacklevel=2,
            )

"""Applies a function to many tasks, in processes that a task may kill."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Prepare = Callable[[], Callable[[Task], Result]]
"""Called once in each process. It returns the function that is called with the tasks."""

_SPAWN = multiprocessing.get_context("spawn")  # DALI does not survive a fork


class Died(NamedTuple):
    """Stands for a result if the process ended before it was computed. `how`: in words."""

    how: str


class _Unread(NamedTuple):
    """The process ended before it read the task, so the task is not the cause."""


def limit_memory(extra: int) -> None:
    """Limit this process to `extra` more bytes. A task that needs more fails by itself."""
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = used + extra if hard == resource.RLIM_INFINITY else min(used + extra, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Worker(Generic[Task]):
    """A process, and its present task."""

    def __init__(self, prepare: Callable[[], Any]) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(theirs, prepare), daemon=True)
        # Ctrl-C is for the parent: the process inherits that the signal is blocked.
        listened = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self.process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, listened)
        theirs.close()  # so that reading fails when the process ends
        self.place = 0
        self.task: Task | None = None
        self.since: float | None = None
        """Time when it was given the task; None: the process is still starting."""
        self.proven = False
        """Whether it has finished a task."""
        self.reached = True
        """Whether it was alive when it was given the task."""

    def give(self, place: int, task: Task) -> None:
        self.place, self.task = place, task
        if self.since is not None:
            self.since = time.monotonic()
        try:
            self.pipe.send(task)
        except ConnectionError:  # _finished notices that it has ended
            self.reached = False

    def overdue(self, patience: float) -> bool:
        return self.since is not None and time.monotonic() - self.since > patience

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def survive(
    tasks: Iterable[Task], prepare: Prepare[Task, Result], processes: int, patience: float
) -> Generator[tuple[Task, Result | Died], None, None]:
    """Each task with its result, in order.

    patience: seconds after which the process of a task is killed
    """
    again: list[tuple[int, Task]] = []
    coming = enumerate(tasks)
    busy: list[_Worker[Task]] = []
    idle: list[_Worker[Task]] = []
    done: dict[int, tuple[Task, Result | Died]] = {}
    place = 0
    try:
        while True:
            while len(busy) < processes:
                following = again.pop() if again else next(coming, None)
                if following is None:
                    break
                worker = idle.pop() if idle else _Worker[Task](prepare)
                busy.append(worker)
                worker.give(*following)
            if not busy:
                return
            for worker, result in _finished(busy, patience):
                busy.remove(worker)
                assert worker.task is not None
                if isinstance(result, _Unread):
                    worker.stop()
                    again.append((worker.place, worker.task))
                    continue
                if isinstance(result, Died):
                    worker.stop()
                else:
                    worker.proven = True
                    idle.append(worker)
                done[worker.place] = worker.task, result
            while place in done:
                yield done.pop(place)
                place += 1
    finally:
        for worker in busy + idle:
            worker.stop()


def _finished(busy: list[_Worker[Task]], patience: float) -> Iterator[tuple[_Worker[Task], Any]]:
    """The workers that have a result, or never will."""
    wait([worker.pipe for worker in busy], timeout=0.2)
    for worker in list(busy):
        if worker.pipe.poll():
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError) as error:
                # Linux reports a reset connection if the process ended with data unread.
                unread = not worker.reached or isinstance(error, ConnectionResetError)
                # A new process is not excused: if every one ended so, this would never stop.
                yield worker, _Unread() if worker.proven and unread else Died(_ended(worker))
                continue
            if worker.since is None:  # the first message: the process has started
                worker.since = time.monotonic()
            else:
                yield worker, result
        elif worker.overdue(patience):
            yield worker, Died(f"takes more than {patience:g} s")


def _ended(worker: _Worker[Any]) -> str:
    worker.process.join()
    status = worker.process.exitcode or 0
    if worker.since is None:
        raise RuntimeError(f"a process that decodes could not start, and ended with {status}.")
    if status < 0:
        return f"ends the process that decodes it with {signal.Signals(-status).name}"
    return f"ends the process that decodes it with status {status}"


def _serve(pipe: Connection, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    work = prepare()
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(work(task))

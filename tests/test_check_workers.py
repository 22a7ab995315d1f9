"""Processes of `dali-mix check`: each may die, hang or ask for too much, and the work goes on."""

import os
import signal
import time

import numpy as np
import pytest

from dali_mix._check_workers import Died, limit_memory, survive


def prepare():
    limit_memory(1 << 28)
    return work


def work(task):
    if task == "abort":
        os.abort()
    if task == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "leave":
        os._exit(3)
    if task == "hang":
        time.sleep(600)
    if task == "fill":
        try:
            return int(np.ones(1 << 29, np.uint8).sum())
        except MemoryError:
            return "too much"
    return task * 2


def broken():
    os._exit(7)


@pytest.mark.parametrize("processes", [1, 3])
def test_every_task_has_a_result_in_order_whatever_others_do(processes):
    tasks = [1, "abort", 3, "kill", "leave", 6, "fill", 8]
    results = list(survive(tasks, prepare, processes, patience=60))
    assert [task for task, _ in results] == tasks
    ends = "ends the process that decodes it with "
    assert [result for _, result in results] == [
        2,
        Died(ends + "SIGABRT"),
        6,
        Died(ends + "SIGKILL"),
        Died(ends + "status 3"),
        12,
        "too much",
        16,
    ]


def test_patience_ends():
    start = time.monotonic()
    assert list(survive(["hang", 2], prepare, 2, patience=0.5)) == [
        ("hang", Died("takes more than 0.5 s")),
        (2, 4),
    ]
    assert time.monotonic() - start < 300  # not the 600 s of the task


def test_a_process_that_cannot_start_is_an_error_of_its_own():
    with pytest.raises(RuntimeError, match="a process that decodes could not start, and ended wit"):
        list(survive([1, 2], broken, 2, patience=60))


def test_whoever_stops_asking_leaves_no_process(tmp_path):
    results = survive(range(99), prepare_noting(tmp_path), 2, patience=60)
    assert next(results) == (0, 0)
    results.close()
    for pid in (int(file.name) for file in tmp_path.iterdir()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class prepare_noting:  # noqa: N801 - a function that remembers
    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        (self.folder / str(os.getpid())).touch()
        return work

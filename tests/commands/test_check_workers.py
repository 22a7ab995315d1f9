"""Processes of `dali-mix check`: each may die, hang or ask for too much, and the work goes on."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dali_mix.commands.check.workers import Died, limit_memory, survive


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
    if task == "die later":
        threading.Timer(0.2, os._exit, [5]).start()
    if task == "stop later":
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGSTOP]).start()
        return os.getpid()
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


def wait_until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_that_dies_between_two_tasks_costs_neither():
    results = survive(["die later", 2, 3], prepare, 1, patience=60)
    assert next(results) == ("die later", "die later" * 2)
    wait_until(lambda: not multiprocessing.active_children())
    assert list(results) == [(2, 4), (3, 6)]


def test_a_process_that_dies_with_a_task_unread_does_not_cost_that_task():
    results = survive(["stop later", 2, 3], prepare, 1, patience=60)
    _, pid = next(results)
    state = Path(f"/proc/{pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
    threading.Timer(0.5, os.kill, [pid, signal.SIGKILL]).start()
    assert list(results) == [(2, 4), (3, 6)]


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

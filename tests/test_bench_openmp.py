"""For how long OpenMP's threads spin: alike in all benchmarks, and set before torch is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
WATCHED = """
import multiprocessing, os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print("torch is imported", os.environ.get("GOMP_SPINCOUNT"))
def told():
    print("in a worker", os.environ.get("GOMP_SPINCOUNT"), flush=True)
if __name__ == "__main__":
    sys.meta_path.insert(0, Watch())
    import importlib
    importlib.import_module("bench." + sys.argv[1])
    sys.stdout.flush()
    for kind in ("fork", "spawn"):
        worker = multiprocessing.get_context(kind).Process(target=told)
        worker.start()
        worker.join()
"""


@pytest.mark.parametrize("set_before", [None, "77"])
@pytest.mark.parametrize("program", ["pipeline", "train_step", "loss"])
def test_it_is_set_before_torch_is_imported_and_in_workers(program, set_before, tmp_path):
    (tmp_path / "watched.py").write_text(WATCHED)
    environment = {name: v for name, v in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment["PYTHONPATH"] = str(ROOT)
    if set_before:
        environment["GOMP_SPINCOUNT"] = set_before
    ran = subprocess.run(
        [sys.executable, tmp_path / "watched.py", program],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    value = set_before or "1000"
    assert ran.stdout.splitlines() == [f"torch is imported {value}", *[f"in a worker {value}"] * 2]

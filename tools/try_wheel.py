"""Installs a wheel into fresh environments without a compiler, and does what users do first.

    make try-wheel                                         # that of `make wheel`, each DALI release
    .venv/bin/python tools/try_wheel.py dist/dali_mix-….whl 2.3.0          # in one

Each release gets an environment of its own, as for `make test-matrix`, and the wheel in it; nothing
else is on PATH, g++ least of all. There `dali-mix doctor` must be green, and the main steps of
pipelines/demo.py run: a contact sheet for each method, batches through MixLoader, training.

The exit status is 1 if something fails in any of them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout
import matrix

import setup

# Constants of the demo: all of its steps, and few images.
SHORT = {"SEEDS": 1, "EPOCHS": 1, "TRAIN": 256}


def first_steps(python: Path, folder: Path) -> str:
    """What went wrong in an environment with the wheel; empty if nothing did."""
    program = (checkout.ROOT / "pipelines/demo.py").read_text()
    for name, value in SHORT.items():
        program, count = re.subn(rf"^{name} = \d+", f"{name} = {value}", program, flags=re.M)
        assert count == 1, name
    (folder / "demo.py").write_text(program)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = str(python.parent)
    assert not shutil.which("g++", path=variables["PATH"])
    where = "import dali_mix; print(dali_mix.__file__)"
    for command in (["-c", where], ["-m", "dali_mix", "doctor"], ["demo.py"]):
        done = subprocess.run(
            [python, *command],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"{command[-1]} ended with status {done.returncode}: {done.stdout}{done.stderr}"
        if command[-1] == where and not Path(done.stdout).is_relative_to(python.parents[1]):
            return f"another dali_mix is imported, {done.stdout.strip()}"
        if command[-1] == "doctor":
            print(done.stdout, end="", flush=True)
    return "" if (folder / "demo/results.json").is_file() else "demo.py wrote no results"


def try_release(folder: Path, release: str | None, wheel: Path) -> str:
    """What went wrong; empty if nothing did. `release`: as for matrix.environment."""
    python, error = matrix.environment(folder / "environment", release)
    (folder / "work").mkdir()
    error = error or matrix.install(python, "--no-deps", str(wheel))
    return error or first_steps(python, folder / "work")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("releases", nargs="*", default=setup.DALI_RELEASES, metavar="release")
    options = parser.parse_args()
    failed = False
    for release in options.releases:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="dali_mix-wheel-") as folder:
            error = try_release(Path(folder).resolve(), release, options.wheel.resolve())
        seconds = time.monotonic() - begin
        print(f"DALI {release}: {error or f'works, in {seconds:.0f} s'}", flush=True)
        failed = failed or bool(error)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

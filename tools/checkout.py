"""Copies the checkout, and builds a plugin of another kind there, without touching this one's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # so that importers of this module can `import setup`


def copy_to(folder: Path) -> None:
    """Copies the files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(command, cwd=ROOT, text=True).split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def build(folder: Path, python: Path, **environment: str) -> str:
    """Builds the plugin in a copy, without CUDA code unless `environment` sets DALI_MIX_CUDA.
    Returns the error, empty if there is none."""
    command = [python, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment_in(folder, **{"DALI_MIX_CUDA": "cpu", **environment}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""


def environment_in(folder: Path, **more: str) -> dict[str, str]:
    """Environment variables for a process that imports the copy."""
    return {**os.environ, "PYTHONPATH": str(folder), **more}

"""The programs in pipelines/ with other constants, run in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import sys
from pathlib import Path
from unittest import mock

from PIL import Image

FOLDER = Path(__file__).parent.parent / "pipelines"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def changed(place: Path, name: str, **constants: object) -> Path:
    """A copy of the program in `place` whose constants at the top have these values."""
    text = (FOLDER / f"{name}.py").read_text()
    for constant, value in constants.items():
        literal = f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)
        line = re.compile(rf"^{constant} = .*$", re.MULTILINE)
        text, count = line.subn(lambda _, text=f"{constant} = {literal}": text, text)
        assert count == 1, f"{name}.py sets {constant} in {count} lines"
    copy = place / f"{name}.py"
    copy.write_text(text)
    return copy


def namespace(place: Path, name: str, **constants: object) -> dict:
    """What such a copy defines, without running it."""
    return runpy.run_path(str(changed(place, name, **constants)))


def run_here(place: Path, name: str, **constants: object) -> tuple[str, str]:
    """Run such a copy; what it wrote to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    path = changed(place, name, **constants)
    with (
        mock.patch.object(sys, "argv", [str(path)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        runpy.run_path(str(path), run_name="__main__")
    return out.getvalue(), err.getvalue()


def command(path: Path) -> list[str]:
    """For a process of its own."""
    return [sys.executable, "-W", "error", str(path)]


def jpeg(colour: tuple[int, int, int] = (200, 30, 90), size: tuple[int, int] = (24, 20)) -> bytes:
    """The file of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()

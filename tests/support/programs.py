"""Runs the programs in pipelines/ with other constants, in this process or in a new one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parents[2] / "pipelines"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def with_constants(text: str, constants: dict[str, object]) -> str:
    """The program with other values of the constants at its top."""
    for name, value in constants.items():
        literal = f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)
        line = re.compile(rf"^{name} = .*$", re.MULTILINE)
        text, count = line.subn(lambda _, text=f"{name} = {literal}": text, text)
        assert count == 1, f"{name} is set in {count} lines"
    return text


def changed(place: Path, name: str, **constants: object) -> Path:
    """A copy of the program in `place`, with these constants."""
    copy = place / f"{name}.py"
    copy.write_text(with_constants((FOLDER / f"{name}.py").read_text(), constants))
    return copy


def namespace(place: Path, name: str, **constants: object) -> dict:
    """The names that such a copy defines. Its main part does not run."""
    return runpy.run_path(str(changed(place, name, **constants)))


def run_here(place: Path, name: str, **constants: object) -> tuple[str, str]:
    """Run such a copy in this process; returns what it wrote to stdout and stderr."""
    return run_file(changed(place, name, **constants))


def run_file(path: Path) -> tuple[str, str]:
    """Run a program in this process; returns what it wrote to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        runpy.run_path(str(path), run_name="__main__")
    return out.getvalue(), err.getvalue()


def command(path: Path) -> list[str]:
    """The command that runs a program in a new process."""
    return [sys.executable, "-W", "error", str(path)]


def jpeg(colour: tuple[int, int, int] = (200, 30, 90), size: tuple[int, int] = (24, 20)) -> bytes:
    """The bytes of a JPEG file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def photos_in(root: Path) -> Path:
    """Training and validation folders of two classes, 6 and 5 images each: dark and light."""
    for part, count in (("train", 6), ("val", 5)):
        for name, level in (("dark", 20), ("light", 220)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f"{index}.jpg").write_bytes(jpeg((level, level, level + index)))
    return root

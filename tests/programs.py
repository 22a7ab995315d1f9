"""Runs the programs in pipelines/ in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

from PIL import Image

FOLDER = Path(__file__).parent.parent / "pipelines"
SMALL = ["--size", "16", "--threads", "1", "--device", "cpu"]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(name: str, *arguments: object) -> list[str]:
    """For a process of its own."""
    return [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *map(str, arguments)]


def run_here(name: str, *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", [f"{name}.py", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
    return status, out.getvalue(), err.getvalue()


def jpeg(colour: tuple[int, int, int] = (200, 30, 90), size: tuple[int, int] = (24, 20)) -> bytes:
    """The file of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()

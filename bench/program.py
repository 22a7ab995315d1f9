"""Shared by the commands of bench/: arguments, errors in one sentence, the file of a run, and the
libraries to compare with."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dali_mix.measure import record, timing


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and exit with status 2. --out must be a new file."""

    def __init__(self, module: str, description: str | None) -> None:
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(f"python -m {module}", description=description, formatter_class=form)
        self.add_argument("--seed", type=int, default=0, help="seed of everything (default 0)")
        self.add_argument("--out", type=json_file, help="new JSON file for the raw run")

    def count(self, name: str, default: int | None, what: str) -> None:
        """Add an argument that is an integer of at least 1."""
        told = what if default is None else f"{what} (default {default})"
        self.add_argument(name, type=positive, default=default, help=told)

    def device(self) -> None:
        self.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="default cpu")

    def checked(self, arguments: list[str] | None = None, *, goes_on: bool = False) -> Any:
        """The options. --device gpu is refused if there is no GPU, and, unless a run may go on in
        its file, a file that is there."""
        options = self.parse_args(arguments)
        if options.out and options.out.exists() and not goes_on:
            self.error(f"argument --out: {options.out} exists; name a new file, old runs are kept")
        if getattr(options, "device", "cpu") == "gpu" and gpu("gpu") is None:
            self.error("--device gpu needs a GPU that torch can use, and there is none")
        return options

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try --help.\n")


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text}")
    return int(text)


def json_file(text: str) -> Path:
    """An argparse type: a path that ends in .json."""
    if not text.endswith(".json"):
        raise argparse.ArgumentTypeError(f"must end in .json, got {text}")
    return Path(text)


def peer(module: str) -> tuple[Any, str]:
    """The module and "", or None and the reason why it cannot be imported."""
    try:
        return importlib.import_module(module), ""
    except (ImportError, RuntimeError, OSError) as error:  # broken libraries raise any of these
        return None, f"cannot be imported ({str(error).splitlines()[0]})"


def gpu(device: str) -> str | None:
    """Name of the GPU; None if `device` is "cpu" or torch sees no GPU."""
    if device == "cpu":
        return None
    torch, _ = peer("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None


def synchronize_of(device: str) -> Callable[[], object]:
    """A function that waits for the device."""
    if device == "cpu":
        return timing.nothing
    import torch

    return torch.cuda.synchronize


def run_of(
    benchmark: str, options: Any, *packages: str, threads: int, **parts: Any
) -> dict[str, Any]:
    """The record of a run, with where it comes from. `parts`: settings and results."""
    device = getattr(options, "device", "cpu")
    where = record.provenance(*packages, threads=threads, device=device, gpu=gpu(device))
    return {"benchmark": benchmark, "provenance": where, **parts}


def add(run: dict[str, Any], part: str, result: Any, wanted: int | None, out: Path | None) -> None:
    """Add a result to the run, and write it, so that a stopped run keeps what it has."""
    run[part].append(result)
    run["complete"] = len(run[part]) == wanted
    if out:
        record.write(out, run, again=len(run[part]) > 1)

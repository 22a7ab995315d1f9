"""The `dali-mix` command: arguments, errors, exit status. Subcommands are modules of their own.

A subcommand module has a one-line docstring, which is its help, `add_arguments(parser)` and
`run(args)`, which returns the exit status. It imports DALI, torch and the like only in `run`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

import dali_mix
from dali_mix import bench, check, doctor, preview

COMMANDS: dict[str, ModuleType] = {
    "bench": bench,
    "check": check,
    "doctor": doctor,
    "preview": preview,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence in place of argparse's usage and message."""
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` lists the arguments.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Exit status: its own, 2 after an error, 130 after Ctrl-C, 141 after a
    closed pipe."""
    args = _parser().parse_args(argv)
    try:
        status: int = COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python must not flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        # One line, whatever came: DALI puts a traceback of the graph around what operators say.
        said = str(error).split("encountered:")[-1].split("Current pipeline object")[0]
        print(f"dali-mix {args.command}: {' '.join(said.split())}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dali-mix", description="Mixup and cutmix inside NVIDIA DALI.")
    parser.add_argument("--version", action="version", version=dali_mix.__version__)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return parser

"""The `dali-mix` command: arguments, errors, exit status. Subcommands are modules of their own.

A subcommand module has a one-line docstring, which is its help, `add_arguments(parser)` and
`run(args)`, which returns the exit status. It imports DALI, torch and the like only in `run`.
"""

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from dali_mix.commands import bench, build, doctor
from dali_mix.commands.check import command as check
from dali_mix.commands.preview import command as preview
from dali_mix.plugin.version import __version__

COMMANDS: dict[str, ModuleType] = {
    "bench": bench,
    "build": build,
    "check": check,
    "doctor": doctor,
    "preview": preview,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one sentence instead of argparse's usage and message."""
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` lists the arguments.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Exit status: its own, 2 after an error, 130 after Ctrl-C, 141 after a
    closed pipe."""
    args, unknown = _parser().parse_known_args(argv)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        status: int = COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BrokenPipeError) and _has_lost_its_reader():
            # The reader of our output has closed it, so Python must not flush the rest at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        # Print one line. DALI puts a traceback of the graph around the message of an operator.
        said = str(error).split("encountered:")[-1].split("Current pipeline object")[0]
        print(f"dali-mix {args.command}: {' '.join(said.split())}", file=sys.stderr)
        return 2
    return status


def _has_lost_its_reader() -> bool:
    """Whether the pipe of our output is broken, rather than one between our processes."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a stream without a file descriptor
            poll.register(stream.fileno(), 0)  # poll always reports broken pipes
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="dali-mix", description="Mixup and cutmix inside NVIDIA DALI.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(parser=command)  # whose help is the one to point to
        module.add_arguments(command)
    return parser

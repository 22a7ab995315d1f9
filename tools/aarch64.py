"""The core's sources compiled for 64-bit Arm on any machine, and the CPU loops run in qemu.

    make test-aarch64    # in ten minutes

It needs `apt install g++-aarch64-linux-gnu qemu-user-static`, or a 64-bit Arm machine. All sources
of the core are compiled as setup.py would there. Then the NEON loops and the portable ones run
(tests/native/check_loops.cc): batches of each width for each key, and random ones, where every
value must have the bits of the definition, and no page beside an image may be touched; and the
conversions to and from half precision. An emulator says nothing of speed.

The exit status is 1 at the first finding, which is printed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checkout

import setup

DRIVER = checkout.ROOT / "tests/native"
PACKAGES = "g++-aarch64-linux-gnu qemu-user-static"  # of Debian and Ubuntu
LIBRARIES = "/usr/aarch64-linux-gnu"


def programs() -> tuple[str, list[str]]:
    """The compiler, and what its programs are run with; SystemExit where one is missing."""
    if setup.MACHINE == "aarch64":
        return "g++", []
    for name in ("aarch64-linux-gnu-g++", "qemu-aarch64-static"):
        if not shutil.which(name):
            raise SystemExit(f"aarch64: {name} was not found; run `apt install {PACKAGES}`.")
    return "aarch64-linux-gnu-g++", ["qemu-aarch64-static", "-L", LIBRARIES]


def compile_all(commands: list[list[str]]) -> list[str]:
    """Runs them, as many at a time as there are cores; the object files."""

    def one(command: list[str]) -> str:
        if subprocess.run(command, cwd=checkout.ROOT, check=False).returncode:
            raise SystemExit("aarch64: the compiler failed, see above.")
        return command[-1]

    with ThreadPoolExecutor(len(setup.os.sched_getaffinity(0))) as pool:
        return list(pool.map(one, commands))


def build_driver(
    compiler: str, folder: Path, loops: list[str], flags: list[str] = setup.CXX_FLAGS
) -> Path:
    """The driver with these loops, as sources or object files."""
    sources = [str(DRIVER / name) for name in ("random_batch.cc", "check_loops.cc")]
    driver = folder / "check_loops"
    command = [compiler, *flags, f"-I{setup.NATIVE}", "-pthread", *sources, *loops]
    compile_all([[*command, "-o", str(driver)]])
    return driver


def run(emulator: list[str], driver: Path, *arguments: object) -> bool:
    """Whether all is as it should be. If not, it is printed what ended how."""
    words = [str(argument) for argument in arguments]
    status = subprocess.run([*emulator, str(driver), *words], check=False).returncode
    if status:
        print(f"aarch64: check_loops {' '.join(words)} ended with status {status}", flush=True)
    return status == 0


def notices(emulator: list[str], driver: Path) -> bool:
    """Whether a read behind the last value of an image ends the driver."""
    command = [*emulator, str(driver), "guarded", "100", "1", "read"]
    done = subprocess.run(command, check=False, capture_output=True)
    return done.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widest", type=int, default=512, help="widths from 1 on (%(default)s)")
    parser.add_argument("--batches", type=int, default=2000, help="random ones (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first of these (%(default)s)")
    options = parser.parse_args()
    compiler, emulator = programs()
    with tempfile.TemporaryDirectory(prefix="dali_mix-aarch64-") as name:
        folder = Path(name)
        objects = compile_all(setup.core_commands(compiler, folder, "aarch64"))
        print(f"core: {len(objects)} sources compiled", flush=True)
        loops = [name for name in objects if Path(name).name.startswith("loops_")]
        driver = build_driver(compiler, folder, loops)
        if not notices(emulator, driver):
            raise SystemExit("aarch64: a read beyond an image was planted, and nothing noticed it.")
        # Some widths at a time, because the emulator keeps memory that the driver gives back.
        parts = [("halves",), ("guarded", options.batches, options.seed)]
        for first in range(1, options.widest + 1, 32):
            parts.append(("guarded", "widths", first, min(first + 31, options.widest)))
        with ThreadPoolExecutor(len(setup.os.sched_getaffinity(0))) as pool:
            clean = all(pool.map(lambda part: run(emulator, driver, *part), parts))
    print("clean" if clean else "aarch64: there is a finding, see above", flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

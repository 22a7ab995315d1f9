"""Runs our native code under the sanitizers of g++: races, bad accesses, undefined behaviour.

    make sanitize    # in some minutes

First the CPU loops run over random batches (tests/native/check_loops.cc), with several threads
that write strips of the same samples: under ThreadSanitizer, then under Address- and
UndefinedBehaviorSanitizer. The loops for AVX-512 run on emulated instructions. Then the operator
tests run with a plugin under AddressSanitizer, built in a copy of the checkout. DALI itself is not
instrumented, so only the first part checks threads, and only `make soak` checks leaks.

The exit status is 1 at the first finding. The report of the sanitizer is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checkout

import setup

SANITIZERS = {"thread": "libtsan.so", "address,undefined": "libasan.so"}
# These check each memory access. Vector code with them takes minutes to compile.
TOO_SLOW = "null,object-size,pointer-overflow"
NATIVE = checkout.ROOT / "dali_mix/native"
DRIVER = checkout.ROOT / "tests/native"
TESTS = ("apply", "plan", "box", "order", "errors", "pixels", "executors")  # test_NAME*.py


def runtime(library: str) -> str | None:
    """Path of a library of g++; None if it is not installed."""
    if not shutil.which("g++"):
        return None
    path = setup.cuda.run("g++", f"-print-file-name={library}").stdout.strip()
    return path if os.path.isabs(path) else None


def command_for(source: Path, sanitizers: str) -> list[str]:
    """The command that compiles one source, without optimisation, which would take minutes."""
    vector = setup.vector_flags(source, setup.MACHINE)
    if source.name == "isa_avx512.cc":
        # Emulated on any processor, so that the sanitizers see each load and store.
        vector = [f"-I{DRIVER / 'emulated'}", "-Wno-psabi", f"-fno-sanitize={TOO_SLOW}"]
    elif vector:
        sanitizers = sanitizers.removesuffix(",undefined")  # the emulated loops are checked for it
    common = ["g++", "-std=c++20", "-O0", "-g1", *setup.HOST_FLAGS, f"-I{NATIVE}"]
    if not vector:
        common += ["-DMIX_HD=inline"]  # nothing inlined: much less to compile
    return [*common, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", *vector]


def build_driver(folder: Path, sanitizers: str, portable: bool = False) -> Path:
    """Compiles the CPU loops and their driver. `portable`: only the loops for any processor."""
    sources = [DRIVER / "random_batch.cc", DRIVER / "check_loops.cc", *NATIVE.glob("loops/*.cc")]
    if portable:
        sources = [*sources[:2], NATIVE / "loops/isa_baseline.cc"]
    sources = [s for s in sources if setup.vector_flags(s, setup.MACHINE) is not None]
    chosen = ["-DDALI_MIX_PORTABLE"] if portable else []

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.name}.o"
        command = [*command_for(source, sanitizers), *chosen, "-c", source, "-o", target]
        subprocess.run(command, check=True)
        return target

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(compile_one, sources))
    driver = folder / "check_loops"
    link = ["g++", f"-fsanitize={sanitizers}", *objects, "-pthread", "-o", driver]
    subprocess.run(link, check=True)
    return driver


def run_driver(driver: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return setup.cuda.run(str(driver), *map(str, arguments))


def check_loops(folder: Path, batches: int, seed: int) -> bool:
    for sanitizers, library in SANITIZERS.items():
        if runtime(library) is None:
            raise SystemExit(f"sanitize: g++ lacks {library}; install the sanitizers of your g++.")
        (folder / sanitizers).mkdir()
        done = run_driver(build_driver(folder / sanitizers, sanitizers), batches, seed)
        print(f"loops, {sanitizers}: {done.stdout}{done.stderr}", end="", flush=True)
        if done.returncode:
            return False
    return True


def build_plugin(folder: Path) -> None:
    checkout.copy_to(folder)
    compiler = folder / "compiler"
    compiler.write_text('#!/bin/sh\nexec g++ "$@" -O0 -g1 -fsanitize=address\n')
    compiler.chmod(0o755)
    if error := checkout.build(folder, Path(sys.executable), CXX=str(compiler)):
        raise SystemExit(f"{error}sanitize: the plugin could not be built, see above.")
    libraries = [*(folder / "dali_mix/lib").glob("*.so")]
    if not all(b"__asan_init" in library.read_bytes() for library in libraries):
        raise SystemExit("sanitize: the plugin was built without AddressSanitizer.")


def check_operators(folder: Path) -> bool:
    """The operator tests, in a copy of the checkout with a plugin of its own."""
    build_plugin(folder)
    # AddressSanitizer looks for libstdc++ at the start, when Python has not loaded it.
    libraries = " ".join(filter(None, map(runtime, ("libasan.so", "libstdc++.so"))))
    tests = sorted(path for name in TESTS for path in folder.glob(f"tests/*/test_{name}*.py"))
    environment = checkout.environment_in(
        folder,
        LD_PRELOAD=libraries,
        # The sanitizer's dlopen does not search beside DALI's libraries.
        LD_LIBRARY_PATH=sysconfig.get_path("purelib") + "/nvidia/nvimgcodec",
        # One of the tests expects a process to end by SIGSEGV.
        ASAN_OPTIONS="detect_leaks=0:exitcode=99:handle_segv=0",
    )
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests]
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "from dali_mix.plugin.loading import load_plugin; print(load_plugin())",
        ],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if Path(loaded.stdout.strip()).parent != folder / "dali_mix/lib":
        raise SystemExit(f"sanitize: the tests would use another plugin, {loaded.stdout.strip()}.")
    print("operators, address:", flush=True)
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--batches", type=int, default=2000, help="batches for each sanitizer (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the first batch (%(default)s)")
    parser.add_argument("--part", choices=("loops", "operators"), help="one part alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dali_mix-sanitize-") as name:
        folder = Path(name).resolve()
        clean = True
        if options.part != "operators":
            clean = check_loops(folder, options.batches, options.seed)
        if options.part != "loops":
            (folder / "copy").mkdir()
            clean = check_operators(folder / "copy") and clean
    print("clean" if clean else "sanitize: there are findings, see above", flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

"""Runs the tests for a GPU without one: a fake replaces the CUDA driver.

    make fake-gpu                                                      # in some minutes
    .venv/bin/python tools/fake_gpu.py tests/graph/test_apply.py -k crop     # for pytest

The plugin is built with nvcc in a copy of the checkout. DALI and its operators run as on a GPU; the
fake, tools/fake_gpu/, runs the plugin's kernels on the CPU. It has two devices. Host code that
touches device memory crashes. The fake records these faults: a copy outside of an allocation, host
memory in a kernel, and use of freed memory.

The fake does its work late, as a GPU may: a stream begins when the host waits for it, or when
another stream waits for it, and by chance it gets ahead of the others. So a missing wait gives
wrong results. FAKE_GPU_SEED is a number, by default 0; each number gives another order.

Then tests of dynamic mode run on the CPU, because with a GPU, DALI gives streams to operators on
the CPU too.

The exit status is 1 if a test fails or there is a fault, 2 if there is no nvcc to build with.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checkout
from matrix import read_report

import setup

FAKE = checkout.ROOT / "tools/fake_gpu"
CUDA = 13  # the fake has the functions of this CUDA runtime
ARCHITECTURE = "90"  # device code is compiled for it, and never runs
DYNAMIC = (  # test_NAME.py, with tests of dynamic mode on the CPU
    *("errors", "errors_apply", "executors", "given_masks", "labels", "methods_everywhere"),
    *("order", "previous", "resized", "state"),
)
# What the fake cannot do, and the tests that need it, as pytest's --deselect takes them.
LEFT_OUT = {
    "they compare with kernels of DALI": (
        "tests/graph/test_like_cmn.py",
        "tests/graph/test_partners.py::test_the_second_stream_gives_pixels_and_labels[resizemix-gpu]",
    ),
    "they need a PyTorch with CUDA": (
        "tests/bench/test_contestants.py::test_every_contestant_mixes_as_it_says_on_a_gpu",
        "tests/bench/test_contestants.py::test_kernels_and_copies_of_a_gpu_are_seen",
        "tests/bench/test_contestants.py::test_a_batch_is_mixed_without_waiting_for_the_gpu",
        "tests/loader/test_loader.py::test_batches_are_on_the_gpu_and_stay",
        "tests/loader/test_loader_state.py::test_on_the_gpu_the_same_batches_follow",
        "tests/training/test_multi_target.py::test_pin_memory_pins_every_part",
        "tests/programs/test_pipelines_loader.py::test_distributed_trains_on_a_gpu",
        "tests/loader/test_substitute.py::test_on_the_gpu",
        "tests/training/test_targets.py::test_pin_memory_pins_every_part",
    ),
}


def build_fake(folder: Path, toolkit: setup.cuda.Toolkit, optimization: str = "-O2") -> Path:
    """Compiles the library that is preloaded instead of the library of the driver."""
    flags = f"-std=c++20 {optimization} -fPIC -fvisibility=hidden -ffp-contract=off".split()
    flags += ["-Wall", "-Wextra", "-Werror", f"-I{checkout.ROOT / 'dali_mix/native'}"]
    flags += [flag for headers in toolkit.includes for flag in ("-isystem", str(headers))]

    # The slowest comes first.
    names = ("kernels", "runtime", "streams", "allocation", "patch", "memory", "driver")

    def compile_one(name: str) -> Path:
        target = folder / f"{name}.o"
        command = ["g++", *flags, "-c", FAKE / f"{name}.cc", "-o", target]
        subprocess.run(command, check=True)
        return target

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(compile_one, names))
    library = folder / "libcuda.so.1"
    link = ["g++", "-shared", f"-Wl,-soname,{library.name}", *objects, "-ldl", "-o", library]
    subprocess.run(link, check=True)
    return library


def environment(copy: Path, library: Path, log: Path) -> dict[str, str]:
    return checkout.environment_in(
        copy,
        LD_PRELOAD=str(library),
        # The fake's dlopen does not search beside DALI's libraries.
        LD_LIBRARY_PATH=sysconfig.get_path("purelib") + "/nvidia/nvimgcodec",
        FAKE_GPU_LOG=str(log),
        FAIL_WITHOUT_GPU="1",
        # Without pools, each allocation is one of the fake's, which knows where it ends and when it
        # is freed.
        DALI_USE_DEVICE_MEM_POOL="0",
        DALI_USE_PINNED_MEM_POOL="0",
        # The fake lacks these.
        DALI_USE_VMM="0",
        DALI_DISABLE_NVML="1",
    )


def run_tests(folder: Path, variables: dict[str, str], *chosen: str) -> bool:
    """Whether any tests passed and none failed."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    command += [f"--junit-xml={report}", *chosen]
    command += [f"--deselect={test}" for tests in LEFT_OUT.values() for test in tests]
    done = subprocess.run(command, cwd=folder / "copy", env=variables, check=False)
    if not report.is_file():
        print(f"fake_gpu: pytest ended with status {done.returncode}.", flush=True)
        return False
    return done.returncode == 0 and read_report(report)[0] > 0


def check(folder: Path, toolkit: setup.cuda.Toolkit, arguments: list[str]) -> bool:
    copy, log = folder / "copy", folder / "faults"
    checkout.copy_to(copy)
    settings = {"DALI_MIX_CUDA": str(CUDA), "DALI_MIX_CUDA_ARCHS": ARCHITECTURE}
    if error := checkout.build(copy, Path(sys.executable), **settings):
        raise SystemExit(f"{error}fake_gpu: the plugin could not be built, see above.")
    variables = environment(copy, build_fake(folder, toolkit), log)
    passed = run_tests(folder, variables, "-m", "gpu", *arguments)
    if not arguments:
        dynamic = [path for name in DYNAMIC for path in copy.glob(f"tests/*/test_{name}.py")]
        passed = run_tests(folder, variables, "-m", "not gpu", *dynamic) and passed
    if log.is_file():
        faults = re.sub("0x[0-9a-f]+", "0x...", log.read_text()).splitlines()
        print("faults:", *sorted(set(faults)), sep="\n    ")
        return False
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], usage="%(prog)s [for pytest ...]"
    )
    arguments = parser.parse_known_args()[1]
    toolkit = setup.cuda.find_toolkit(CUDA)
    if not toolkit or platform.machine() != "x86_64":
        parser.exit(
            2,
            f"fake_gpu: this needs x86-64 and an nvcc {CUDA} in CUDA_HOME, on PATH or from PyPI, "
            "and found none; install the CUDA toolkit, or set CUDA_HOME.\n",
        )
    with tempfile.TemporaryDirectory(prefix="dali_mix-fake-gpu-") as name:
        clean = check(Path(name).resolve(), toolkit, arguments)
    for reason, tests in LEFT_OUT.items():
        print(f"left out, as {reason}:", *tests, sep="\n    ")
    print("clean" if clean else "fake_gpu: there are findings, see above", flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

"""Say what is installed and whether it works together: one line each, `ok` or what to do."""

import argparse
import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dali_mix.plugin import loading, shim
from dali_mix.plugin.version import __version__

# The instruction sets that native/loops/dispatch.cc asks for, best first.
_VECTOR_PATHS = {
    "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"},
    "avx2": {"avx2", "fma", "f16c"},
    "neon": {"asimd"},
    "baseline": set[str](),
}
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76  # from cuda.h


@dataclass(frozen=True)
class Line:
    """One finding. If an `essential` one is not ok, dali_mix cannot be used."""

    ok: bool
    text: str
    essential: bool = False


@dataclass(frozen=True)
class Gpu:
    name: str
    capability: int
    """Compute capability without the dot: 90 for 9.0."""


@dataclass(frozen=True)
class Driver:
    """The CUDA driver and its GPUs."""

    cuda: int
    """Highest CUDA version that it runs: 13000 for 13.0."""
    gpus: list[Gpu]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`doctor` has no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 if dali_mix is usable, else 1."""
    usable = True
    for line in findings():
        print("ok " if line.ok else "-- ", line.text, flush=True)
        usable = usable and (line.ok or not line.essential)
    return 0 if usable else 1


def findings() -> Iterator[Line]:
    yield Line(True, f"Python {platform.python_version()}, dali_mix {__version__}")
    yield from _dali_lines()
    yield _torch_line()
    try:
        built = loading.built()
    except ImportError as error:
        yield Line(False, f"plugin: {error}", essential=True)
    else:
        yield Line(True, f"plugin {loading.plugin_path()}, for {built.dali_requirement}")
        yield _load_line()
        yield from _gpu_lines(built, driver())
    yield _cpu_line(cpu_flags(), os.environ.get("DALI_MIX_CPU", ""))


def _dali_lines() -> Iterator[Line]:
    """The installed DALI packages. If there is none, the plugin's line says so."""
    names = ("nvidia-dali-cuda130", "nvidia-dali-cuda120")
    found = {name: version for name in names if (version := _version(name))}
    for name, version in found.items():
        yield Line(True, f"{name} {version}")
    if len(found) > 1:
        remedy = f"`pip uninstall -y {' '.join(found)}`, then install one of them again"
        yield Line(False, f"two flavours of DALI overwrite each other's files; {remedy}", True)


def _torch_line() -> Line:
    version = _version("torch")
    if version:
        return Line(True, f"torch {version}")
    return Line(False, "torch is not installed; `pip install torch` to use the PyTorch side")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _load_line() -> Line:
    try:
        loading.load_plugin()
    except ImportError as error:
        return Line(False, f"plugin: {error}", essential=True)
    built = loading.built()
    return Line(True, f"plugin loads in DALI {built.dali}, CUDA {built.dali_cuda} flavour")


def _gpu_lines(built: shim.Built, found: Driver | None) -> Iterator[Line]:
    if built.cuda is None:
        code = "plugin has no GPU code (CPU-only build)"
    else:
        code = f"plugin has GPU code of CUDA {built.cuda}: {' '.join(built.architectures)}"
    if found is None or not found.gpus:
        yield Line(True, code)
        missing = "no CUDA driver (libcuda.so.1)" if found is None else "no GPU"
        yield Line(False, f"{missing} found; pipelines run on the CPU until there is one")
    elif built.cuda is None:
        rebuild = f"reinstall dali_mix with DALI_MIX_CUDA={built.dali_cuda} to use the GPU"
        yield Line(False, f"{code}; {rebuild}")
    else:
        yield Line(True, code)
        yield _driver_line(built.cuda, found.cuda)
        yield from (_coverage_line(gpu, built.architectures) for gpu in found.gpus)


def _driver_line(needed: int, offered: int) -> Line:
    text = f"driver runs CUDA up to {offered // 1000}.{offered % 1000 // 10}"
    if offered // 1000 >= needed:
        return Line(True, text)
    remedy = f"update it, or reinstall dali_mix with DALI_MIX_CUDA={offered // 1000}"
    return Line(False, f"{text}, the plugin needs {needed}; {remedy}")


def _coverage_line(gpu: Gpu, architectures: tuple[str, ...]) -> Line:
    text = f"GPU {gpu.name}, compute capability {gpu.capability // 10}.{gpu.capability % 10}"
    if any(covers(name, gpu.capability) for name in architectures):
        return Line(True, text)
    remedy = f'reinstall dali_mix with DALI_MIX_CUDA_ARCHS="{gpu.capability}"'
    return Line(False, f"{text}: the plugin has no code for it; {remedy}")


def covers(architecture: str, capability: int) -> bool:
    """Whether code for `architecture` runs on a GPU of this compute capability.

    Machine code (`sm_80`) runs in its own generation, on the same or a later minor number. PTX
    (`compute_80`) runs on the same and every later capability.
    """
    kind, _, digits = architecture.partition("_")
    same_generation = int(digits) // 10 == capability // 10
    return int(digits) <= capability and (kind == "compute" or same_generation)


def driver() -> Driver | None:
    """Ask the CUDA driver itself, without torch or a CUDA context; None if there is no driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    if cuda.cuInit(0) == 0:
        cuda.cuDeviceGetCount(ctypes.byref(count))
    return Driver(version.value, [_gpu(cuda, index) for index in range(count.value)])


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _COMPUTE_CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _COMPUTE_CAPABILITY_MINOR, device)
    return Gpu(name.value.decode(), 10 * major.value + minor.value)


def cpu_flags() -> set[str]:
    """Feature flags of the processor as Linux names them; empty if Linux does not list them."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, Arm
            return set(flags.split())
    return set()


def cpu_paths(flags: set[str]) -> list[str]:
    """The instruction sets with loops that a processor of these flags has, best first."""
    return [path for path, needed in _VECTOR_PATHS.items() if needed <= flags]


def _cpu_line(flags: set[str], limit: str) -> Line:
    paths = list(_VECTOR_PATHS)
    there = cpu_paths(flags)
    cores = len(os.sched_getaffinity(0))
    if limit not in ("", *paths):
        text = f"DALI_MIX_CPU is {limit!r}, which means nothing; use {', '.join(paths)} or unset it"
        return Line(False, text)
    allowed = paths[paths.index(limit) :] if limit else paths
    path = next(path for path in there if path in allowed)
    reason = f", held there by DALI_MIX_CPU={limit}" if path != there[0] else ""
    return Line(True, f"CPU path {path}{reason}, {cores} cores")

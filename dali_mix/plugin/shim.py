"""Compiles the shim: our operators for one release and flavour of DALI, on top of the core.

A library that uses DALI loads only in the release that it was linked with, so this part stands
apart, and is thin: the pixels, the draws and the kernels are in libraries that know no DALI.
setup.py builds by these rules, and `dali-mix build` does for a DALI that has no shim yet.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
NATIVE = PACKAGE / "native"
LIBRARIES = PACKAGE / "lib"

# No contraction: CPU and CUDA agree to the bit only if every fma is a written one.
# free-nonheap-object is a false alarm of g++ 12 about DALI's small_vector.h, inlined into our code.
HOST_FLAGS = (
    "-fPIC -fvisibility=hidden -ffp-contract=off -Wall -Wextra -Wno-free-nonheap-object"
).split()
# DALI is built with the newer strings of libstdc++, and what crosses between libraries must agree.
CXX_FLAGS = ["-std=c++20", "-DNDEBUG", "-D_GLIBCXX_USE_CXX11_ABI=1", *HOST_FLAGS]

CORE = "libdali_mix_core.so"


def kernel_library(cuda: int) -> str:
    return f"libdali_mix_kernel_cuda{cuda}.so"


@dataclass(frozen=True)
class Dali:
    """A DALI package, installed or unpacked."""

    release: str
    cuda: int
    """CUDA major of the package, 12 or 13."""
    folder: Path
    """nvidia/dali/, with headers and libraries."""

    @property
    def package(self) -> str:
        return f"nvidia-dali-cuda{self.cuda}0"

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.release}"

    @property
    def library(self) -> str:
        """Name of the shim for it."""
        return f"libdali_mix-dali-{self.release}-cuda{self.cuda}.so"


def dali_in(folder: Path) -> Dali | None:
    """The DALI whose package is this folder, nvidia/dali/, without importing it; None: none."""
    try:
        text = (folder / "__init__.py").read_text()
    except OSError:
        return None
    release = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    cuda = re.search(r"^__cuda_version__ = int\('(\d+)\.", text, re.MULTILINE)
    return Dali(release[1], int(cuda[1]), folder) if release and cuda else None


def installed_dali() -> Dali | None:
    try:
        spec = importlib.util.find_spec("nvidia")
    except ModuleNotFoundError:  # of a finder that hides it
        return None
    for root in (spec.submodule_search_locations or []) if spec else []:
        if dali := dali_in(Path(root) / "dali"):
            return dali
    return None


@dataclass(frozen=True)
class Built:
    """What a shim was built for, as recorded beside it."""

    version: str
    """Version of dali_mix."""
    dali: str
    """The DALI release it loads in."""
    dali_cuda: int
    """CUDA major of the DALI package it was built against."""
    cuda: int | None
    """CUDA major of its GPU code; None: CPU only."""
    architectures: tuple[str, ...]
    """GPU architectures, `sm_90` (machine code) or `compute_120` (PTX); empty: CPU only."""
    compiler: str

    @property
    def dali_requirement(self) -> str:
        return f"nvidia-dali-cuda{self.dali_cuda}0=={self.dali}"

    def write(self, library: Path) -> None:
        library.with_suffix(".json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def read(record: Path) -> Built:
    fields = json.loads(record.read_text())
    return Built(**{**fields, "architectures": tuple(fields["architectures"])})


def version_script(objects: Path) -> Path:
    """For the linker: what the core and the kernels offer bears a name made from their headers.

    A shim that was compiled with others is refused when it is loaded, and does not crash.
    """
    headers = (path for path in NATIVE.glob("*/*.h") if path.parent.name != "dali")
    name = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(headers))).hexdigest()[:12]
    script = objects / "versions"
    offered = 'extern "C++" { dali_mix::*; };'
    script.write_text(f"DALI_MIX_{name} {{ global: {offered} local: *; }};\n")
    return script


def compile_command(
    cxx: str, dali: Dali, headers: Iterable[Path], kernels: bool, objects: Path
) -> list[str]:
    """Ends in the object file. One source includes all of them: DALI's headers, which take most of
    the time, are then read once. `kernels`: whether there is GPU code for this flavour."""
    sources = sorted((NATIVE / "dali").glob("*.cc"))
    sources = [path for path in sources if kernels or path.name != "apply_gpu.cc"]
    source = objects / dali.library.replace(".so", ".cc")
    source.write_text("".join(f'#include "dali/{path.name}"\n' for path in sources))
    # As system headers, so that warnings count for our own sources alone.
    system = [f"-isystem{folder}" for folder in (dali.folder / "include", *headers)]
    chosen = [] if kernels else ["-DDALI_MIX_CPU_ONLY=1"]
    flags = ["-O2", *CXX_FLAGS, f"-I{NATIVE}", *system, *chosen]
    return [cxx, *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]


def link_command(cxx: str, dali: Dali, kernels: bool, objects: Path, folder: Path) -> list[str]:
    """Links it in the folder of the other libraries, beside which it looks for them."""
    ours = [CORE, kernel_library(dali.cuda)] if kernels else [CORE]
    return [
        *(cxx, "-shared", "-o", str(folder / dali.library)),
        str(objects / dali.library.replace(".so", ".o")),
        *("-Wl,--as-needed", "-Wl,-rpath,$ORIGIN", f"-L{folder}", *(f"-l:{name}" for name in ours)),
        # Nothing is said about where libdali.so is: at load time the running DALI has it already.
        *(f"-L{dali.folder}", "-ldali"),
    ]

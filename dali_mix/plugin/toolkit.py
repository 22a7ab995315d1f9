"""Finds the CUDA toolkit to build with: nvcc, headers, static runtime."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The packages of PyPI's nvcc require each other without versions. Other versions than these may not
# fit together. For CUDA 12 PyPI has headers but no nvcc.
HEADER_PACKAGES = {
    13: ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-crt==13.0.88", "nvidia-cuda-cccl==13.0.85"],
    12: [
        "nvidia-cuda-runtime-cu12==12.9.79",
        "nvidia-cuda-nvcc-cu12==12.9.86",
        "nvidia-cuda-cccl-cu12==12.9.27",
    ],
}
NVCC_PACKAGES = {13: ["nvidia-cuda-nvcc==13.0.88", "nvidia-nvvm==13.0.88"], 12: []}
PYPI_FOLDERS = {13: ["cu13"], 12: ["cuda_runtime", "cuda_nvcc", "cuda_cccl"]}


@dataclass(frozen=True)
class Toolkit:
    """CUDA headers, and the compiler if there is one."""

    nvcc: str | None
    version: str
    includes: list[Path]
    libraries: list[Path]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pypi_folders(major: int) -> list[Path]:
    """Folders of the installed PyPI packages for this CUDA major."""
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or []) if spec else []
    folders = [Path(root) / name for root in roots for name in PYPI_FOLDERS[major]]
    return [folder for folder in folders if folder.is_dir()]


def toolkit_of(nvcc: str, major: int) -> Toolkit | None:
    """The toolkit that this nvcc belongs to, or None if it is not one for this CUDA major."""
    release = re.search(r"release (\d+)\.(\d+)", run(nvcc, "--version").stdout)
    # nvcc may be a link or a wrapper script, so it is asked where its toolkit is.
    top = re.search(r"TOP=(.*)", run(nvcc, "--dryrun", "-c", "x.cu").stderr)
    if not release or int(release[1]) != major or not top:
        return None
    roots = [Path(top[1]), *Path(top[1]).glob("targets/*-linux")]
    includes = [r / "include" for r in roots if (r / "include/cuda_runtime.h").is_file()]
    # The profile of PyPI's nvcc points at lib64, but its files are in lib.
    libraries = [r / d for r in roots for d in ("lib64", "lib")]
    libraries = [folder for folder in libraries if (folder / "libcudart_static.a").is_file()]
    return Toolkit(nvcc, f"{release[1]}.{release[2]}", includes[:1], libraries[:1])


def find_toolkit(major: int) -> Toolkit | None:
    """nvcc from CUDA_HOME, PATH or PyPI packages, in this order; None if there is none."""
    candidates = [Path(home) / "bin/nvcc" for home in [os.environ.get("CUDA_HOME")] if home]
    candidates += [Path(nvcc) for nvcc in [shutil.which("nvcc")] if nvcc]
    candidates += [folder / "bin/nvcc" for folder in pypi_folders(major)]
    for nvcc in candidates:
        toolkit = toolkit_of(str(nvcc), major) if nvcc.is_file() else None
        if toolkit and toolkit.includes and toolkit.libraries:
            return toolkit
    return None


def find_headers(major: int, beside: Path | None = None) -> Toolkit | None:
    """CUDA headers without nvcc, from PyPI packages or `beside`; None if there are none."""
    folders = [beside / name for name in PYPI_FOLDERS[major]] if beside else []
    includes = [folder / "include" for folder in [*folders, *pypi_folders(major)]]
    includes = [folder for folder in includes if folder.is_dir()]
    if not any((folder / "cuda_runtime.h").is_file() for folder in includes):
        return None
    return Toolkit(None, "", includes, [])

"""Loads the native plugin into DALI, once per process, after checking that the two match.

A plugin loads only in the DALI release it was linked with, and loading the same operators from two
files aborts the process; so everything is checked before the library is opened. The operators
themselves and their Python wrappers live elsewhere.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dali_mix.plugin.dali_private import expose_in_dynamic_mode

_NAMES = ("Plan", "Apply", "Gather", "Resized", "Travel")
SCHEMAS = tuple(f"dali_mix__{name}" for name in _NAMES)

_LIBRARY = "libdali_mix.so"
_FOLDER = Path(__file__).resolve().parent.parent
_lock = threading.Lock()
_loaded = False


@dataclass(frozen=True)
class Built:
    """What the plugin was built for, as recorded by setup.py."""

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


def plugin_path() -> Path:
    """Path of the native library, whether or not it has been built."""
    return _FOLDER / _LIBRARY


def built() -> Built:
    """What the native library was built for; an ImportError if it has not been built."""
    record = _FOLDER / "_built.json"
    if not plugin_path().is_file() or not record.is_file():
        raise ImportError(
            f"the native part of dali_mix is not built (looked for {_LIBRARY} and {record.name} in "
            f"{_FOLDER}); run `pip install -e .` in the checkout, with a C++20 compiler at hand."
        )
    fields = json.loads(record.read_text())
    return Built(**{**fields, "architectures": tuple(fields["architectures"])})


def load_plugin() -> Path:
    """Load the native library into DALI, if that has not happened, and return its path.

    Safe to call again, from any thread, before or after DALI's dynamic mode is imported. An
    ImportError says what does not match and the command that mends it.
    """
    global _loaded
    with _lock:
        if not _loaded:
            wanted = built()
            backend = _matching_dali(wanted)
            if backend.TryGetSchema(SCHEMAS[0]) is None:
                _open(wanted)
            else:
                _check_same_file()
            expose_in_dynamic_mode(backend, SCHEMAS)
            _loaded = True
    return plugin_path()


def cuda_major(dali: ModuleType) -> int:
    """CUDA major of a DALI package, 12 or 13; needs neither GPU nor driver."""
    # DALI drops the dots: 13492 is 13.4.92, and 13.10.5 would be 13105. Two digits are certain.
    return int(str(dali.__cuda_version__)[:2])


def _matching_dali(wanted: Built) -> Any:
    """The backend module of the installed DALI, checked to be what the plugin was built for."""
    try:
        import nvidia.dali as dali
        from nvidia.dali import backend
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nvidia":
            raise
        raise ImportError(
            "dali_mix needs NVIDIA DALI, which is not installed; run "
            f"`pip install {wanted.dali_requirement}`."
        ) from error
    release, major = dali.__version__, cuda_major(dali)
    if release != wanted.dali:
        raise ImportError(
            f"dali_mix was built for DALI {wanted.dali}, but DALI {release} is installed, and a "
            "plugin loads only in the release it was built for; run "
            f"`pip install {wanted.dali_requirement}`."
        )
    if major != wanted.dali_cuda:
        raise ImportError(
            f"dali_mix was built for DALI's CUDA {wanted.dali_cuda} flavour, but the CUDA {major} "
            f"flavour is installed; run `pip uninstall -y nvidia-dali-cuda{major}0 && pip install "
            f"--force-reinstall {wanted.dali_requirement}`, or reinstall dali_mix with "
            f"DALI_MIX_CUDA={major}."
        )
    return backend


def _open(wanted: Built) -> None:
    from nvidia.dali import plugin_manager

    try:
        plugin_manager.load_library(str(plugin_path()))
    except RuntimeError as error:
        raise ImportError(
            f"the native part of dali_mix, built with {wanted.compiler}, cannot be loaded here "
            f"({error}); build it on this machine with `pip install -e .` in the checkout."
        ) from error


def _check_same_file() -> None:
    """Our operators are there already: fine if from this very file, such as by a DALI preload."""
    ours = str(plugin_path().resolve())
    maps = Path("/proc/self/maps").read_text()
    mapped = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.endswith(_LIBRARY)}
    if ours not in mapped:
        other = ", ".join(sorted(mapped)) or "a library of another name"
        raise ImportError(
            f"the operators of dali_mix were already loaded from {other}, not from {ours}, and one "
            "process can hold only one copy; uninstall one of them, or take it out of "
            "DALI_PRELOAD_PLUGINS."
        )

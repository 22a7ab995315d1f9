"""Loads the native plugin into DALI, once per process, after checking that the two match.

Each DALI release and flavour has a shim of its own (shim.py), and loading the same operators from
two files aborts the process; so everything is checked before a library is opened. The operators
themselves and their Python wrappers live elsewhere.
"""

from __future__ import annotations

import importlib
import threading
from pathlib import Path

from dali_mix.plugin import shim
from dali_mix.plugin.dali_private import expose_in_dynamic_mode
from dali_mix.plugin.shim import Built, Dali

_NAMES = ("Plan", "Apply", "Gather", "Resized", "Travel")
SCHEMAS = tuple(f"dali_mix__{name}" for name in _NAMES)

_lock = threading.Lock()
_loaded = False


def plugin_path() -> Path:
    """Path of the native library for the installed DALI, whether or not it has been built."""
    return shim.LIBRARIES / _dali().library


def shims() -> list[Built]:
    """What there are shims for, the newest release last."""
    if not (shim.LIBRARIES / shim.CORE).is_file():
        return []
    found = [shim.read(record) for record in shim.LIBRARIES.glob("libdali_mix-dali-*.json")]
    return sorted(found, key=lambda built: (_numbers(built.dali), built.dali_cuda))


def built() -> Built:
    """What the native library for the installed DALI was built for.

    An ImportError says that there is none, or no DALI, and the commands that mend it.
    """
    there = shims()
    if not there:
        raise ImportError(
            f"the native part of dali_mix is not built (looked in {shim.LIBRARIES}); run "
            "`pip install -e .` in the checkout, with a C++20 compiler at hand."
        )
    dali = _dali()
    record = (shim.LIBRARIES / dali.library).with_suffix(".json")
    if not record.is_file():
        raise ImportError(_no_shim(dali, there))
    return shim.read(record)


def load_plugin() -> Path:
    """Load the native library into DALI, if that has not happened, and return its path.

    Safe to call again, from any thread, before or after DALI's dynamic mode is imported. An
    ImportError says what does not match and the command that mends it.
    """
    global _loaded
    with _lock:
        if not _loaded:
            fitting = built()
            try:
                backend = importlib.import_module("nvidia.dali.backend")
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "nvidia":
                    raise
                raise ImportError(_no_dali()) from error
            if backend.TryGetSchema(SCHEMAS[0]) is None:
                _open(fitting)
            else:
                _check_same_file()
            expose_in_dynamic_mode(backend, SCHEMAS)
            _loaded = True
    return plugin_path()


def _dali() -> Dali:
    dali = shim.installed_dali()
    if dali is None:
        raise ImportError(_no_dali())
    return dali


def _numbers(release: str) -> list[int]:
    return [int(part) for part in release.split(".") if part.isdigit()]


def _no_dali() -> str:
    newest = {built.dali_cuda: built.dali_requirement for built in shims()}
    packages = " or ".join(f"`pip install {newest[cuda]}`" for cuda in sorted(newest, reverse=True))
    return f"dali_mix needs NVIDIA DALI, which is not installed; run {packages}."


def _no_shim(dali: Dali, there: list[Built]) -> str:
    newest = max(there, key=lambda built: (built.dali_cuda == dali.cuda, _numbers(built.dali)))
    install = f"pip install {newest.dali_requirement}"
    if newest.dali_cuda != dali.cuda:
        install = f"pip uninstall -y {dali.package} && pip install --force-reinstall "
        install += newest.dali_requirement
    ours = ", ".join(built.dali_requirement for built in there)
    return (
        f"dali_mix has no operators for {dali.requirement}, which is installed, only for {ours}; "
        f"run `dali-mix build`, which compiles them for it in half a minute, or `{install}`."
    )


def _open(fitting: Built) -> None:
    from nvidia.dali import plugin_manager

    try:
        plugin_manager.load_library(str(plugin_path()))
    except RuntimeError as error:
        raise ImportError(
            f"the native part of dali_mix, built with {fitting.compiler}, cannot be loaded here "
            f"({error}); build it on this machine with `pip install -e .` in the checkout."
        ) from error


def _check_same_file() -> None:
    """Our operators are there already: fine if from this very file, such as by a DALI preload."""
    ours = str(plugin_path().resolve())
    maps = Path("/proc/self/maps").read_text()
    name = Path(ours).name
    mapped = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.endswith(name)}
    if ours not in mapped:
        other = ", ".join(sorted(mapped)) or "a library of another name"
        raise ImportError(
            f"the operators of dali_mix were already loaded from {other}, not from {ours}, and one "
            "process can hold only one copy; uninstall one of them, or take it out of "
            "DALI_PRELOAD_PLUGINS."
        )

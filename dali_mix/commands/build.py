"""Compile the operators for the DALI that is installed, where dali_mix came without them."""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dali_mix.plugin import loading, shim, toolkit
from dali_mix.plugin.version import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cxx", default=os.environ.get("CXX", "g++"), help="C++20 compiler")


def run(args: argparse.Namespace) -> int:
    """Build one shim on top of the libraries that are there, and load it."""
    dali = shim.installed_dali()
    if dali is None:
        raise ImportError("there is no DALI to build for; install one, then run this again.")
    there = loading.shims()
    if not there:
        loading.built()  # which says how all of it is built
    if not shutil.which(args.cxx):
        raise ValueError(
            f"--cxx must be a C++20 compiler, {args.cxx} was not found; install g++ 11 or later."
        )
    headers = toolkit.find_toolkit(dali.cuda) or toolkit.find_headers(dali.cuda, dali.folder.parent)
    if not headers:
        packages = " ".join(toolkit.HEADER_PACKAGES[dali.cuda])
        raise ImportError(
            f"DALI's headers need cuda_runtime.h of CUDA {dali.cuda}, which was not found; run "
            f"`pip install {packages}`, or set CUDA_HOME."
        )
    kernels = [built.architectures for built in there if built.cuda == dali.cuda]
    with tempfile.TemporaryDirectory(prefix="dali_mix-build-") as name:
        objects = Path(name)
        has_kernels = bool(kernels)
        _call(shim.compile_command(args.cxx, dali, headers.includes, has_kernels, objects))
        _call(shim.link_command(args.cxx, dali, has_kernels, objects, shim.LIBRARIES))
    compiler = toolkit.run(args.cxx, "--version").stdout.partition("\n")[0]
    shim.Built(
        version=__version__,
        dali=dali.release,
        dali_cuda=dali.cuda,
        cuda=dali.cuda if kernels else None,
        architectures=kernels[0] if kernels else (),
        compiler=compiler,
    ).write(shim.LIBRARIES / dali.library)
    print(f"{loading.load_plugin()}: for {dali.requirement}")
    return 0


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the compiler failed: {done.stderr.strip() or done.stdout.strip()}")

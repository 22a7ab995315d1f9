"""What a release holds: the sdist and the wheel, made by the hooks that pip calls in a copy of the
checkout. Nothing is compiled: where the compiler is asked for stands a script."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import try_wheel

from dali_mix.plugin import shim

ROOT = Path(__file__).parents[2]
LIB = "dali_mix/lib"
SHIM = shim.installed_dali().library

# It answers who it is, leaves objects empty, and takes the libraries of the checkout.
COMPILER = f"""#!/bin/sh
[ "$1" = --version ] && echo stub 1.0 && exit
while [ "$1" != -o ]; do shift; done
case "$2" in
  *.so) cp '{ROOT / LIB}'/"$(basename "$2")" "$2" ;;
  *) : > "$2" ;;
esac
"""


def call(folder, hook):
    """Runs one of pip's hooks there; the file that it made."""
    compiler = folder.parent / "c++"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    chosen = {"CXX": str(compiler), "DALI_MIX_CUDA": "cpu"}
    code = f"import setuptools.build_meta as hooks; hooks.{hook}('made')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | chosen,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [made] = (folder / "made").iterdir()
    return made


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy as git would clone it."""
    folder = tmp_path_factory.mktemp("wheel") / "checkout"
    names = (".*", "build", "dist", "demo", "*.egg-info", "__pycache__", "lib")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*names))
    return folder


@pytest.fixture(scope="module")
def sdist(checkout):
    return call(checkout, "build_sdist")


@pytest.fixture(scope="module", params=["checkout", "sdist"])
def wheel(request, checkout, sdist, tmp_path_factory):
    """Made in the checkout, as `pip install .` does, and from the sdist, as for PyPI."""
    folder = tmp_path_factory.mktemp(request.param) / "sources"
    if request.param == "checkout":
        shutil.copytree(checkout, folder, ignore=shutil.ignore_patterns("made", "*.egg-info"))
    else:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder.parent, filter="data")
        (folder.parent / sdist.name.removesuffix(".tar.gz")).rename(folder)
    return call(folder, "build_wheel")


def package(checkout):
    """What of the package is written by hand and wanted at run time."""
    modules = (checkout / "dali_mix").rglob("*.py")
    files = [path.relative_to(checkout) for path in modules if "native" not in path.parts]
    assert len(files) > 50 and Path("dali_mix/measure/__init__.py") in files
    return {*map(str, files), "dali_mix/py.typed"}


def for_a_shim(checkout):
    """What `dali-mix build` compiles."""
    native = checkout / "dali_mix/native"
    files = [*native.glob("*/*.h"), *native.glob("dali/*.cc")]
    return {str(path.relative_to(checkout)) for path in files}


def test_the_sdist_is_what_a_wheel_is_made_of(checkout, sdist):
    """Every native file; no tests, which would need a checkout."""
    with tarfile.open(sdist) as archive:
        names = [entry.name.partition("/")[2] for entry in archive if entry.isfile()]
    native = (path for path in (checkout / "dali_mix/native").rglob("*") if path.is_file())
    texts = "CHANGELOG.md LICENSE MANIFEST.in NOTICE README.md pyproject.toml setup.py".split()
    written = {*package(checkout), *(str(path.relative_to(checkout)) for path in native), *texts}
    made = {"PKG-INFO", "setup.cfg"}
    assert {name for name in names if ".egg-info/" not in name} == written | made


def test_the_wheel_is_the_package_and_its_libraries(checkout, wheel):
    assert "-py3-none-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    libraries = {shim.CORE, SHIM, SHIM.replace(".so", ".json")}
    made = {f"{LIB}/{name}" for name in libraries}
    assert names == package(checkout) | for_a_shim(checkout) | made


def test_an_unpacked_wheel_works(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "dali_mix", "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok  plugin {tmp_path / LIB / SHIM}," in done.stdout


def test_first_steps_with_an_installed_wheel_need_no_compiler(sdist, tmp_path):
    """As `make try-wheel` in each release; here in the one that is there."""
    pytest.importorskip("sklearn")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    wheel = call(tmp_path / sdist.name.removesuffix(".tar.gz"), "build_wheel")
    assert try_wheel.try_release(tmp_path, None, wheel) == ""
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    lacking = damaged / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(lacking, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, b"" if name.endswith(SHIM) else whole.read(name))
    error = try_wheel.try_release(damaged, None, lacking)
    assert error.startswith("doctor ended with status 1") and "cannot be loaded here" in error

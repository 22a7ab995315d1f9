"""Runs the tests in several DALI releases, with a shim built for each.

    make test-matrix                                      # those of setup.py, all tests
    .venv/bin/python tools/matrix.py 2.3.0 -- tests/graph -k crop         # one, and some tests

Each release gets a temporary environment with that DALI and what it requires. All other packages
come from the environment that runs this, so that torch is not installed again.
In a copy of the checkout one core is built, and a shim for each of them. Then come the tests, once
in each release. That takes their time, and 1 GB of disk for each.

The exit status is 1 if a test fails in any release.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import checkout

import setup


@dataclass(frozen=True)
class Outcome:
    release: str
    passed: int
    skipped: int
    failed: tuple[str, ...]
    """Names of the tests that failed, or the step before them that failed."""
    seconds: float

    def __str__(self) -> str:
        word = "fails" if self.failed else "works"
        counts = f"{self.passed:5} passed {self.skipped:4} skipped {len(self.failed):4} failed"
        return f"DALI {self.release:7} {word} {counts} {self.seconds / 60:5.1f} min"


def packages_of(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))


def dali_of(environment: Path) -> Path:
    return packages_of(environment) / "nvidia/dali"


def install(python: Path, *what: str) -> str:
    """Installs packages there, and returns the error, empty if there is none."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *what]
    done = setup.cuda.run(*pip)
    return done.stderr if done.returncode else ""


def environment(folder: Path, release: str | None) -> tuple[Path, str]:
    """Python of a new environment with this DALI, and the error, empty if there is none. None: the
    DALI of the environment that runs this."""
    venv.create(folder, with_pip=False)
    python, error = folder / "bin/python", ""
    if release is not None:
        error = install(python, f"nvidia-dali-cuda{setup.dali_flavour()}0=={release}")
    # Only now, because pip would otherwise find what this DALI requires and not install it.
    packages = packages_of(folder)
    behind = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "behind.pth").write_text("\n".join(behind) + "\n")
    # Take NumPy from this environment, because its other packages were tested with it.
    for installed in packages.glob("numpy*"):
        shutil.rmtree(installed)
    return python, error


def read_report(report: Path) -> tuple[int, int, tuple[str, ...]]:
    """How many tests passed, how many were skipped, and the names of those that failed."""
    passed, skipped, failed = 0, 0, []
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, skipped, tuple(failed)


def try_release(release: str, python: Path, copy: Path, tests: list[str]) -> Outcome:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dali_mix-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
        command += [f"--junit-xml={report}", *tests]
        done = subprocess.run(command, cwd=copy, env=checkout.environment_in(copy), check=False)
        passed, skipped, failed = read_report(report) if report.is_file() else (0, 0, ())
    if done.returncode and not failed:
        failed = (f"running the tests: pytest ended with status {done.returncode}",)
    return Outcome(release, passed, skipped, failed, time.monotonic() - begin)


def try_releases(folder: Path, releases: list[str], tests: list[str]) -> list[Outcome]:
    pythons, outcomes = {}, []
    for release in releases:
        python, error = environment(folder / release, release)
        if error:
            outcomes.append(Outcome(release, 0, 0, (f"installing DALI: {error.strip()}",), 0))
        else:
            pythons[release] = python
    if pythons:
        copy = folder / "copy"
        checkout.copy_to(copy)
        packages = os.pathsep.join(str(dali_of(folder / release)) for release in pythons)
        if error := checkout.build(copy, Path(sys.executable), DALI_MIX_DALI=packages):
            raise SystemExit(f"{error}matrix: the plugin could not be built, see above.")
        outcomes += [try_release(*each, copy, tests) for each in pythons.items()]
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], usage="%(prog)s [release ...] [-- for pytest ...]"
    )
    parser.add_argument("releases", nargs="*", metavar="release", help="such as 2.3.0")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    releases = parser.parse_args(sys.argv[1:end]).releases or setup.DALI_RELEASES
    tests = sys.argv[end + 1 :]
    with tempfile.TemporaryDirectory(prefix="dali_mix-matrix-") as name:
        outcomes = try_releases(Path(name).resolve(), releases, tests)
    for outcome in outcomes:
        print(outcome, *(f"    {name}" for name in outcome.failed), sep="\n")
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the tests in several DALI releases, with a plugin built for each.

    make test-matrix                                      # RELEASES and the pinned one, all tests
    .venv/bin/python tools/matrix.py 2.3.0 -- tests/graph -k crop         # one, and some tests

Each release gets a temporary environment with that DALI and what it requires. All other packages
come from the environment that runs this, so that torch is not installed again. The plugin is built
there from a copy of the checkout. Each release takes as long as its tests, and 2 GB of disk while
it runs.

The exit status is 1 if a test fails in any release.
"""

from __future__ import annotations

import argparse
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

RELEASES = ("2.2.0", "2.3.0")  # and the one that setup.py pins


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


def environment(folder: Path, release: str) -> tuple[Path, str]:
    """Python of a new environment with this DALI, and the error, empty if there is none."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    requirement = f"nvidia-dali-cuda{setup.dali_flavour()}0=={release}"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", requirement]
    done = setup.cuda.run(*pip)
    # Only now, because pip would otherwise find what this DALI requires and not install it.
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # Take NumPy from this environment, because its other packages were tested with it.
    for installed in packages.glob("numpy*"):
        shutil.rmtree(installed)
    return python, done.stderr if done.returncode else ""


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


def try_release(folder: Path, release: str, tests: list[str]) -> Outcome:
    begin = time.monotonic()

    def ended(failed: tuple[str, ...], passed: int = 0, skipped: int = 0) -> Outcome:
        return Outcome(release, passed, skipped, failed, time.monotonic() - begin)

    python, error = environment(folder / "environment", release)
    if error:
        return ended((f"installing DALI: {error.strip()}",))
    copy = folder / "copy"
    checkout.copy_to(copy)
    if error := checkout.build(copy, python, DALI_MIX_DALI=release):
        return ended((f"building the plugin: {error.strip()}",))
    report = folder / "report.xml"
    command = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    variables = checkout.environment_in(copy)
    done = subprocess.run([*command, *tests], cwd=copy, env=variables, check=False)
    if not report.is_file():
        return ended((f"running the tests: pytest ended with status {done.returncode}",))
    passed, skipped, failed = read_report(report)
    if done.returncode and not failed:
        failed = (f"running the tests: pytest ended with status {done.returncode}",)
    return ended(failed, passed, skipped)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], usage="%(prog)s [release ...] [-- for pytest ...]"
    )
    parser.add_argument("releases", nargs="*", metavar="release", help="such as 2.3.0")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    releases = parser.parse_args(sys.argv[1:end]).releases or [*RELEASES, setup.DALI_RELEASE]
    tests = sys.argv[end + 1 :]
    outcomes = []
    for release in releases:
        with tempfile.TemporaryDirectory(prefix="dali_mix-matrix-") as folder:
            outcomes.append(try_release(Path(folder).resolve(), release, tests))
    for outcome in outcomes:
        print(outcome, *(f"    {name}" for name in outcome.failed), sep="\n")
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

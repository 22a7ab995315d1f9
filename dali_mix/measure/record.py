"""Records where a result comes from (machine, versions, commit, command), and writes its file."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dali_mix.measure.openmp import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dali-mix", "numpy", "torch", "nvidia-dali-cuda130", "nvidia-dali-cuda120")


def provenance(*packages: str, **more: Any) -> dict[str, Any]:
    """Where a result comes from.

    packages: further packages whose versions are recorded
    more:     what the caller knows, such as threads or the GPU
    """
    commit, dirty = _checkout()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "commit": commit,
        "dirty": dirty,
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*PACKAGES, *packages)},
        "environment": SETTINGS,
        **more,
    }


def command() -> str:
    """The command line. Paths inside the checkout are relative to it; of other paths only the name
    stays, since the folders exist on one machine only."""
    program, *arguments = map(_without_way, sys.argv)
    if program.endswith("/__main__.py"):
        program = "-m " + program.removesuffix("/__main__.py").replace("/", ".")
    return " ".join(["python", program, *arguments])


def _without_way(argument: str) -> str:
    option, sign, path = argument.rpartition("=")
    inside = path.removeprefix(f"{ROOT}/")
    return option + sign + (Path(inside).name if os.path.isabs(inside) else inside)


@functools.cache  # the files that a run writes are not changes that it was measured with
def _checkout() -> tuple[str | None, bool | None]:
    """The commit, and whether files differ from it; None if unknown. Without git, as in a copy on
    another machine, the environment variable DALI_MIX_COMMIT may give the commit."""
    changes = _git("status", "--porcelain")
    commit = _git("rev-parse", "HEAD") or os.environ.get("DALI_MIX_COMMIT") or None
    return commit, None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    if not (ROOT / ".git").exists():  # installed: git might find a repository around it
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write(path: Path, record: Mapping[str, Any], *, again: bool = False) -> None:
    """Write the JSON file of a run. An existing file is an error, unless the run that wrote it says
    `again`. The file is complete at any time. Numbers have seven digits, more than any clock
    gives."""
    text = json.dumps(shortened(record), separators=(",", ":")) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not again:
        path.touch(exist_ok=False)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def shortened(value: Any) -> Any:
    """`value` with floats of seven digits."""
    if isinstance(value, Mapping):
        return {name: shortened(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortened(one) for one in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def heading(name: str, run: Mapping[str, Any]) -> str:
    """Command, machine, versions and commit of a run, in Markdown."""
    p, settings = run["provenance"], run.get("settings", {})
    versions = ", ".join(f"{k} {v}" for k, v in p["packages"].items() if v and k != "dali-mix")
    facts = [
        *([p["gpu"]] if p["gpu"] else []),
        f"{p['cpu']}, {p['cores']} cores, {p['threads']} threads, load {p['load_average']:.1f}",
        f"{versions}, Python {p['python']}",
        *(f"{key}={value}" for key, value in p["environment"].items()),
        *(f"{settings[key]} {key}" for key in ("rounds", "seeds") if key in settings),
        _commit(p),
        p["date"],
    ]
    if not run.get("complete", True):
        facts.append("stopped before its last case")
    return f"### `{p['command']}`\n\n`results/{name}.json`: {'; '.join(facts)}."


def _commit(p: Mapping[str, Any]) -> str:
    """The commit of a run, and whether there were local changes, if that is known."""
    if p["commit"] is None:
        return "commit unknown"
    changes = {True: " with local changes", False: "", None: ", local changes unknown"}
    return f"commit {p['commit'][:10]}{changes[p['dirty']]}"

"""Writes bench/README.md and its charts from bench/results/*.json, and nothing else into them; and
the section on speed of the README.

    python bench/report.py

Every table says where it was measured. A file of results is never edited; a newer run of the same
benchmark on the same kind of machine is another file, and both are shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib

matplotlib.use("svg")

from bench.report_kernel import kernel, kernel_times
from bench.report_operators import operators, operators_gpu
from bench.report_parts import row, spread
from bench.report_pipeline import pipeline, train_step
from bench.report_profile import profile
from bench.report_speed import in_readme
from bench.report_sweep import sweep
from bench.report_training import training

HERE = Path(__file__).resolve().parent
INTRO = """# Benchmarks

Made by `python bench/report.py` from the files in `results/`; not edited by hand.

All contestants of a table of times alternate in one process, in a fresh random order in each round,
after their results were checked. A figure is the median of the rounds, with the quartiles beside
it; a ratio is taken within each round, and its median is given. Compare figures within a table: the
machines are shared, and absolute times move between runs.
"""


def main() -> None:
    runs = load(HERE / "results")
    for name, text in generate(runs).items():
        (HERE / name).write_text(text)
    readme = HERE.parent / "README.md"
    readme.write_text(in_readme(readme.read_text(), runs))


def load(folder: Path) -> dict[str, Any]:
    """The runs by file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def generate(runs: dict[str, Any]) -> dict[str, str]:
    """Text of every generated file, by its path under bench/."""
    sections = {
        "operators": operators,
        "operators sweep": sweep,
        "operators methods": operators,
        "operators parts": profile,
        "operators gpu": operators_gpu,
        "operators gpu sweep": sweep,
        "operators gpu methods": operators_gpu,
        "pipeline": pipeline,
        "train_step": train_step,
        "kernel": kernel,
        "kernel-times": kernel_times,
        "loss": loss,
        "training": training,
    }
    files: dict[str, str] = {}
    parts = [INTRO]
    said: list[str] = []
    for kind, section in sections.items():
        for name in sorted(runs, key=lambda name: (-_rows(runs[name]), name)):
            if runs[name]["benchmark"] == kind:
                text, charts = section(name, runs[name])
                said, kept = _news(said, text)
                parts.append(kept + where(name, runs[name]))
                files |= charts
    return {"README.md": "\n".join(parts), **files}


def _rows(run: dict[str, Any]) -> int:
    """How much there is to be shown, that the fullest run of a benchmark may come first."""
    return len(run.get("cases") or run.get("results", ()))


def _news(said: list[str], text: str) -> tuple[list[str], str]:
    """Heading and explanation of a section, and the section without those of the one before."""
    heading, explanation, rest = text.split("\n\n", 2)
    begin = [heading, explanation]
    return begin, "\n\n".join([*(part for part in begin if part not in said), rest])


def where(name: str, run: dict[str, Any]) -> str:
    """Machine, versions, commit and command of a run."""
    p = run["provenance"]
    versions = ", ".join(f"{k} {v}" for k, v in p["packages"].items() if v and k != "dali-mix")
    settings = run.get("settings", {})
    gpu = f"{p['gpu']}; " if p.get("gpu") else ""
    counts = [f"{settings[name]} {name}" for name in ("rounds", "seeds") if name in settings]
    facts = [
        f"{gpu}{p['cpu']}, {p['cores']} cores, {p['threads']} threads",
        f"load {p['load_average']:.1f} at the end",
        f"{versions}, Python {p['python']}",
        ", ".join([commit(p), p["date"], *counts]),
    ]
    if not run.get("complete", True):
        facts.append("stopped before its last case")
    command = f"`{p['command']}`, raw run in `results/{name}.json`"
    return f"\n{'; '.join(facts)}. {command}.\n"


def commit(p: dict[str, Any]) -> str:
    """With what is known of local changes, which only git tells."""
    if p["commit"] is None:
        return "commit unknown"
    changes = {True: " with local changes", False: "", None: ", local changes unknown"}
    return f"commit {p['commit'][:10]}{changes[p['dirty']]}"


def loss(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    lines = [
        "## The loss",
        "",
        f"Forward and backward of cross-entropy at batch {run['settings']['batch']}, on the "
        f"{run['provenance']['device'].upper()}; multiples of one cross-entropy without mixing. "
        "Memory: the most allocated at one time, as a multiple of the logits.",
        "",
    ]
    classes = [size["classes"] for size in run["sizes"]]
    lines.append(
        row(["", *(f"{c:,} classes" for c in classes), *(f"memory, {c:,}" for c in classes)])
    )
    lines.append(row(["---", *["--:"] * 2 * len(classes)]))
    for contestant in run["sizes"][0]["results"]:
        results = [size["results"][contestant] for size in run["sizes"]]
        ratios = [spread(result["wall"]["ratio"]) for result in results]
        memory = [
            f"{result['peak_bytes'] / size['logits_bytes']:.2f}"
            for size, result in zip(run["sizes"], results, strict=True)
        ]
        lines.append(row([contestant, *ratios, *memory]))
    return "\n".join(lines) + "\n", {}


if __name__ == "__main__":
    main()

"""Writes bench/README.md, its charts, and the figures of the README from bench/results/*.json.

    python -m bench.report

Every table says where it was measured. Files of results are never edited. A newer run of the same
benchmark on the same kind of machine is another file, and both are shown.
"""

import ast
import json
from pathlib import Path
from typing import Any

from bench.report import sections, summary
from dali_mix.measure import record

HERE = Path(__file__).resolve().parents[1]
ROOMS: dict[str, tuple[str, dict[str, Any]]] = {
    "operators": (
        "The operators: decoded images to a mixed tensor",
        {"operators": sections.operators, "widths": sections.by_width},
    ),
    "pipeline": (
        "The pipeline: JPEG files to a mixed tensor, and a training step behind it",
        {"pipeline": sections.pipeline, "train_step": sections.pipeline},
    ),
    "loss": ("The loss", {"loss": sections.loss}),
    "kernel": ("The CUDA kernel alone", {"kernel-times": sections.kernel}),
    "demo": ("The demo: labels of which 40 % are wrong", {"demo": sections.demo}),
    "training": ("What mixing does to training", {"training": sections.training}),
}
"""For each folder its title, and the functions that show its runs. The last word of a run's
benchmark that is a key here chooses the function."""
INTRO = """# Benchmarks

Made by `python -m bench.report` from the files in `results/`; not edited by hand."""
METHOD = """In a checkout, `python -m bench.operators`, `bench.pipeline`, `bench.loss`, and
`bench.training` measure, and `bench/gpu.sh` does so on a GPU; `--help` says what is
measured, and `--out bench/results/NAME.json` keeps it. Contestants of a table of times alternate in
one process, in a fresh random order in each round, after their results were checked. A figure is
the median of the rounds, with quartiles; ratios are taken within each round. Compare figures within
a table: the machines are shared, and absolute times move between runs."""


def main() -> None:
    runs = load(HERE / "results")
    charts = HERE / "charts"
    charts.mkdir(exist_ok=True)
    for old in charts.iterdir():
        old.unlink()
    for name, text in generate(runs).items():
        (HERE / name).write_text(text)
    readme = HERE.parent / "README.md"
    readme.write_text(summary.in_readme(readme.read_text(), runs))


def load(folder: Path) -> dict[str, Any]:
    """The runs by file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def generate(runs: dict[str, Any]) -> dict[str, str]:
    """Text of every generated file, by its path under bench/."""
    parts, charts = [INTRO, *summary.headlines(runs), METHOD], {}
    for room, (title, shows) in ROOMS.items():
        told = [f"<details>\n<summary><b>{title}</b></summary>\n\n```\n{docstring(room)}\n```"]
        for name, run in runs.items():
            kinds = [word for word in run["benchmark"].split() if word in shows]
            if kinds:
                text, chart = shows[kinds[-1]](run)
                told += [record.heading(name, run), *text]
                if chart is not None:
                    charts[f"charts/{name}.svg"] = chart
                    told.append(f"![{run['benchmark']}](charts/{name}.svg)")
        if len(told) > 1:
            parts += [*told, "</details>"]
    return {"README.md": "\n\n".join(parts) + "\n", **charts}


def docstring(room: str) -> str:
    """The docstring of the command in this folder of bench/."""
    text = (HERE / room / "__main__.py").read_text()
    return ast.get_docstring(ast.parse(text)) or ""


if __name__ == "__main__":
    main()

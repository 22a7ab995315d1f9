"""The section of the README on speed, from the newest runs of the operators and the pipeline."""

from __future__ import annotations

from typing import Any

from bench.report_parts import row

BEGIN, END = "<!-- made by bench/report.py -->\n", "<!-- end -->\n"
CASES = (("float32", "CHW"), ("float16", "CHW"), ("float16", "HWC"), ("uint8", "HWC"))
BATCH, SIZE = 128, 224
ROWS = {
    "cmn": "`crop_mirror_normalize`, no mixing",
    "dali_mix mixup": "**dali_mix, mixup**",
    "dali_mix cutmix": "**dali_mix, cutmix**",
    "DALI stock, then cmn": "mixup of stock DALI operators",
    "torch.compile": "mixup in torch.compile",
    "timm Mixup elem": "timm, `Mixup(mode='elem')`",
}
AGAINST = {
    "DALI unmixed": "times the images per second of the same pipeline without mixing",
    "DALI stock, then cmn": "times those of mixup of stock DALI operators",
    "DataLoader + Mixup": "times those of PyTorch's DataLoader with PIL and timm's Mixup",
}


def in_readme(text: str, runs: dict[str, Any]) -> str:
    """The README with that section made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + speed(runs) + END + after


def speed(runs: dict[str, Any]) -> str:
    """A table of the operators' times, and a sentence on the pipeline."""
    operators = newest(runs, "operators", measured)
    return "\n".join([*operators_table(operators), "", pipeline_sentence(runs)]) + "\n"


def newest(runs: dict[str, Any], kind: str, fits: Any) -> dict[str, Any]:
    """The last measured of the runs of one benchmark that have what is told."""
    found = [run for run in runs.values() if run["benchmark"] == kind and fits(run)]
    return max(found, key=lambda run: run["provenance"]["date"])


def measured(run: dict[str, Any]) -> bool:
    return all(case_of(run, *case) for case in CASES)


def mixup_against(run: dict[str, Any]) -> dict[str, Any]:
    """What mixup was compared with in a run of the pipeline."""
    pairs = [pair for pair in run["comparisons"] if pair["contestant"] == "dali_mix mixup"]
    return {pair["against"]: pair for pair in pairs}


def case_of(run: dict[str, Any], dtype: str, layout: str) -> dict[str, Any]:
    """Empty where it was not measured."""
    wanted = {"dtype": dtype, "layout": layout, "batch": BATCH, "size": SIZE}
    return next((case for case in run["cases"] if wanted.items() <= case.items()), {})


def operators_table(run: dict[str, Any]) -> list[str]:
    where = run["provenance"]
    lines = [
        f"Time of a batch of {BATCH} decoded images of {SIZE} x {SIZE}, on {where['cores']} cores "
        f"({where['cpu']}), as a multiple of what `crop_mirror_normalize` takes:",
        "",
        row(["", *(" ".join(case) for case in CASES)]),
        row(["---", *["--:"] * len(CASES)]),
    ]
    for name, words in ROWS.items():
        cells = []
        for key in CASES:
            result = case_of(run, *key)["results"].get(name)
            cells.append(f"{result['wall']['ratio']['median']:.2f}" if result else "-")
        lines.append(row([words, *cells]))
    return lines


def pipeline_sentence(runs: dict[str, Any]) -> str:
    """Each comparison from the newest run that has it."""
    against = {name: newest_against(runs, name) for name in AGAINST}
    first, *others = (f"{interval(against[name]['speed'])} {AGAINST[name]}" for name in AGAINST)
    return (
        f"From JPEG files to mixed tensors, mixup gives {first}, for "
        f"{interval(against['DALI unmixed']['cpu'])} times its CPU time; {', and '.join(others)}. "
        "In brackets: 95 % intervals."
    )


def newest_against(runs: dict[str, Any], other: str) -> dict[str, Any]:
    """On a CPU, as the table beside it is."""
    run = newest(
        runs,
        "pipeline",
        lambda run: run["settings"]["device"] == "cpu" and other in mixup_against(run),
    )
    return mixup_against(run)[other]


def interval(ratio: dict[str, float]) -> str:
    return "{ratio:.2f} ({low:.2f} to {high:.2f})".format(**ratio)

"""The section of the report on bench/operators.py --parts: where the time of a batch goes."""

from __future__ import annotations

from typing import Any

from bench.report_operators import title
from bench.report_parts import median, row

TEXT = """## Where the time of mixup goes, on a CPU

Milliseconds of one `pipeline.run()`, taken apart by leaving out one thing after the other: medians
of the differences within the rounds. `feed` as above. `plan`: the operator that draws. `start`:
what apply and the executor take without pixels, where outputs have one. `own image`: with `prob=0`,
so that one image is read, converted, normalised and written. `partner`: it is read and blended too.
`mirror`: half of the images are read backwards. `cached`: what these take where all images are one
and the same, which stays in the cache, so that the arithmetic and the stores are left. `floor`: the
memory alone, both images read and the output written."""
PARTS = {
    "feed": ("feed", None),
    "plan": ("dali_mix plan", "feed"),
    "start": ("dali_mix one pixel", "dali_mix plan"),
    "own image": ("dali_mix unmixed, not mirrored", "dali_mix one pixel"),
    "partner": ("dali_mix mixup, not mirrored", "dali_mix unmixed, not mirrored"),
    "mirror": ("dali_mix mixup", "dali_mix mixup, not mirrored"),
    "whole": ("dali_mix mixup", None),
    "cached own + partner": (
        "dali_mix mixup, cached, not mirrored",
        "dali_mix one pixel, cached",
    ),
    "cached mirror": ("dali_mix mixup, cached", "dali_mix mixup, cached, not mirrored"),
    "floor": ("floor", None),
}


def profile(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    lines = [TEXT, "", row(["", *PARTS]), row(["---", *["--:"] * len(PARTS)])]
    for case in run["cases"]:
        seconds = {name: result["wall"]["seconds"] for name, result in case["results"].items()}
        cells = []
        for whole, less in PARTS.values():
            taken = seconds[less] if less else [0.0] * len(seconds[whole])
            parts = (a - b for a, b in zip(seconds[whole], taken, strict=True))
            cells.append(f"{median(parts) * 1e3:.2f}")
        lines.append(row([title(case), *cells]))
    return "\n".join(lines) + "\n", {}

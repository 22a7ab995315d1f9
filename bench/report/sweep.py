"""Shows a run of `python -m bench.operators --sweep`: who is fastest, and where we lose."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.operators.rows import UNMIXED, ratio
from dali_mix.measure.tables import Table

Cases = list[dict[str, Any]]
METHODS = ("mixup", "cutmix")
TEXT = (
    "A cell is the fastest other way to mix by the same method, and its time as a multiple of "
    "dali_mix's; **below 1 dali_mix loses**. Then what dali_mix takes, as a multiple of DALI "
    "unmixed, which does not mix."
)


def sweep(run: dict[str, Any]) -> tuple[list[str], None]:
    parts = [TEXT]
    for axis, other in (("batch", "size"), ("size", "batch")):
        held = Counter(case[other] for case in run["cases"]).most_common(1)[0][0]
        cases = [case for case in run["cases"] if case[other] == held and case["results"]]
        parts += [f"**Over the {axis} size, {other} {held}**", table(cases, axis).markdown()]
    faster = [f"{name} in {share:.2f} of our time ({at})" for name, share, at in lost(run["cases"])]
    slower = [
        f"{method} {over:.2f} ({short(case)})"
        for case, method in measured(run["cases"])
        if (over := ratio(case, f"dali_mix {method}", UNMIXED)) > 1
    ]
    parts += [
        f"Faster than dali_mix: {'; '.join(faster) or 'nothing that mixes, in any case'}.",
        f"Slower than DALI unmixed: {'; '.join(slower) or 'dali_mix in no case'}.",
    ]
    parts += [
        f"Left out, {short(case)}: {name}: {why}."
        for case in run["cases"]
        for name, why in case["missing"].items()
    ]
    return parts, None


def measured(cases: Cases) -> Iterator[tuple[dict[str, Any], str]]:
    """Every case with each of our methods."""
    return ((case, method) for case in cases if case["results"] for method in METHODS)


def table(cases: Cases, axis: str) -> Table:
    places = sorted({case[axis] for case in cases})
    found = {(case["dtype"], case["layout"], case[axis]): case for case in cases}
    rows = []
    for dtype, layout in dict.fromkeys(key[:2] for key in found):
        line = [found.get((dtype, layout, place)) for place in places]
        for method in METHODS:
            fastest = [best_other(case, method) if case else "-" for case in line]
            ours = [
                f"{ratio(case, f'dali_mix {method}', UNMIXED):.2f}" if case else "-"
                for case in line
            ]
            rows.append([f"{dtype} {layout}, {method}: fastest other", *fastest])
            rows.append([f"{dtype} {layout}, {method}: x time of DALI unmixed", *ours])
    return Table([f"{place:,}" for place in places], rows)


def others(case: dict[str, Any], method: str) -> dict[str, float]:
    """The other contestants that mix by the method, and their times as multiples of ours."""
    return {
        name: ratio(case, name, f"dali_mix {method}")
        for name in case["results"]
        if name not in ("feed", UNMIXED) and not name.startswith(("dali_mix", "copy "))
        if ("cutmix" in name.lower()) == (method == "cutmix")
    }


def best_other(case: dict[str, Any], method: str) -> str:
    found = others(case, method)
    if not found:
        return "-"
    name = min(found, key=lambda name: found[name])
    figure = f"{found[name]:.2f}"
    return f"{name} {figure if found[name] >= 1 else f'**{figure}**'}"


def lost(cases: Cases) -> list[tuple[str, float, str]]:
    """Every case that another contestant wins: its name, its time as a share of ours, the case."""
    return [
        (name, found, short(case))
        for case, method in measured(cases)
        for name, found in others(case, method).items()
        if found < 1
    ]


def short(case: dict[str, Any]) -> str:
    return (
        f"batch {case['batch']}, {case['size']} x {case['size']}, {case['dtype']} {case['layout']}"
    )

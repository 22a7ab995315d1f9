"""Loaders compared: ratios within each round, the cost of mixing, and both as a text table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dali_mix.measure.graphs import GRAPHS, UNMIXED
from dali_mix.measure.intervals import paired_ratio

OURS = "dali_mix mixup", "dali_mix cutmix"
UNMIXED_OF = {name: UNMIXED for name in GRAPHS if name != UNMIXED}
"""The same loader without mixing, for every one that mixes."""

Results = Mapping[str, Mapping[str, Any]]


def comparisons(results: Results, unmixed_of: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each of ours against every other, and each that mixes against its like that does not.

    results: of `compare_loaders`
    returns: `contestant`, `against`, and for `speed` (images per second) and `cpu` (milliseconds
             per image) contestant over against, as `paired_ratio`
    """
    pairs = dict.fromkeys((name, other) for name, other in unmixed_of.items())
    pairs |= dict.fromkeys((name, other) for name in OURS for other in results if other not in OURS)
    return [
        {
            "contestant": name,
            "against": other,
            "speed": _ratio(results, name, other, "images_per_second"),
            "cpu": _ratio(results, name, other, "cpu_ms_per_image"),
        }
        for name, other in pairs
        if name in results and other in results
    ]


def _ratio(results: Results, name: str, other: str, figure: str) -> dict[str, float]:
    return paired_ratio(results[name][figure]["samples"], results[other][figure]["samples"])


def cost_of_mixing(compared: Iterable[Mapping[str, Any]], unmixed_of: Mapping[str, str]) -> Any:
    """name -> percent of the time per image that mixing adds to the same loader, with its interval:
    `ratio`, `low`, `high`."""
    costs = {}
    for row in compared:
        if unmixed_of.get(row["contestant"]) == row["against"]:
            speed = row["speed"]
            slower = {"ratio": speed["ratio"], "low": speed["high"], "high": speed["low"]}
            costs[row["contestant"]] = {key: 100 / value - 100 for key, value in slower.items()}
    return costs


def table(
    results: Results,
    compared: list[dict[str, Any]],
    unmixed_of: Mapping[str, str],
    missing: Mapping[str, str],
) -> str:
    """What everyone does, then ours against everyone, as text."""
    costs = cost_of_mixing(compared, unmixed_of)
    lines = [f"{'':36} {'images/s (q1-q3)':>24} {'CPU ms/image':>13} {'mixing costs (95 %)':>26}"]
    for name, result in results.items():
        speed = "{median:.0f} ({q1:.0f}-{q3:.0f})".format(**result["images_per_second"]["summary"])
        cpu = f"{result['cpu_ms_per_image']['summary']['median']:.2f}"
        cost = ""
        if name in costs:
            cost = "{ratio:+.1f} % ({low:+.1f} to {high:+.1f})".format(**costs[name])
        lines.append(f"{name:36} {speed:>24} {cpu:>13} {cost:>26}".rstrip())
    lines += [f"{name:36} missing: {why}" for name, why in missing.items()]
    for ours in [name for name in OURS if name in results]:
        lines += ["", f"{ours + ' against':36} {'speed (95 %)':>24} {'CPU time (95 %)':>24}"]
        for row in compared:
            if row["contestant"] == ours:
                cells = ["{ratio:.2f}x ({low:.2f}-{high:.2f})".format(**row[k]) for k in _KEYS]
                lines.append(f"{row['against']:36} {cells[0]:>24} {cells[1]:>24}")
    return "\n".join(lines)


_KEYS = ("speed", "cpu")

"""Compares loaders: ratios within each round, the cost of mixing, and a verdict in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dali_mix.measure.intervals import paired_ratio
from dali_mix.measure.tables import Table, interval, missing, spread

OURS = "dali_mix mixup", "dali_mix cutmix"
STEADY = 3.0
"""Percent. If the interval of the cost of mixing ends below this, mixing counts as free."""

Results = Mapping[str, Mapping[str, Any]]


def comparisons(results: Results, unmixed_of: Mapping[str, str]) -> list[dict[str, Any]]:
    """Compare ours with every other loader, and each loader that mixes with the same one unmixed.

    results:    what `compare_loaders` returned
    unmixed_of: for each loader that mixes, the name of the same loader without mixing
    returns:    for each pair its names, `contestant` and `against`, and the ratios contestant /
                against of `speed` (images per second) and `cpu` (milliseconds per image), as
                `paired_ratio` gives them
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


def cost_of_mixing(
    compared: Iterable[Mapping[str, Any]], unmixed_of: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """name -> how many percent mixing adds to the time per image of the same loader, with its
    interval: `ratio`, `low`, `high`."""
    costs = {}
    for row in compared:
        if unmixed_of.get(row["contestant"]) == row["against"]:
            speed = row["speed"]
            slower = {"ratio": speed["ratio"], "low": speed["high"], "high": speed["low"]}
            costs[row["contestant"]] = {key: 100 / value - 100 for key, value in slower.items()}
    return costs


def speeds(
    results: Results,
    compared: list[dict[str, Any]],
    unmixed_of: Mapping[str, str],
    absent: Mapping[str, str],
) -> Table:
    """A table of the speed and CPU time of every loader, and of the cost of mixing."""
    costs = cost_of_mixing(compared, unmixed_of)
    head = ["images/s (quartiles)", "CPU ms/image (quartiles)", "mixing costs (95 %)"]
    rows = []
    for name, result in results.items():
        cells = [
            spread(result["images_per_second"]["summary"], 1, 0),
            spread(result["cpu_ms_per_image"]["summary"]),
            _percent(costs[name]) if name in costs else "",
        ]
        rows.append([name, *cells])
    return Table(head, rows + missing(absent))


def against(compared: list[dict[str, Any]]) -> Table:
    """A table of our loaders against every other."""
    rows = [
        [f"{row['contestant']} against {row['against']}", *(interval(row[k]) for k in _KEYS)]
        for row in compared
        if row["contestant"] in OURS
    ]
    return Table(["images/s (95 %)", "CPU time per image (95 %)"], rows)


_KEYS = ("speed", "cpu")


def _percent(cost: Mapping[str, float]) -> str:
    return "{ratio:+.1f} % ({low:+.1f} to {high:+.1f})".format(**cost)


def verdict(cost: Mapping[str, float]) -> str:
    """One sentence on mixup in a pipeline. `cost`: an entry of `cost_of_mixing`."""
    found = "mixup changes the time of an image by {ratio:+.1f} % (95 % interval {low:+.1f} to "
    found = (found + "{high:+.1f} %)").format(**cost)
    if cost["high"] < 0:
        return f"The pipeline is faster with mixing than without: {found}."
    if cost["low"] > 0:
        return f"Mixing costs time: {found}."
    if cost["high"] <= STEADY:
        return f"Mixing costs nothing that can be told from noise: {found}."
    return (
        f"It is too noisy to tell what mixing costs: {found}; run it with more --rounds, on a "
        "machine that does nothing else."
    )

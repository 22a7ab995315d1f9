"""The table of one number of classes: for the terminal and for the report."""

from __future__ import annotations

from typing import Any

from dali_mix.measure.tables import Table, times


def table(size: dict[str, Any]) -> Table:
    memory = {
        name: f"{result['peak_bytes'] / size['logits_bytes']:.2f}"
        for name, result in size["results"].items()
    }
    return times(size["results"], {"memory, x logits": memory})

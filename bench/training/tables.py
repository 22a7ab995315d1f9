"""Shows the trainings: tables, curves, and which claims the intervals confirm."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dali_mix.measure.intervals import paired_difference
from dali_mix.measure.tables import Table, mean

Run = dict[str, Any]
Rows = list[dict[str, Any]]
PUBLISHED = {"none": ["99.3", "0.02"], "mixup": ["99.5", "0.08"]}
"""Accuracy in % and validation loss, each of one run, in fastai v1's documentation of mixup."""
MORE = {
    "threes": ["published accuracy, %", "published test loss"],
    "noise": ["wrong labels learnt, %"],
    "cifar": ["seconds"],
}
"""Further columns of the table of an experiment."""
CURVES = {
    "accuracy": ("test accuracy, %", 100),
    "test_loss": ("test loss", 1),
    "train_loss": ("training loss", 1),
}
"""Figures of a training, their titles, and the factors by which they are drawn."""
CLAIMS = (
    ("mixup raises accuracy", "accuracy", "mixup", "none"),
    ("mixup raises the validation loss", "test_loss", "mixup", "none"),
    ("one lam per sample is better than one per batch", "accuracy", "mixup", "mixup per batch"),
    ("folding raises accuracy", "accuracy", "mixup", "mixup unfolded"),
)
"""Claims about the threes and sevens: text, figure, the way with the larger figure, the other."""


def groups(run: Run) -> dict[str, Rows]:
    """The trainings by data set and share of wrong labels, in words."""
    found: dict[str, Rows] = {}
    for row in run["runs"]:
        share = f", {row['share']:.0%} of the labels wrong" if "share" in row else ""
        found.setdefault(row["data"] + share, []).append(row)
    return found


def of_way(rows: Rows, way: str) -> Rows:
    """The trainings of one way, in the order of the seeds."""
    return sorted((row for row in rows if row["way"] == way), key=lambda row: row["seed"])


def of_run(run: Run) -> list[tuple[str, Table]]:
    """A table for every group, with its heading."""
    head = ["last accuracy, %", "best accuracy, %", "test loss", "training loss"]
    head += MORE[run["settings"]["experiment"]]
    return [
        (
            heading,
            Table(head, [_row(way, of_way(rows, way), head) for way in run["settings"]["ways"]]),
        )
        for heading, rows in groups(run).items()
    ]


def _row(way: str, rows: Rows, head: Sequence[str]) -> list[str]:
    accuracy = [np.multiply(row["accuracy"], 100) for row in rows]
    cells = [mean([values[-1] for values in accuracy]), mean([max(v) for v in accuracy])]
    cells += [mean([row[name][-1] for row in rows], 3) for name in ("test_loss", "train_loss")]
    if head[4:] == MORE["threes"]:
        return [way, *cells, *PUBLISHED.get(way, ["", ""])]
    figure, factor = ("seconds", 1) if head[4:] == MORE["cifar"] else ("wrong_labels_learnt", 100)
    return [way, *cells, mean([factor * row[figure] for row in rows], 1)]


def curves(run: Run) -> dict[str, dict[str, list[Any]]]:
    """heading and figure -> way -> for each seed the figure after every epoch."""
    return {
        f"{heading}\n{title}": {
            way: [np.multiply(row[figure], factor) for row in of_way(rows, way)]
            for way in run["settings"]["ways"]
            if of_way(rows, way)  # a run that was stopped lacks some
        }
        for heading, rows in groups(run).items()
        for figure, (title, factor) in CURVES.items()
    }


def claims(run: Run) -> list[str]:
    """Three lines at most: the claims that the intervals confirm, contradict, and do not decide."""
    said: dict[str, list[str]] = {"Confirmed": [], "Contradicted": [], "Not shown": []}
    for rows in groups(run).values():
        for text, figure, more, less in CLAIMS:
            pair = [[row[figure][-1] for row in of_way(rows, way)] for way in (more, less)]
            if len(pair[0]) == len(pair[1]) > 1:
                found = paired_difference(*pair)
                verdict = "Confirmed" if found["low"] > 0 else "Contradicted"
                key = "Not shown" if found["low"] <= 0 <= found["high"] else verdict
                numbers = "{difference:+.4f} ({low:+.4f} to {high:+.4f})".format(**found)
                said[key].append(f"{text}: {numbers}")
    told = [f"{verdict}: {'; '.join(lines)}." for verdict, lines in said.items() if lines]
    what = "At the last epoch, over paired seeds, as shares and losses, with 95 % intervals:"
    return [what, *told] if told else []


def sentence(run: Run) -> str:
    """A sentence for the summary, on the group in which mixup changes the accuracy most."""
    found = []
    for heading, rows in groups(run).items():
        ways = [way for way in run["settings"]["ways"] if of_way(rows, way)]
        last = {w: 100 * np.mean([row["accuracy"][-1] for row in of_way(rows, w)]) for w in ways}
        best = max((way for way in ways if way.startswith("mixup")), key=lambda way: last[way])
        text = f"{last['none']:.2f} % of the test images right without mixing, {last[best]:.2f} % "
        found.append((abs(last[best] - last["none"]), f"{heading}: {text}with {best}"))
    return f"Training on {max(found)[1]} ({run['settings']['seeds']} seeds, last epoch)."

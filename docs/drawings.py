"""Charts and drawings of the documentation, as SVG: the same text for the same numbers.

pictures.py writes them; a test compares what is committed with what is drawn here.
"""

import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dali_mix import reference

RESULTS = Path(__file__).parents[1] / "bench/results"
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0969da", "#d1570a", "#1a7f37", "#8250df", "#6e7781"
INK, PALE = "#1f2328", "#eaeef2"
ALPHAS = {0.1: BLUE, 0.4: ORANGE, 1: GREEN, 8: PURPLE}


def all_of_them() -> dict[str, str]:
    """File name -> SVG."""
    drawn: list[Callable[[], Any]] = [
        beta, targets, shuffled, manifold, life, box, covered, partner_rows, demo
    ]  # fmt: skip
    return {f"{draw.__name__.replace('_', '-')}.svg": svg(draw()) for draw in drawn}


def beta() -> Figure:
    """Densities of lam for some alpha, as drawn and folded."""
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    drawn, folded = figure.subplots(1, 2, sharey=True)
    t = np.linspace(0.005, 0.995, 121)
    for alpha, color in ALPHAS.items():
        scale = math.gamma(2 * alpha) / math.gamma(alpha) ** 2
        density = scale * (t * (1 - t)) ** (alpha - 1)
        drawn.plot(t, density, color=color, label=f"alpha = {alpha:g}")
        upper = t >= 0.5
        folded.plot(t[upper], 2 * density[upper], color=color)
    drawn.set_title("lam as drawn: Beta(alpha, alpha)", fontsize=10)
    folded.set_title("folded: max(lam, 1 - lam)", fontsize=10)
    drawn.set(ylim=(0, 6), xlim=(0, 1), xlabel="lam", ylabel="density")
    folded.set(xlim=(0, 1), xlabel="lam")
    drawn.legend(fontsize=9, frameon=False, loc="upper center")
    for panel in (drawn, folded):
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def targets() -> Figure:
    """What the network is to answer for one image: a share for each class."""
    names = ["cat", "cup", "dog", "car", "sun"]
    own, partner = np.eye(5)[:2]
    mixed, smooth = 0.7 * own + 0.3 * partner, lambda row: 0.9 * row + 0.1 / 5
    rows = {"one class": own, "label smoothing 0.1": smooth(own)}
    rows |= {"mixup, lam 0.7": mixed, "both": smooth(mixed)}
    figure = Figure(figsize=(8, 2.1), layout="constrained")
    for panel, (title, row) in zip(figure.subplots(1, 4, sharey=True), rows.items(), strict=True):
        bars = panel.bar(names, row, color=[BLUE, ORANGE, GREY, GREY, GREY])
        panel.bar_label(bars, [f"{share:.2f}" for share in row], fontsize=8)
        panel.set_title(title, fontsize=10)
        panel.set(ylim=(0, 1.15), yticks=[])
        panel.spines[["top", "right", "left"]].set_visible(False)
    return figure


def shuffled() -> Figure:
    """Two loaders, or one whose batch is mixed with itself in another order."""
    figure, panel = canvas(8, 2.5)
    note(panel, 0.2, 2.25, "two loaders: each image is decoded twice as often", "left")
    note(panel, 4.4, 2.25, "one loader: the partners are the same images, shuffled", "left")
    for x, letters, color in ((0.6, "ABCD", BLUE), (2.2, "WXYZ", ORANGE)):
        column(panel, x, letters, color)
    column(panel, 4.8, "ABCD", BLUE)
    column(panel, 6.4, "CABD"[::-1], ORANGE)
    for x in (1.6, 5.8):
        panel.text(x, 1.0, "mix", ha="center", va="center", fontsize=10, color=GREY)
    return figure


def column(panel: Any, x: float, letters: str, color: str) -> None:
    for k, letter in enumerate(letters):
        block(panel, x, 1.6 - 0.45 * k, letter, color, 0.6, 0.38)


def manifold() -> Figure:
    """The layers of a network, one of which is mixed."""
    figure, panel = canvas(8, 1.5)
    names = ["images", "stem", "layer 1", "layer 2", "head"]
    for k, name in enumerate(names):
        block(panel, 0.3 + 1.6 * k, 0.35, name, PALE, 1.1, 0.5, INK)
    for k in range(len(names) - 1):
        arrow(panel, (1.4 + 1.6 * k, 0.6), (1.9 + 1.6 * k, 0.6))
    for k in range(4):
        drawn = k == 2
        color, text = (ORANGE, "mixed, in this batch") if drawn else (GREY, "or here")
        arrow(panel, (0.85 + 1.6 * k, 1.2), (0.85 + 1.6 * k, 0.88), color)
        panel.text(0.85 + 1.6 * k, 1.3, text, ha="center", fontsize=9, color=color)
    return figure


def life() -> Figure:
    """The life of a batch: what runs where, and what travels."""
    figure, panel = canvas(9, 2.7)
    steps = ["reader", "decode", "resize", "apply", "iterator", "model", "loss"]
    for k, name in enumerate(steps):
        color, ink = (BLUE, "white") if name == "apply" else (PALE, INK)
        block(panel, 0.2 + 1.27 * k, 1.5, name, color, 0.97, 0.5, ink)
    for k in range(len(steps) - 1):
        arrow(panel, (1.17 + 1.27 * k, 1.75), (1.47 + 1.27 * k, 1.75))
    block(panel, 4.01, 0.3, "plan", BLUE, 0.97, 0.5)
    arrow(panel, (4.5, 0.8), (4.5, 1.48), BLUE)
    note(panel, 4.6, 1.1, "partner, blend, box", "left")
    arrow(panel, (3.2, 1.48), (3.98, 0.6))
    note(panel, 3.3, 0.85, "shapes alone", "right")
    arrow(panel, (4.98, 0.55), (8.3, 1.48), ORANGE)
    note(panel, 7.1, 0.7, "y1, y2, lam", "left", ORANGE)
    note(panel, 4.5, 0.1, "on the CPU; all that is random", "center")
    for x, text in ((0.2, "inside DALI, ahead of the training loop"), (5.3, "PyTorch")):
        note(panel, x, 2.45, text, "left")
    for x0, x1 in ((0.2, 5.1), (5.3, 8.8)):
        panel.plot([x0, x1], [2.3, 2.3], color=GREY, linewidth=1)
    note(panel, 4.5, 2.1, "one pass over the pixels", "center", BLUE)
    return figure


def box() -> Figure:
    """A box that the border clips, and lam as the area that is left."""
    size, drawn = (6, 9), (4, 7)
    lam = 0.6
    y0, x0, y1, x1 = reference.cut_box(lam, drawn, size)
    left = size[0] * size[1] - (y1 - y0) * (x1 - x0)
    assert np.isclose(reference.count_lam((y0, x0, y1, x1), size), left / 54)
    figure, panel = canvas(8, 2.9)
    step = 0.42
    for y in range(size[0]):
        for x in range(size[1]):
            inside = y0 <= y < y1 and x0 <= x < x1
            place = 0.3 + step * x, 2.7 - step * (y + 1)
            block(panel, *place, "", ORANGE if inside else BLUE, step - 0.04, step - 0.04)
    sides = [int(side * np.sqrt(1 - lam)) for side in size]
    lines = [
        f"image: {size[0]} x {size[1]} = 54 pixels",
        f"share drawn for the own image: {lam}",
        f"box: {sides[0]} x {sides[1]} pixels around ({drawn[0]}, {drawn[1]})",
        f"what the border leaves of it: {y1 - y0} x {x1 - x0}",
        f"own pixels, counted: {left}",
        f"lam = {left} / 54 = {left / 54:.3f}",
    ]
    for k, line in enumerate(lines):
        color = INK if k < len(lines) - 1 else BLUE
        panel.text(4.5, 2.4 - 0.38 * k, line, fontsize=11, color=color)
    return figure


def covered() -> Figure:
    """How often each pixel is replaced: by the paper's law, and by place="uniform"."""
    size, ts = 32, (np.arange(200) + 0.5) / 200  # Beta(1, 1) is uniform
    paper, uniform = np.zeros((size, size)), np.zeros((size, size))
    for t in ts:
        side = int(size * np.sqrt(1 - t))
        rows = np.zeros(size)
        for center in range(size):
            y0, _, y1, _ = reference.cut_box(t, (center, 0), (size, size))
            rows[y0:y1] += 1 / size
        paper += np.outer(rows, rows) / len(ts)
        # Centres that may lie outside: every pixel is in as many boxes as any other.
        uniform += (side / (size + side - 1)) ** 2 / len(ts) if side else 0
    figure = Figure(figsize=(7, 2.9), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, (name, share) in zip(
        panels, {"center": paper, "uniform": uniform}.items(), strict=True
    ):
        image = panel.imshow(100 * share, cmap="viridis", vmin=0, vmax=50)
        panel.set_title(f'CutMix(place="{name}")', fontsize=10)
        panel.set(xticks=[], yticks=[])
        for y, x in ((16, 16), (2, 3)):
            told = f"{100 * share[y if y > 9 else 0, x if x > 9 else 0]:.0f} %"
            panel.text(x, y, told, ha="center", va="center", color="white", fontsize=9)
    figure.colorbar(image, ax=panels, label="% of the batches replace it")
    return figure


def partner_rows() -> Figure:
    """Who is mixed with whom in a batch of six."""
    orders = {
        "derange": [3, 0, 5, 1, 2, 4],
        "shuffle": [0, 4, 1, 5, 2, 3],
        "reverse": [5, 4, 3, 2, 1, 0],
        "roll": [5, 0, 1, 2, 3, 4],
    }
    figure, panel = canvas(8, 2.6)
    letters = "ABCDEF"
    rows: list[tuple[str, Sequence[int]]] = [("the batch", range(6)), *orders.items()]
    for k, (name, order) in enumerate(rows):
        y = 2.1 - 0.48 * k
        note(panel, 2.3, y + 0.19, name if k == 0 else f'partner="{name}"', "right", INK)
        for place, index in enumerate(order):
            color = BLUE if k == 0 else GREY if index == place else ORANGE
            block(panel, 2.6 + 0.8 * place, y, letters[index], color, 0.6, 0.38)
    return figure


def demo() -> Figure:
    """What `make demo` found: its newest recorded run."""
    runs = [json.loads(path.read_text()) for path in RESULTS.glob("demo-*.json")]
    rows = max(runs, key=lambda run: str(run["provenance"]["date"]))["results"]
    figure = Figure(figsize=(8, 2.1), layout="constrained")
    shares = {
        "accuracy": "accuracy on test images, %",
        "wrong_labels_learnt": "wrong training labels learnt by heart, %",
    }
    for panel, (name, title) in zip(figure.subplots(1, 2), shares.items(), strict=True):
        percent = [100 * row[name] for row in rows]
        bars = panel.barh([row["mixing"] for row in rows], percent, color=[GREY, BLUE, ORANGE])
        panel.bar_label(bars, [f"{value:.1f}" for value in percent], fontsize=9, padding=3)
        panel.set_title(title, fontsize=10)
        panel.set(xlim=(0, 115), xticks=[])
        panel.invert_yaxis()
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Any]:
    """A panel without axes, one unit to the inch."""
    figure = Figure(figsize=(width, height))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set(xlim=(0, width), ylim=(0, height))
    panel.axis("off")
    return figure, panel


def block(
    panel: Any, x: float, y: float, text: str, color: str, width: float, height: float,
    ink: str = "white",
) -> None:  # fmt: skip
    shape = matplotlib.patches.Rectangle((x, y), width, height, color=color, linewidth=0)
    panel.add_patch(shape)
    middle = x + width / 2, y + height / 2
    panel.text(*middle, text, ha="center", va="center", fontsize=10, color=ink)


def arrow(
    panel: Any, begin: tuple[float, float], end: tuple[float, float], color: str = GREY
) -> None:
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0}
    panel.annotate("", end, begin, arrowprops=style)


def note(panel: Any, x: float, y: float, text: str, side: str, color: str = GREY) -> None:
    panel.text(x, y, text, ha=side, va="center", fontsize=9, color=color)


def svg(figure: Figure) -> str:
    """No date, no random ids; a white ground, so that it can be read on a dark page."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "dali_mix", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"

"""Shows a run: its tables in Markdown, and its chart."""

from typing import Any

from bench.operators import rows, widths
from bench.training import tables as training_tables
from dali_mix.measure.chart import bars, curves, summaries, svg
from dali_mix.measure.comparisons import against, speeds
from dali_mix.measure.tables import Table, loss_table

Run = dict[str, Any]
Shown = tuple[list[str], str | None]
"""Parts of a page, and an SVG, if the run has a chart."""


def operators(run: Run) -> Shown:
    parts = []
    for case in run["cases"]:
        parts += [f"**{rows.title(case)}**", rows.table(case).markdown()]
    panels = [
        (rows.title(case), {name: r["wall"]["ratio"] for name, r in case["results"].items()})
        for case in run["cases"][:2]
        if case["results"]
    ]
    caption = "time of a batch, DALI unmixed = 1; logarithmic; median and quartiles"
    return parts, svg(bars(panels, caption, columns=len(panels), log=True))


def by_width(run: Run) -> Shown:
    told = "Time for a pixel, as a multiple of that at the nearest multiple of 64; rows are widths."
    return [told, widths.table(run["cases"]).markdown()], None


def pipeline(run: Run) -> Shown:
    settings, data = run["settings"], run["settings"]["data"]
    parts = [
        f"{data['files']:,} {'synthetic' if data['synthetic'] else 'real'} JPEGs of "
        f"{data['mean_kb']:.0f} kB on average; {settings['size']} x {settings['size']}, "
        f"{settings['dtype']}, batch {settings['batch']}, on the {settings['device'].upper()}; "
        f"{settings['dali']['threads']} threads of DALI, or as many workers.",
        speeds(run["results"], run["comparisons"], run["unmixed_of"], run["missing"]).markdown(),
        f"Ratios: {settings['interval']}.",
        against(run["comparisons"]).markdown(),
    ]
    figures = {"images_per_second": "images per second", "cpu_ms_per_image": "CPU ms per image"}
    panels = [(title, summaries(run["results"], figure)) for figure, title in figures.items()]
    return parts, svg(bars(panels, "median and quartiles of the segments"))


def loss(run: Run) -> Shown:
    parts = []
    for size in run["sizes"]:
        title = f"**{size['classes']:,} classes, batch {run['settings']['batch']}**"
        parts += [title, loss_table(size).markdown()]
    return parts, None


def demo(run: Run) -> Shown:
    head = ["accuracy, %", "wrong labels learnt, %", "negative log-likelihood"]
    lines = []
    for row in run["results"]:
        shares = (f"{100 * row[name]:.1f}" for name in ("accuracy", "wrong_labels_learnt"))
        lines.append([row["mixing"], *shares, f"{row['nll']:.2f}"])
    return [Table(head, lines).markdown()], None


def kernel(run: Run) -> Shown:
    head = ["ms", "with its launch", "GB/s, nominal", "compulsory", "compulsory, of the copy's"]
    lines = []
    for case in run["cases"]:
        rates = [case[name] / case["ms"] / 1e6 for name in ("bytes", "compulsory_bytes")]
        share = rates[1] / (case["bytes"] / case["copy_ms"] / 1e6)
        cells = [f"{case['ms']:.4f}", f"{case['launch_ms']:.4f}", *(f"{r:,.0f}" for r in rates)]
        lines.append([f"{case['case']}: {case['batch']} x {case['side']}²", *cells, f"{share:.2f}"])
    return [Table(head, lines).markdown()], None


def training(run: Run) -> Shown:
    parts = []
    for heading, table in training_tables.of_run(run):
        parts += [f"**{heading}**", table.markdown()]
    epochs = range(1, run["settings"]["epochs"] + 1)
    chart = curves(training_tables.curves(run), epochs, "epoch; band: one standard deviation")
    return [*parts, *training_tables.claims(run)], svg(chart)

"""The table of one case: for the terminal and for the report."""

from typing import Any

from dali_mix.measure import timing
from dali_mix.measure.operators import COPY
from dali_mix.measure.outputs import UNMIXED
from dali_mix.measure.tables import Table, missing, spread

FEED = "feed"
IMAGES_READ = {FEED: 0, UNMIXED: 1, "dali_mix unmixed": 1, "dali_mix multimix": 3}
"""How many images are read for each image of the result. For others 2 is counted, which is an upper
bound if they cut."""
ON_GPU = ["GB/s", "kernels", "copies", "ms in these"]


def title(case: dict[str, Any]) -> str:
    size = case["size"]
    where = f"{case['dtype']} {case['layout']}, batch {case['batch']}, {size} x {size}"
    return f"{where}, {case['executor']} executor" if "executor" in case else where


def table(case: dict[str, Any]) -> Table:
    base = UNMIXED if UNMIXED in case["results"] else COPY
    on_gpu = any("kernels" in result for result in case["results"].values())
    lines = []
    for name, result in case["results"].items():
        net = "-"
        if "dali" in name.lower():  # it contains the feed
            net = f"{timing.ratio(case['results'], UNMIXED, name, FEED):.2f}"
        seconds = result["wall"]["summary"]
        cells = [
            spread(seconds, 1e3, 3 if on_gpu else 2),
            f"{timing.ratio(case['results'], base, name):.2f}",
            net,
        ]
        if on_gpu:
            moved, seen = result["bytes"], result["kernels"]
            cells.append(f"{moved / seconds['median'] / 1e9:.0f}" if moved else "-")
            if "missing" in seen:
                cells += [seen["missing"], "", ""]
            else:
                counts = [str(seen["kernels"]), str(seen["copies"])]
                cells += [*counts, f"{seen['seconds'] * 1e3:.3f}"]
        lines.append([name, *cells])
    head = ["ms (quartiles)", f"x speed of {base}", "net of the feed"]
    return Table(head + (ON_GPU if on_gpu else []), lines + missing(case["missing"]))

"""Time for a pixel at every width: no width may cost more than those that suit vectors."""

from typing import Any

from bench.operators.graphs import feed
from bench.operators.rows import FEED
from dali_mix.measure import timing
from dali_mix.measure.graphs import GRAPHS, Graph
from dali_mix.measure.operators import make_case
from dali_mix.measure.outputs import Output
from dali_mix.measure.pipelines import runner
from dali_mix.measure.tables import Table

WIDTHS = sorted({*range(96, 513, 16), 299})
BATCH, HEIGHT = 64, 128
METHODS = "mixup", "cutmix"


def keys(options: Any) -> list[dict[str, Any]]:
    """Type, layout and mirroring of every case."""
    return [
        {"dtype": dtype, "layout": layout, "mirrored": mirrored}
        for dtype in options.dtype or ("float32", "float16", "uint8")
        for layout in options.layout or ("CHW", "HWC")
        for mirrored in (False, True)
    ]


def run(key: dict[str, Any], options: Any) -> dict[str, Any]:
    """One case: all widths by all methods against each other."""
    output = Output(key["dtype"], key["layout"])
    runs = {}
    for width in WIDTHS:
        shape = BATCH, HEIGHT, width
        case = make_case(shape, output, threads=options.threads, seed=options.seed)
        runs[FEED] = runner(case, feed)  # which looks at shapes alone
        for method in METHODS:
            graph = mirroring(GRAPHS[f"dali_mix {method}"], key["mirrored"])
            runs[f"{method} {width}"] = runner(case, graph)
    results = timing.compare(
        runs, baseline=FEED, check=timing.nothing, rounds=options.rounds, seed=options.seed
    )
    return key | {"results": results, "missing": {}}


def mirroring(graph: Graph, mirrored: bool) -> Graph:
    """With all images mirrored, or none."""
    return lambda images, labels, _, output: graph(images, labels, int(mirrored), output)


def cost(case: dict[str, Any], method: str, width: int) -> float:
    """Of a pixel, without the feed, as a multiple of that at the nearest multiple of 64."""
    suited = round(width / 64) * 64
    return (
        timing.ratio(case["results"], f"{method} {width}", f"{method} {suited}", FEED)
        * suited
        / width
    )


def text(case: dict[str, Any]) -> str:
    return table([case]).text()


def table(cases: list[dict[str, Any]]) -> Table:
    columns = [(case, method) for case in cases for method in METHODS]
    head = [
        f"{case['dtype']} {case['layout']}{' mirrored' if case['mirrored'] else ''}, {method}"
        for case, method in columns
    ]
    lines = [
        [str(width), *(f"{cost(case, method, width):.2f}" for case, method in columns)]
        for width in WIDTHS
    ]
    return Table(head, lines)

"""The sections of the report on the CUDA kernel alone: from bench/kernel_facts.py what the compiler
made of it, and by counting bytes how long it should take; from bench/kernel_times.py how long it
took."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from bench.report_parts import row

COPY_BANDWIDTH = 4.3e12
"""Bytes a second, read and written, of a copy within the memory of an H200."""
LATENCY = 0.7e-6
"""Seconds from a load to its data under load; assumed, not measured."""
MULTIPROCESSORS, REGISTERS, MOST_THREADS, THREADS = 132, 65536, 2048, 256
"""Of an H200; of a multiprocessor; at once on it; in a block."""
BATCH, SIDE, CHANNELS = 256, 224, 3
VALUE_BYTES = {"float16": 2, "float32": 4, "uint8": 1, "int8": 1}
SHOWN = ("float16", "float32")
"""Outputs whose bytes are counted."""


def kernel(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    settings = run["settings"]
    lines = [
        "## The CUDA kernel, compiled and counted",
        "",
        f"Compiled for {settings['arch']} with nvcc {settings['nvcc']} and disassembled; **not "
        "run, and no time here is measured**. Rows: RGB batches that travel in the parameters of "
        "the launch. Loads and stores are the instructions in the code, by bytes a thread: loads "
        "of both images together, where single bytes are read only at the ends of an image; stores "
        "of all channels, where the narrower ones are for rows that do not begin at a multiple of "
        "16 bytes. Under way: the input of the threads that are resident on a multiprocessor; "
        f"{kilobytes(COPY_BANDWIDTH * LATENCY / MULTIPROCESSORS)} would hide "
        f"{LATENCY * 1e6:.1f} us of latency, an assumed figure, at the bandwidth of a copy.",
        "",
        *resource_table(run["kernels"]),
        "",
        summary(run["kernels"]),
        "",
        f"**Predicted from bytes: batch {BATCH}, {SIDE} x {SIDE} x {CHANNELS} uint8, at the "
        f"{COPY_BANDWIDTH / 1e12:.1f} TB/s of a copy on an H200, without the launches**",
        "",
        *byte_table(),
        "",
        "Layout does not change bytes. A partner is found in the cache for certain only if the "
        "samples that read an image run close together; `kernel time` of bench/kernel.cu has both "
        "orders, the batch's and each sample followed by its partner's, which the operator takes, "
        "as it pays on CPUs. Left to a GPU: whether it pays beside 50 MB of cache, whether stores "
        "that leave the cache first do, and what HWC output loses by storing 16 bytes of every 48 "
        "at a time.",
    ]
    return "\n".join(lines) + "\n", {}


def resource_table(kernels: list[dict[str, Any]]) -> list[str]:
    titles = ["output", "registers", "stack", "spills", "resident threads", "KB under way"]
    titles += ["loads: bytes x count", "stores: bytes x count", "instructions"]
    lines = [row(titles), row(["---", *["--:"] * 5, "---", "---", "--:"])]
    shown = [k for k in kernels if k["kernel"] == "MixInline" and k["tile"] == "VectorTile"]
    shown = [k for k in shown if k["channels"] == k["out_channels"] == CHANNELS]
    for facts in sorted(shown, key=lambda k: (k["layout"], k["out"])):
        spills = facts["spill_stores"] + facts["spill_loads"]
        threads = resident_threads(facts["registers"])
        pixels = 16 // VALUE_BYTES[facts["out"]]
        cells = [f"{facts['out']} {facts['layout']}", facts["registers"], facts["stack"], spills]
        cells += [threads, f"{threads * pixels * 2 * CHANNELS / 1e3:.0f}", widths(facts["loads"])]
        lines.append(row(map(str, [*cells, widths(facts["stores"]), facts["instructions"]])))
    return lines


def resident_threads(registers: int) -> int:
    """How many threads share a multiprocessor; registers are handed out in eights."""
    blocks = REGISTERS // (-(-registers // 8) * 8 * THREADS)
    return min(MOST_THREADS, blocks * THREADS)


def widths(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -int(item[0]))
    return ", ".join(f"{width} x {count}" for width, count in ordered)


def kilobytes(count: float) -> str:
    return f"{count / 1e3:.0f} KB"


def summary(kernels: list[dict[str, Any]]) -> str:
    spilled = sum(k["spill_stores"] + k["spill_loads"] > 0 for k in kernels)
    stacked = sum(k["stack"] > 0 for k in kernels)
    layered = max(k["registers"] for k in kernels if k["layered"])
    return (
        f"Of all {len(kernels)} kernels {stacked} have a stack frame and {spilled} spill "
        f"registers; those for samples with layers take up to {layered} registers."
    )


def moved(out: int) -> dict[str, int]:
    """Bytes read and written for each value of the output, which has `out` bytes."""
    read, widened = 1, 4  # a uint8 value, a float32 one
    cmn = read + out
    permute, multiply, add = 2 * read, read + widened, 3 * widened
    stock_first = permute + 2 * multiply + add + widened + out
    cast = widened + out if out != widened else 0
    stock_last = read + widened + 2 * widened + 2 * 2 * widened + add + cast
    return {
        "crop_mirror_normalize alone, not mixing": cmn,
        "**dali_mix, both images from memory**": 2 * read + out,
        "dali_mix, the partner found in the cache": read + out,
        "DALI stock: permute, multiply twice, add, cmn": stock_first,
        "DALI stock: cmn, permute, multiply twice, add, cast": stock_last,
    }


def byte_table() -> list[str]:
    values = BATCH * SIDE * SIDE * CHANNELS
    titles = [f"{unit}, {name}" for name in SHOWN for unit in ("MB", "predicted us")]
    lines = [row(["", *titles]), row(["---", *["--:"] * len(titles)])]
    columns = [moved(VALUE_BYTES[name]) for name in SHOWN]
    for what in columns[0]:
        cells = [what]
        for column in columns:
            total = column[what] * values
            cells += [f"{total / 1e6:.1f}", f"{total / COPY_BANDWIDTH * 1e6:.0f}"]
        lines.append(row(cells))
    return lines


def kernel_times(name: str, run: dict[str, Any]) -> tuple[str, dict[str, str]]:
    cases = run["cases"]
    orders = list(dict.fromkeys(case["order"] for case in cases))
    lines = [
        "## The CUDA kernel, timed",
        "",
        "uint8 RGB images on the GPU, mixed by the kernel alone, without DALI, in batches that "
        "take turns. ms: on the device, of many launches recorded before; launched: one launch, "
        "with what the host does for it. GB/s: what shows of the images read and the output "
        "written; of the copy: the time of a copy on the device that moves as many bytes, as a "
        "share of the kernel's. Orders: the samples as in the batch, or in a chain, each followed "
        "by its partner's.",
    ]
    sides = sorted(cases, key=shape_of, reverse=True)
    for (batch, side), shaped in groupby(sides, key=shape_of):
        lines += ["", f"**Batch {batch}, {side} x {side} x 3**", ""]
        lines += times_table(list(shaped), orders)
    return "\n".join(lines) + "\n", {}


def shape_of(case: dict[str, Any]) -> tuple[int, int]:
    return case["batch"], case["side"]


def times_table(cases: list[dict[str, Any]], orders: list[str]) -> list[str]:
    """Each order in columns of its own; not every case has every order."""
    figures = ("ms", "launched", "GB/s", "of the copy")
    titles = [f"{figure}, {order}" for order in orders for figure in figures]
    found: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        mirrored = ", mirrored" if case["mirror"] else ""
        key = f"{case['dtype']} {case['layout']}, {case['mix']}{mirrored}"
        rate, share = case["bytes"] / case["ms"] / 1e6, case["copy_ms"] / case["ms"]
        cells = [f"{case['ms']:.4f}", f"{case['launch_ms']:.4f}", f"{rate:,.0f}", f"{share:.2f}"]
        found.setdefault(key, {})[case["order"]] = cells
    lines = [row(["", *titles]), row(["---", *["--:"] * len(titles)])]
    missing = ["-"] * len(figures)
    for key, by_order in found.items():
        lines.append(row([key, *(c for order in orders for c in by_order.get(order, missing))]))
    return lines

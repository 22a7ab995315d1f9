"""The best decoder and pipeline settings of a machine, one after the other, by short segments: the
default, unless another one is certainly faster.

Swept with the unmixed pipeline, so that it is the baseline that is at its best; all DALI
contestants are then given the same settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dali_mix.measure.graphs import GRAPHS, UNMIXED
from dali_mix.measure.intervals import paired_ratio
from dali_mix.measure.pipelines import Settings, Task, dali_loader
from dali_mix.measure.segments import compare_loaders

SEGMENTS = 5


def candidates(
    task: Task, start: Settings, cores: int, largest: tuple[int, int], threads_given: bool
) -> Iterator[tuple[str, list[Any]]]:
    """What to try of each setting, in the order in which they matter."""
    if not threads_given:
        yield "threads", sorted({max(cores // 2, 1), cores, 2 * cores})
    if task.device == "gpu":
        yield "hw_decoder_load", sorted({0.0, 0.25, 0.5, start.hw_decoder_load, 0.8, 0.95})
        yield "hint", [None, largest]
    yield "prefetch", [2, 3, 4]


def sweep(
    task: Task, start: Settings, images: int, tried: Iterator[tuple[str, list[Any]]]
) -> tuple[Settings, list[dict[str, Any]]]:
    """The best of each, the ones before it being set; and every figure, images per second."""
    best, record = start, []
    for setting, values in tried:
        loaders = {
            str(place): dali_loader(task, best._replace(**{setting: value}), GRAPHS[UNMIXED])
            for place, value in enumerate(values)
        }
        results = compare_loaders(loaders, images=images, segments=SEGMENTS, seed=task.seed)
        speeds = [results[str(place)]["images_per_second"] for place in range(len(values))]
        chosen = fastest(values, getattr(start, setting), [speed["samples"] for speed in speeds])
        best = best._replace(**{setting: chosen})
        record.append(
            {
                "setting": setting,
                "values": values,
                "images_per_second": [speed["summary"]["median"] for speed in speeds],
                "chosen": chosen,
            }
        )
    return best, record


def fastest(values: list[Any], default: Any, samples: list[list[float]]) -> Any:
    """The default, unless another is faster with 95 % confidence; of those the fastest."""
    base = samples[values.index(default)]
    ratios = [paired_ratio(speeds, base) for speeds in samples]
    gains = [r["ratio"] if r["low"] > 1 else 1.0 for r in ratios]
    return values[gains.index(max(gains))] if max(gains) > 1 else default


def told(record: list[dict[str, Any]]) -> str:
    """The sweep as text."""
    lines = []
    for row in record:
        pairs = zip(row["values"], row["images_per_second"], strict=True)
        tries = ", ".join(f"{value}: {speed:.0f}" for value, speed in pairs)
        lines.append(f"{row['setting']:16} {row['chosen']!s:12} images/s with {tries}")
    return "\n".join(lines)


def largest_image(files: list[Path], at_most: int = 2000) -> tuple[int, int]:
    """Width and height that no image of the first `at_most` exceeds."""
    from PIL import Image

    sizes = []
    for path in files[:at_most]:
        with Image.open(path) as image:
            sizes.append(image.size)
    widths, heights = zip(*sizes, strict=True)
    return max(widths), max(heights)

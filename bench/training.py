"""Does mixing train better? Small networks, many seeds, every way of mixing beside none at all.

    python bench/training.py                                    digits, all variants
    python bench/training.py --variants none mixup --seeds 5 --data DIR

Every training reads JPEG files through DALI, mixes in the graph (dali_mix.fn) and takes MixLoss.
The data are the handwritten digits of scikit-learn, or an image folder: DIR/train and DIR/val, with
one folder for each class. A seed fixes the training images, their order, their crops and the
initial weights, the same for all variants; a variant and a seed fix the result. AdamW with a
one-cycle schedule, no early stopping; tested on images that are not mixed, after every epoch.

    per batch, per pair   what shares one lam; otherwise each sample has its own
    unfolded              lam from Beta(0.4, 0.4) itself rather than max(lam, 1 - lam)
    two readers           partners from a second, independently shuffled stream, unfolded
    nominal lam           labels weighted with the share drawn for the box, before it is clipped
    both                  mixup or cutmix, drawn for each sample
    manifold              mixup of the input or of one of two hidden layers, drawn for each batch
    smoothed              label smoothing of 0.1
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import training_claims
from bench.training_data import Data, digits, image_folder
from bench.training_graph import VARIANTS
from bench.training_run import Settings, run
from dali_mix import _harness as harness


def main() -> None:
    parser = make_parser()
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            if options.data:
                data = image_folder(options.data, options.size)
            else:
                data = digits(Path(folder))
        except ValueError as error:
            parser.error(f"argument --data: {error}")
        settings = checked_settings(parser, options, data)
        tasks = [(name, seed) for seed in range(options.seeds) for name in options.variants]
        runs = sorted(
            tqdm(all_runs(tasks, data, settings, options.workers), total=len(tasks), unit="run"),
            key=lambda result: (options.variants.index(result["variant"]), result["seed"]),
        )
    record = {
        "benchmark": "training",
        "provenance": harness.provenance(threads=1, workers=options.workers),
        "settings": {
            "data": data.name,
            "classes": data.classes,
            "test_images": len(data.test),
            "size": data.size,
            "seeds": options.seeds,
            "variants": options.variants,
            **dataclasses.asdict(settings),
        },
        "runs": runs,
    }
    print_tables(record)
    if options.out:
        harness.write(options.out, record)


def all_runs(
    tasks: list[tuple[str, int]], data: Data, settings: Settings, workers: int
) -> Iterator[dict[str, Any]]:
    """Results as they come; each worker is a process of its own."""
    if workers == 1:
        yield from (run(name, seed, data, settings) for name, seed in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(run, name, seed, data, settings) for name, seed in tasks]
        for future in as_completed(futures):
            yield future.result()


def print_tables(record: dict[str, Any]) -> None:
    figures = training_claims.FIGURES
    titles = ["accuracy %", "ECE %", "overconfident %", "NLL", "epochs to level", "mean accuracy %"]
    print("\n" + " ".join([f"{'':26}", *(f"{title:>17}" for title in titles)]))
    marks = {figure: training_claims.against_baseline(record, figure) for figure in figures}
    for name in record["settings"]["variants"]:
        cells = []
        for key in figures:
            mark = training_claims.mark(marks[key].get(name))
            cells.append(training_claims.spread(record, name, key) + f" {mark or ' '}")
        print(" ".join([f"{name:26}", *(f"{cell:>17}" for cell in cells)]))
    print("\nmean ± standard deviation over seeds; + better, - worse than none (p < 0.05, Holm)\n")
    for claim, c in training_claims.tested_claims(record):
        print(
            f"{claim.text}: {training_claims.verdict(c)}; {claim.better} minus {claim.worse}, "
            f"{figures[claim.figure].title}: {training_claims.interval(claim, c)}, p {c.p:.2g}"
        )


def make_parser() -> Parser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=__doc__, formatter_class=layout, prog="training.py")
    add, positive = parser.add_argument, harness.positive
    add("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS], metavar="NAME",
        help=f"default all: {'; '.join(VARIANTS)}")  # fmt: skip
    add("--seeds", type=positive, default=12, help="trainings of each variant (default 12)")
    add("--epochs", type=positive, default=60, help="default 60")
    add("--train-images", type=positive,
        help="drawn by each seed, as many of every class (default 200, of DIR all)")  # fmt: skip
    add("--batch", type=positive, default=20, help="even (default 20)")
    add("--level", type=share, default=0.9, help="test accuracy to be reached (default 0.9)")
    add("--data", type=Path, metavar="DIR", help="image folder with train and val")
    add("--size", type=positive, default=64, help="of the images of DIR, in pixels (default 64)")
    add("--workers", type=positive, default=2, help="processes; results are alike (default 2)")
    add("--out", type=harness.new_file, help="new JSON file for the raw run")
    return parser


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try --help.\n")


def share(text: str) -> float:
    """An argparse type: a number in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in (0, 1], got {text}")
    return value


def checked_settings(parser: Parser, options: argparse.Namespace, data: Data) -> Settings:
    count = options.train_images or (len(data.train) if options.data else 200)
    if not data.can_draw(count):
        most = data.smallest_class * data.classes
        parser.error(
            f"argument --train-images: must be a multiple of the {data.classes} classes up to "
            f"{most}, or all {len(data.train)}, got {count}"
        )
    if options.batch % 2 or options.batch > count:
        parser.error(f"argument --batch: must be even and at most {count}, got {options.batch}")
    if len(set(options.variants)) < len(options.variants):
        parser.error("argument --variants: must name each variant once")
    return Settings(options.epochs, options.batch, count, options.level)


if __name__ == "__main__":
    main()

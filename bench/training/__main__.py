"""Measures what mixing does to training, with small networks, many seeds, and known experiments.

    python -m bench.training threes --data mnist.npz
    python -m bench.training noise --data mnist.npz cifar10-mini.tar

threes: the experiment of fastai v1's documentation of mixup: the threes and sevens of MNIST,
        `simple_cnn` (three 3x3 convolutions of stride 2), fastai's Adam (lr 3e-3, betas 0.9 and
        0.99, decoupled weight decay 0.01), constant rate, mixup with alpha 0.4. The table has the
        published figures too.
noise:  wrong labels, as in section 3.4 of the mixup paper (Zhang et al. 2018). A share of the
        training files lies in the folder of a wrong class; the test files do not. With clean, easy
        labels mixing gains nothing. Three blocks of 16, 32 and 64 channels, AdamW with weight decay
        1e-4, one cycle to 1e-2.
cifar:  CIFAR-10 with ResNet-9 in batches of 512, images cropped and mirrored too. They are decoded
        once, stay on the device as bytes, and are fed by external_source. The table has the time.

Image files go through `MixLoader` in batches of 64, and the loss is `MixLoss`, as in a user's
program. Mixing is the only augmentation. A seed fixes the order of the images, the wrong labels and
the initial weights, the same for all ways of mixing. There is no early stopping. After every epoch
the network is tested on images that are not mixed. Figures are mean and standard deviation over the
seeds. A stopped run goes on when the same command is given again, at the same commit.

--data: a NumPy archive of x_train, y_train, x_test, y_test, or a tar of NAME/train/CLASS/FILE and
NAME/test/CLASS/FILE.
"""

import json
import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dali_mix.measure import openmp  # noqa: F401  # before torch

# isort: split
from bench import program
from bench.training import learning, tables
from bench.training.data import corrupted, unpacked

SHARES = (0.2, 0.4, 0.6)
DEFAULTS = {"threes": (20, 20, 64), "noise": (3, 30, 64), "cifar": (3, 24, 512)}
"""Numbers of seeds, of epochs, and of images in a batch."""
Named = tuple[dict[str, Any], learning.Task]
"""Data set and share of wrong labels of a training, and the training."""


def main(arguments: list[str] | None = None) -> None:
    parser, options = parsed(arguments)
    shown = ("experiment", "seeds", "epochs", "batch")
    settings: dict[str, Any] = {name: getattr(options, name) for name in shown}
    settings["ways"] = list(learning.WAYS[options.experiment])
    run = program.run_of("training", options, threads=1, settings=settings, runs=[])
    run["runs"] = begun(parser, options.out, run)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tasks = list(planned(options, Path(folder)))
        except ValueError as error:
            parser.error(f"argument --data: {error}")
        done = len(run["runs"])
        results = trained(tasks[done:], options.workers)
        for result in tqdm(results, total=len(tasks), initial=done, unit="run"):
            program.add(run, "runs", result, len(tasks), options.out)
    for heading, table in tables.of_run(run):
        print(f"\n{heading}\n{table.text()}")
    print("", *tables.claims(run), sep="\n")


def begun(parser: program.Parser, out: Path | None, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The results that a stopped run left in its file."""
    if not out or not out.exists():
        return []
    there, same = json.loads(out.read_text()), ("commit", "command")
    before, now = there["provenance"], run["provenance"]
    if there["complete"] or [before[key] for key in same] != [now[key] for key in same]:
        parser.error(f"argument --out: {out} is complete or of another command or commit")
    return there["runs"]


def planned(options: Any, folder: Path) -> Iterator[Named]:
    """Every training. Writes its files."""
    threes = options.experiment == "threes"
    for number, path in enumerate(options.data):
        clean = unpacked(path, folder / str(number), only=(3, 7) if threes else ())
        named = f"threes and sevens of {clean.name}" if threes else clean.name
        for share in SHARES if options.experiment == "noise" else [0.0]:
            key = {"data": named, **({"share": share} if share else {})}
            for seed in range(options.seed, options.seed + options.seeds):
                place = folder / f"{number} {share} {seed}"
                data = corrupted(clean, place, share, seed) if share else clean
                how = data, seed, options.epochs, options.batch, options.device
                for way in learning.WAYS[options.experiment]:
                    yield key, learning.Task(options.experiment, way, *how)


def trained(tasks: list[Named], workers: int) -> Iterator[dict[str, Any]]:
    """Results in the order of the tasks, from worker processes."""
    spawn, keys = multiprocessing.get_context("spawn"), [key for key, _ in tasks]
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        results = pool.map(learning.run, [task for _, task in tasks])
        yield from (key | result for key, result in zip(keys, results, strict=True))


def parsed(arguments: list[str] | None) -> tuple[program.Parser, Any]:
    parser = program.Parser("bench.training", __doc__)
    parser.add_argument("experiment", choices=list(learning.WAYS))
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="files, see above")
    parser.count("--seeds", None, "trainings of each way (default 20; noise and cifar: 3)")
    parser.count("--epochs", None, "epochs of each training (default 20; noise: 30; cifar: 24)")
    parser.count("--batch", None, "images in a batch (default 64; cifar: 512)")
    parser.device()
    parser.count("--workers", 2, "processes; they do not change the results")
    options = parser.checked(arguments, goes_on=True)
    if options.device == "gpu" and options.experiment != "cifar":
        parser.error("--device gpu is for cifar; the other trainings are on the CPU")
    for name, usual in zip(("seeds", "epochs", "batch"), DEFAULTS[options.experiment], strict=True):
        setattr(options, name, getattr(options, name) or usual)
    return parser, options


if __name__ == "__main__":
    main()

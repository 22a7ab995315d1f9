"""An image folder through DALI to PyTorch, mixed: ImageNet's training and validation batches.

    python pipelines/imagefolder.py imagenet --method both --dtype float16

DIR holds `train` and `val`, or is itself an image folder: one folder of images for each class. The
program reads a few batches of both pipelines and says what came out and how fast. To train, copy
it, and put the model into the loop; the graphs are `dali_mix.recipes`, to be copied as well where
they do not fit.
"""

import argparse
import time
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from nvidia.dali import pipeline_def, types
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator
from tqdm import tqdm

from dali_mix import CutMix, MixTarget, MixUp, recipes

METHODS = {"mixup": [MixUp], "cutmix": [CutMix], "both": [MixUp, CutMix], "none": []}
DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16}


def training_batches(root, args):
    """Iterate over (x, y1, y2, lam), all on one device."""
    chosen = METHODS[args.method]
    methods = [method() if args.alpha is None else method(alpha=args.alpha) for method in chosen]

    @pipeline_def
    def training():
        return recipes.imagefolder_train(root, methods=methods or None, **output_arguments(args))

    # The seed tells the ranks apart; the order of the files has a seed of its own.
    pipeline = training(**pipeline_arguments(args), seed=args.seed + args.shard_id)
    return DALIGenericIterator(
        pipeline,
        ["x", "y1", "y2", "lam"],
        reader_name="Reader",
        last_batch_policy=LastBatchPolicy.DROP,  # the padded end of a shard never mixes
        auto_reset=True,
        prepare_first_batch=False,
    )


def validation_batches(root, args):
    """Iterate over (x, y), every file once."""

    @pipeline_def
    def validation():
        return recipes.imagefolder_val(root, **output_arguments(args))

    return DALIGenericIterator(
        validation(**pipeline_arguments(args)),
        ["x", "y"],
        reader_name="Reader",
        last_batch_policy=LastBatchPolicy.PARTIAL,
        auto_reset=True,
    )


def output_arguments(args):
    shard = {"shard_id": args.shard_id, "num_shards": args.num_shards}
    return {"size": args.size, "dtype": DTYPES[args.dtype], "layout": args.layout, **shard}


def pipeline_arguments(args):
    return {
        "batch_size": args.batch_size,
        "num_threads": args.threads,
        "device_id": None if args.device == "cpu" else torch.cuda.current_device(),
    }


def measure(name, batches, count):
    """Read `count` batches, in as many epochs as it takes; say what came out, and how fast."""
    lams, images, start = [], 0, time.perf_counter()
    epochs = chain.from_iterable(repeat(batches))
    for step, (batch,) in enumerate(tqdm(islice(epochs, count), name, count, unit="batch")):
        x, *labels = batch.values()
        if len(labels) == 3:
            target = MixTarget(*labels)  # here the model would come: loss(model(x), target)
            lams.append(target.lam.cpu())
        if step == 0:
            start = time.perf_counter()  # the first batch waits for the pipeline to start
        else:
            images += len(x)
    seconds = time.perf_counter() - start
    line = f"{name}: x {tuple(x.shape)} {x.dtype} on {x.device}, y {labels[0].dtype}"
    if lams:
        line += f", mean lam {torch.cat(lams).mean():.3f}"
    print(line + (f", {images / seconds:.0f} images/s" if images else ""))


def run(args):
    if not args.folder.is_dir():
        raise ValueError(f"DIR must be a folder, got {args.folder}; name one that holds images.")
    if min(args.batch_size, args.batches, args.threads) < 1:
        raise ValueError("--batch-size, --batches and --threads must be at least 1.")
    if args.device == "auto":
        args.device = "gpu" if torch.cuda.is_available() else "cpu"
    elif args.device == "gpu" and not torch.cuda.is_available():
        raise ValueError("--device gpu needs a GPU, and torch sees none; take --device cpu.")
    parts = [args.folder / "train", args.folder / "val"]
    train, val = (part if part.is_dir() else args.folder for part in parts)
    batches = training_batches(train, args)
    if len(batches) == 0:
        raise ValueError(
            f"--batch-size must be at most the images of one shard of {train}, "
            f"got {args.batch_size}; take a smaller one."
        )
    print(f"{len(recipes.class_names(train))} classes, {len(batches)} training batches an epoch")
    measure("training", batches, args.batches)
    measure("validation", validation_batches(val, args), args.batches)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val, or one")
    parser.add_argument("--method", choices=METHODS, default="both")
    parser.add_argument("--alpha", type=float, help="of Beta(alpha, alpha); None: the method's")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--layout", choices=["CHW", "HWC"], default="CHW")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=20, help="to read of each pipeline")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of each pipeline")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--shard-id", type=int, default=0, help="the rank")
    parser.add_argument("--num-shards", type=int, default=1, help="the number of ranks")
    parser.add_argument("--seed", type=int, default=0)
    try:
        run(parser.parse_args())
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

"""An image folder through DALI to PyTorch, mixed: training and validation batches for ImageNet.

    python pipelines/imagefolder.py imagenet --method both --dtype float16
    python pipelines/imagefolder.py imagenet --recipe timm-vit

DIR holds `train` and `val`, or is itself an image folder: one folder of images for each class. The
program reads a few batches of both and says what came out and how fast. To train, copy it, and put
the model into the loop; the graphs are in `dali_mix.recipes`.

--recipe timm-vit is what timm's train.py does with `--aa rand-m9-mstd0.5-inc1 --mixup 0.8 --cutmix
1.0 --reprob 0.25 --remode pixel`, but for this:
  order    random erasing comes before mixing, on uint8 images, so that lam stays the share of own
           pixels; timm erases the mixed batch. Flips come last
  erasing  paints each rectangle in one random colour (--remode rand), not in one for each pixel; a
           side longer than the image is cut to it, where timm draws the rectangle again
  mixing   is drawn for each image, as with --mixup-mode elem, not once for each batch; partners are
           a random permutation without fixed points, where timm pairs image i with N - 1 - i
  RandAugment  is DALI's: both operations always act (timm's with probability 0.5), with magnitude
           9 of 10 (timm's varies); identity replaces invert and solarize-add; posterize keeps 4
           bits, timm's 1 or 2; what moves in from outside is grey
  resizing is bilinear; timm chooses between bilinear and bicubic
Repeated augmentation (timm's --aug-repeats) is absent: an epoch reads each file once.
"""

import argparse
import time
import warnings
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from nvidia.dali import pipeline_def, types
from nvidia.dali.auto_aug.rand_augment import rand_augment
from tqdm import tqdm

from dali_mix import CutMix, MixLoader, MixTarget, MixUp, Shard, recipes

METHODS = {"mixup": [MixUp], "cutmix": [CutMix], "both": [MixUp, CutMix], "none": []}
TIMM = [MixUp(alpha=0.8, fold=False), CutMix(alpha=1.0)]  # each with probability 0.5
DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16}


def training_batches(root, args):
    """Loader of (x, MixTarget)."""
    timm = args.recipe == "timm-vit"
    alpha = {} if args.alpha is None else {"alpha": args.alpha}
    methods = [method(**alpha) for method in METHODS[args.method or "both"]]

    def augment(images):  # uint8, cropped, not mixed yet
        with warnings.catch_warnings(record=True):  # of RandAugment's own use of operators
            images = rand_augment(images, n=2, m=27, shape=[args.size] * 2, max_translate_rel=0.45)
        return recipes.random_erasing(images)

    graph = {"methods": methods or None, "shard_id": args.shard_id, "num_shards": args.num_shards}
    if timm:
        graph |= {"methods": TIMM, "augment": augment}

    @pipeline_def(enable_conditionals=timm, enable_checkpointing=True)  # RandAugment chooses by if
    def training():
        return recipes.imagefolder_train(root, **graph, **output_arguments(args))

    device_id = None if args.device == "cpu" else torch.cuda.current_device()
    options = {"batch_size": args.batch_size, "num_threads": args.threads, "device_id": device_id}
    # The seed tells the ranks apart; the order of the files has a seed of its own.
    return MixLoader(training(**options, seed=args.seed + args.shard_id))


def validation_batches(root, args):
    """Loader of (x, y), every file once."""
    return MixLoader.from_imagefolder(
        root,
        training=False,
        batch_size=args.batch_size,
        num_threads=args.threads,
        device=args.device,
        shard=Shard(args.shard_id, args.num_shards, args.seed),
        **output_arguments(args),
    )


def output_arguments(args):
    return {"size": args.size, "dtype": DTYPES[args.dtype], "layout": args.layout}


def measure(name, loader, count):
    """Read `count` batches, in as many epochs as it takes; say what came out, and how fast."""
    lams, images, start = [], 0, time.perf_counter()
    epochs = chain.from_iterable(repeat(loader))
    for step, (x, y) in enumerate(tqdm(islice(epochs, count), name, count, unit="batch")):
        if isinstance(y, MixTarget):  # here the model would come: MixLoss(…)(model(x), y)
            lams.append(y.lam.cpu())
            y = y.y1
        if step == 0:
            start = time.perf_counter()  # the first batch waits for the pipeline to start
        else:
            images += len(x)
    seconds = time.perf_counter() - start
    line = f"{name}: x {tuple(x.shape)} {x.dtype} on {x.device}, y {y.dtype}"
    line += f", mean lam {torch.cat(lams).mean():.3f}" if lams else ""
    print(line + (f", {images / seconds:.0f} images/s" if images else ""))


def run(args):
    if not args.folder.is_dir():
        raise ValueError(f"DIR must be a folder, got {args.folder}; name one that holds images.")
    if min(args.batch_size, args.batches, args.threads) < 1:
        raise ValueError("--batch-size, --batches and --threads must be at least 1.")
    if args.device == "auto":
        args.device = "gpu" if torch.cuda.is_available() else "cpu"
    if args.device == "gpu" and not torch.cuda.is_available():
        raise ValueError("--device gpu needs a GPU, and torch sees none; take --device cpu.")
    parts = [args.folder / "train", args.folder / "val"]
    train, val = (part if part.is_dir() else args.folder for part in parts)
    with training_batches(train, args) as loader:
        print(f"{len(recipes.class_names(train))} classes, {len(loader)} training batches an epoch")
        measure("training", loader, args.batches)
    with validation_batches(val, args) as loader:
        measure("validation", loader, args.batches)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="with train and val, or one")
    parser.add_argument("--recipe", choices=["imagenet", "timm-vit"], default="imagenet")
    parser.add_argument("--method", choices=METHODS, help="of recipe imagenet; None: both")
    parser.add_argument("--alpha", type=float, help="of --method; None: the method's default")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--layout", choices=["CHW", "HWC"], default="CHW")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=20, help="to read of each loader")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of each pipeline")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--shard-id", type=int, default=0, help="the rank")
    parser.add_argument("--num-shards", type=int, default=1, help="the number of ranks")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.recipe == "timm-vit" and (args.method, args.alpha) != (None, None):
        parser.error("--method and --alpha belong to --recipe imagenet; timm-vit has its own")
    try:
        run(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        message = str(error).rpartition("    ValueError: ")[2]  # of a graph with conditionals
        parser.exit(2, f"{parser.prog}: {' '.join(message.split())}\n")


if __name__ == "__main__":
    main()

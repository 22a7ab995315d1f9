"""Tar shards of jpg and cls files, as the WebDataset library writes them, read by DALI and mixed.

    python pipelines/webdataset.py shards                                    # local folder
    python pipelines/webdataset.py s3://bucket/train-{000..146}.tar --index s3://bucket/index

SHARDS are tar files, folders of tar files, or s3:// URLs of single tar files: DALI lists no bucket
and expands no pattern (the shell expands the braces). DALI 2.4 reads s3:// itself, with the usual
AWS_* variables of the environment, AWS_ENDPOINT_URL among them; gs:// and https:// it does not.

An index file for each tar tells where its files begin (NVIDIA's wds2idx.py writes it). Without one
DALI walks through the headers at start-up: quick on a disk, one request for each file on S3. Index
files that lie beside local tars, a.idx for a.tar, are used; others, local or on S3, need --index.

A rank reads its part of all samples, not of the tars. Samples are shuffled in a buffer only, and
the order of the tars after each epoch: tars written in random order train best.
"""

import argparse
import os
import time
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types

import dali_mix
import dali_mix.fn as dmix

MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]
DIGITS = 9


@pipeline_def
def training_pipeline(tars, indices, args):
    jpg, cls = fn.readers.webdataset(
        name="Reader",
        paths=tars,
        index_paths=indices or None,
        ext=["jpg;jpeg;JPEG", "cls"],
        missing_component_behavior="error",
        shard_id=args.shard_id,
        num_shards=args.num_shards,
        random_shuffle=True,
        initial_fill=args.buffer,
        shuffle_after_epoch=True,
        pad_last_batch=True,
    )
    decoder = "mixed" if args.device == "gpu" else "cpu"
    images = fn.decoders.image_random_crop(jpg, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=[args.size, args.size])
    return dmix.mix(
        images,
        number(cls),
        [dali_mix.MixUp(alpha=0.2), dali_mix.CutMix(alpha=1.0)],
        mirror=fn.random.coin_flip(),
        mean=MEAN,
        std=STD,
    )


def number(text):
    """Decimal digits as one int32, -1 for anything else: DALI has no operator for that."""
    # Moved to the right end of a row of DIGITS places, with "0" in front.
    start = fn.cast(text.shape(), dtype=types.INT32) - DIGITS
    options = {"axes": [0], "out_of_bounds_policy": "pad", "fill_values": ord("0")}
    row = fn.slice(text, start=start, shape=[DIGITS], **options)
    digits = fn.cast(row, dtype=types.INT32) - ord("0")
    powers = types.Constant([10**place for place in reversed(range(DIGITS))], dtype=types.INT32)
    valid = fn.reductions.min(fn.cast((digits >= 0) & (digits <= 9), dtype=types.INT32))
    short = fn.cast(fn.reductions.max(start) <= 0, dtype=types.INT32)
    value = fn.cast(fn.reductions.sum(digits * powers), dtype=types.INT32)
    return (value + 1) * valid * short - 1


def find_tars(shards):
    tars = []
    for shard in shards:
        if shard.startswith("s3://") or Path(shard).is_file():
            tars.append(shard)
        elif Path(shard).is_dir() and (inside := sorted(Path(shard).glob("*.tar"))):
            tars += map(str, inside)
        else:
            raise ValueError(f"SHARDS must be tars, folders of tars or s3:// URLs, got {shard}.")
    return tars


def find_indices(tars, folder):
    """One index file for each tar, or none at all."""
    if folder is not None:
        names = [os.path.splitext(os.path.basename(tar))[0] for tar in tars]
        return [f"{folder.rstrip('/')}/{name}.idx" for name in names]
    beside = [os.path.splitext(tar)[0] + ".idx" for tar in tars]
    return beside if all(map(os.path.isfile, beside)) else []


def run(args):
    tars = find_tars(args.shards)
    pipeline = training_pipeline(
        tars,
        find_indices(tars, args.index),
        args,
        batch_size=args.batch_size,
        num_threads=args.threads,
        device_id=torch.cuda.current_device() if args.device == "gpu" else None,
        seed=args.seed + args.shard_id,  # of the draws; no two ranks draw alike
    )
    loader = dali_mix.MixLoader(pipeline)
    print(f"{len(tars)} tars, {len(loader)} batches an epoch", flush=True)
    images, lams, start = 0, [], time.perf_counter()
    for x, target in islice(chain.from_iterable(repeat(loader)), args.batches):
        if target.y1.min() < 0:  # waits for a GPU; leave it out when the tars are known
            raise ValueError(f"cls files must hold 1 to {DIGITS} digits and nothing else.")
        images += len(x)  # here the model would come: loss = MixLoss(…)(model(x), target)
        lams.append(target.lam)
    speed = images / (time.perf_counter() - start)
    print(f"x {tuple(x.shape)} {x.dtype} on {x.device}, labels {target.y1.tolist()[:8]} …")
    print(f"mean lam {torch.cat(lams).mean():.3f}, {speed:.0f} images/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("shards", metavar="SHARDS", nargs="+", help="tar, folder or s3:// URL")
    parser.add_argument("--index", metavar="FOLDER", help="of index files; local or s3://")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=20, help="to read")
    parser.add_argument("--buffer", type=int, default=1024, help="samples to shuffle among")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of the pipeline")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--shard-id", type=int, default=0, help="the rank")
    parser.add_argument("--num-shards", type=int, default=1, help="the number of ranks")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if min(args.batches, args.batch_size, args.size, args.threads, args.buffer) < 1:
        parser.error("--batches, --batch-size, --size, --threads and --buffer must be at least 1")
    if args.device == "auto":
        args.device = "gpu" if torch.cuda.is_available() else "cpu"
    try:
        run(args)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

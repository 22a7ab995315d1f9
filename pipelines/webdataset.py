"""Read and mix tar shards of jpg and cls files, as the WebDataset library writes them.

    python pipelines/webdataset.py

TARS are paths or s3:// URLs. DALI 2.4 reads s3:// itself, with the usual AWS_* environment
variables such as AWS_ENDPOINT_URL, but not gs:// or https://. An index file for each tar tells
where its files begin; NVIDIA's wds2idx.py writes it. Without index files (INDEX = None) DALI reads
all headers at the start: quick on a disk, but one request for each file on S3. Each rank reads a
part of all samples, not some of the tars. Samples are shuffled within a buffer only, and the tars
after each epoch, so write the tars in random order.
"""

from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def, types
from torch import nn

import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixLoss, MixUp, recipes, shard

TARS = sorted(map(str, Path("shards").glob("*.tar")))
INDEX = None  # for s3://bucket/a.tar and others: [tar[:-3] + "idx" for tar in TARS]
CLASSES = 1000
SIZE = 224  # height and width in pixels
BUFFER = 1024  # samples in the shuffle buffer
EPOCHS = 90
BATCH = {"batch_size": 64, "num_threads": 4}
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None
DIGITS = 9  # largest number of digits in a cls file


@pipeline_def
def training_pipeline(shard):
    encoded, text = fn.readers.webdataset(
        paths=TARS,
        index_paths=INDEX,
        ext=["jpg;jpeg;JPEG", "cls"],
        missing_component_behavior="error",
        shard_id=shard.shard_id,
        num_shards=shard.num_shards,
        random_shuffle=True,
        initial_fill=BUFFER,
        shuffle_after_epoch=True,
        pad_last_batch=True,
    )
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    decoder = "cpu" if GPU is None else "mixed"
    images = fn.decoders.image_random_crop(encoded, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=[SIZE, SIZE])
    output = {"mean": recipes.IMAGENET_MEAN, "std": recipes.IMAGENET_STD}
    return dmix.mix(images, number(text), [MixUp(0.2), CutMix(1.0)], **output)


def number(text):
    """Decimal digits as one int32, or -1 for anything else. DALI has no operator for that."""
    # Move the digits to the right end of a row of DIGITS places, and fill with "0" before them.
    start = fn.cast(text.shape(), dtype=types.INT32) - DIGITS
    zeros = {"out_of_bounds_policy": "pad", "fill_values": ord("0")}
    row = fn.slice(text, start=start, shape=[DIGITS], axes=[0], **zeros)
    digits = fn.cast(row, dtype=types.INT32) - ord("0")
    powers = types.Constant([10**place for place in reversed(range(DIGITS))], dtype=types.INT32)
    valid = fn.reductions.min(fn.cast((digits >= 0) & (digits <= 9), dtype=types.INT32))
    short = fn.cast(fn.reductions.max(start) <= 0, dtype=types.INT32)
    value = fn.cast(fn.reductions.sum(digits * powers), dtype=types.INT32)
    return (value + 1) * valid * short - 1


def main():
    part = shard()  # shard and seed of this process; the seed differs between ranks
    loader = MixLoader(training_pipeline(part, device_id=GPU, seed=part.seed, **BATCH))
    print(f"{len(TARS)} tars, {len(loader)} batches an epoch", flush=True)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)]
    model = nn.Sequential(nn.Conv2d(3, 16, 7, stride=4, padding=3), nn.ReLU(), *head)
    model.to("cpu" if GPU is None else "cuda")  # put your model here
    criterion = MixLoss(nn.CrossEntropyLoss())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(EPOCHS):
        for x, target in loader:
            if target.y1.min() < 0:  # makes the CPU wait for the GPU; drop it for known tars
                raise ValueError(f"cls files must hold 1 to {DIGITS} digits and nothing else.")
            loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss of the last batch {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()

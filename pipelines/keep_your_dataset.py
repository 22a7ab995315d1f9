"""Keep your Dataset: DALI mixes any Python data set of (encoded image, label) pairs.

    python pipelines/keep_your_dataset.py

DALI's worker processes call the data set through `external_source`, which feeds images and labels
to the pipeline. A seed gives the same batches in every run, with any number of workers.
"""

from pathlib import Path

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from torch.utils.data import Dataset

import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixUp, recipes, shard

FOLDER = Path("photos")  # one folder for each class
SIZE = 224  # height and width in pixels
BATCH_SIZE = 64
EPOCHS = 90
WORKERS = 2  # processes that read the data set; 0: this one reads it
SEED = 0
GPU = torch.cuda.current_device() if torch.cuda.is_available() else None


class Photos(Dataset):
    """Your data set. Its items: the file as (bytes,) uint8, and the class id as int32."""

    def __init__(self):
        names = enumerate(recipes.class_names(FOLDER))
        self.files = [(path, k) for k, name in names for path in sorted((FOLDER / name).iterdir())]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        path, label = self.files[index]
        return np.fromfile(path, np.uint8), np.array(label, np.int32)


def mixed(encoded, labels):
    """The graph that replaces the data set's transforms. It returns (x, y1, y2, lam)."""
    encoded = recipes.header_checked(encoded)  # a broken header is an error, not a crash
    decoder = "cpu" if GPU is None else "mixed"
    images = fn.decoders.image_random_crop(encoded, device=decoder, output_type=types.RGB)
    images = fn.resize(images, size=[SIZE, SIZE])
    output = {"mean": recipes.IMAGENET_MEAN, "std": recipes.IMAGENET_STD}
    return dmix.mix(images, labels, [MixUp(), CutMix()], mirror=fn.random.coin_flip(), **output)


class Order:
    """DALI calls this for each item. Each epoch is a new shuffle; this process reads its share."""

    def __init__(self, dataset, shard):
        self.dataset, self.shard, self.epoch = dataset, shard, -1
        self.size = len(dataset) // shard.num_shards

    def __call__(self, info):
        if info.iteration >= self.size // BATCH_SIZE:
            raise StopIteration
        if info.epoch_idx != self.epoch:
            self.epoch = info.epoch_idx
            order = np.random.default_rng([SEED, self.epoch]).permutation(len(self.dataset))
            self.order = order[self.shard.shard_id :: self.shard.num_shards]
        return self.dataset[self.order[info.idx_in_epoch]]


def loader(shard):
    """Batches of (x, MixTarget). Its state_dict() can be saved to resume."""
    order = Order(Photos(), shard)

    @pipeline_def(enable_checkpointing=True, py_num_workers=WORKERS, py_start_method="spawn")
    def pipeline():
        return mixed(*fn.external_source(order, num_outputs=2, batch=False, parallel=WORKERS > 0))

    own = {"batch_size": BATCH_SIZE, "num_threads": 4, "device_id": GPU, "seed": shard.seed}
    return MixLoader(pipeline(**own), size=order.size)


def main():
    with loader(shard(SEED)) as batches:
        for epoch in range(EPOCHS):
            lams = [target.lam.mean().item() for _, target in batches]  # train your model here
            print(f"epoch {epoch}: {len(lams)} batches, mean lam {np.mean(lams):.3f}", flush=True)


if __name__ == "__main__":
    main()

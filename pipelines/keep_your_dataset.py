"""Keep your Dataset: any Python data set of (encoded image, label) pairs, mixed by DALI.

    python pipelines/keep_your_dataset.py photos                          # proxy, if there is a GPU
    python pipelines/keep_your_dataset.py photos --route external_source  # needs none

DALI's proxy keeps your DataLoader, its sampler and its workers: a worker hands each item to the
pipeline, and gets a placeholder for it. With external_source DALI calls the data set, in workers
of its own. Either way the label is the pipeline's second input: what goes past the pipeline is
not mixed. A seed gives the same batches in every run, one way or the other.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types

import dali_mix
import dali_mix.fn as dmix
from dali_mix import CutMix, MixLoader, MixTarget, MixUp, recipes


class Photos(torch.utils.data.Dataset):
    """Your data set. Its items: the file as (bytes,) uint8, and the class id as int32."""

    def __init__(self, root, proxy=None):
        self.proxy = proxy
        names = list(enumerate(recipes.class_names(root)))
        files = [(path, label) for label, name in names for path in (root / name).iterdir()]
        self.files = sorted((path, label) for path, label in files if recipes.is_image(path.name))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        path, label = self.files[index]
        item = {"encoded": np.fromfile(path, np.uint8), "labels": np.array(label, np.int32)}
        # The proxy gives placeholders of (x, y1, y2, lam).
        return self.proxy(**item) if self.proxy else tuple(item.values())


def mixed(encoded, labels, args):
    """The graph: in place of the data set's transforms. Gives (x, y1, y2, lam)."""
    decoder = "mixed" if torch.cuda.is_available() else "cpu"
    images = fn.decoders.image(encoded, device=decoder, output_type=types.RGB)
    images = fn.random_resized_crop(images, size=args.size)
    mean, std = recipes.IMAGENET_MEAN, recipes.IMAGENET_STD
    flips = fn.random.coin_flip()
    return dmix.mix(images, labels, [MixUp(), CutMix()], mirror=flips, mean=mean, std=std)


def options(args, shard):
    device_id = torch.cuda.current_device() if torch.cuda.is_available() else None
    sizes = {"batch_size": args.batch_size, "num_threads": args.threads}
    # Workers are spawned: DALI refuses to fork once CUDA runs, and PyTorch, when asked, starts it.
    return {"device_id": device_id, "seed": shard.seed, "py_start_method": "spawn", **sizes}


class Order:
    """What DALI calls for each item: a new shuffle in each epoch, this process's share of it."""

    def __init__(self, dataset, args, shard):
        self.dataset, self.seed, self.shard, self.epoch = dataset, args.seed, shard, -1
        self.size = len(dataset) // shard.num_shards
        self.batches = self.size // args.batch_size

    def __call__(self, info):
        if info.iteration >= self.batches:
            raise StopIteration
        if info.epoch_idx != self.epoch:
            self.epoch = info.epoch_idx
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.dataset))
            self.order = order[self.shard.shard_id :: self.shard.num_shards]
        return self.dataset[self.order[info.idx_in_epoch]]


def by_external_source(args, shard):
    """For each epoch, its batches. DALI calls the data set: in workers, or without them here."""
    order = Order(Photos(args.folder), args, shard)

    @pipeline_def
    def pipeline():
        items = fn.external_source(order, num_outputs=2, batch=False, parallel=args.workers > 0)
        return mixed(*items, args)

    made = pipeline(**options(args, shard), py_num_workers=args.workers, enable_checkpointing=True)
    with MixLoader(made, size=order.size) as loader:  # and its state_dict()
        for _ in range(args.epochs):
            yield loader


def by_proxy(args, shard):
    """For each epoch, its batches. Your DataLoader calls the data set, in its workers."""
    from nvidia.dali.plugin.pytorch.experimental import proxy

    @pipeline_def
    def pipeline():
        encoded = fn.external_source(name="encoded", no_copy=True)
        return mixed(encoded, fn.external_source(name="labels", no_copy=True), args)

    # In the order of the batches, not of the workers: else the draws would change places.
    server = proxy.DALIServer(pipeline(**options(args, shard)), deterministic=True)
    dataset = Photos(args.folder, server.proxy)
    split = {"num_replicas": shard.num_shards, "rank": shard.shard_id, "seed": args.seed}
    sampler = torch.utils.data.DistributedSampler(dataset, **split, drop_last=True)
    workers = {"sampler": sampler, "num_workers": max(args.workers, 1), "drop_last": True}
    with server:
        loader = proxy.DataLoader(server, dataset, args.batch_size, **workers)
        for epoch in range(args.epochs):
            sampler.set_epoch(epoch)
            yield ((x, MixTarget(*labels)) for x, *labels in loader)


def run(args):
    on_gpu = torch.cuda.is_available()
    route = args.route if args.route != "auto" else "proxy" if on_gpu else "external_source"
    if route == "proxy" and not on_gpu:
        raise RuntimeError("--route proxy needs a GPU; take --route external_source.")
    epochs = by_proxy if route == "proxy" else by_external_source
    for batches in epochs(args, dali_mix.shard(args.seed)):
        digest, count = hashlib.sha256(), 0
        for x, target in batches:  # here the model would come: criterion(model(x), target)
            for part in (x, *target):
                digest.update(part.cpu().numpy().tobytes())
            count += len(x)
        print(f"{route}: {count} images, digest {digest.hexdigest()[:8]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}; see --help.\n")
    parser.add_argument("folder", metavar="DIR", type=Path, help="one folder for each class")
    parser.add_argument("--route", choices=["auto", "proxy", "external_source"], default="auto")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--workers", type=int, default=2, help="processes that read the data set")
    parser.add_argument("--threads", type=int, default=4, help="CPU threads of the pipeline")
    parser.add_argument("--seed", type=int, default=0)
    try:
        run(parser.parse_args())
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()

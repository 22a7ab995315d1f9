"""The programs in pipelines/ that read in shares: several ranks, and a data set of one's own."""

import copy
import re
import runpy
import socket
import subprocess
import sys
from unittest import mock

import numbered
import numpy as np
import pytest
import torch
from programs import FOLDER, ONE_THREAD, changed, command, run_here
from torch import nn

import dali_mix
from dali_mix import CutMix, MixLoss, MixTarget, MixUp, recipes

# isort: split
from nvidia.dali import fn, pipeline_def
from nvidia.dali.types import SampleInfo

import dali_mix.fn as dmix

SMALL = {"SIZE": 16, "BATCH_SIZE": 4}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 26)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """Training and validation folders; every file is a class of its own."""
    root = tmp_path_factory.mktemp("numbers")
    for part in ("train", "val"):
        numbered.write(root / part, 17)
    return root


# distributed

RECORDED = """
import os, torch, distributed
def step(parallel, criterion, optimizer, x, target):
    loss = plain(parallel, criterion, optimizer, x, target)
    name = f"rank{os.environ['RANK']}-batch{len(losses)}.pt"
    losses.append(loss)
    torch.save({"x": x, "target": tuple(target), "loss": loss}, name)
    return loss
losses, plain, distributed.step = [], distributed.step, step
distributed.main()
"""
"""Runs the program, and keeps what each rank sees, and its losses."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(program, ranks=2):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    place = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    done = subprocess.run(
        [*launcher, *place, program],
        capture_output=True,
        text=True,
        env=ONE_THREAD,
        cwd=program.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def two_ranks(numbers, tmp_path_factory):
    """What two processes printed, and what each of them saw in one epoch."""
    place = tmp_path_factory.mktemp("ranks")
    options = {**SMALL, "EPOCHS": 1, "LEARNING_RATE": 0.5, "THREADS": 1}
    changed(place, "distributed", FOLDER=numbers, **options)
    (place / "recorded.py").write_text(RECORDED)
    printed = torchrun(place / "recorded.py")
    seen = [
        [torch.load(place / f"rank{rank}-batch{batch}.pt") for batch in range(2)]
        for rank in range(2)
    ]
    return printed, seen


def test_distributed_shards_are_disjoint_and_complete(two_ranks):
    files = [
        file for rank in two_ranks[1] for batch in rank for file in batch["target"][0].tolist()
    ]
    assert len(files) == len(set(files)) == 16  # of 17: two shards of 8 and 9, batches of 4


def test_distributed_draws_differ(two_ranks):
    # A box may leave the image whole: such a lam is 1 on any rank, and no draw.
    lams = [batch["target"][2].tolist() for rank in two_ranks[1] for batch in rank]
    drawn = [lam for batch in lams for lam in batch if lam != 1]
    blended = [lam for lam in drawn if (lam * 256) % 1]  # not a count of 16x16 pixels
    assert len(drawn) > 8 and len(set(blended)) == len(blended) > 2


def test_distributed_losses_are_those_of_one_process_on_the_union(two_ranks):
    printed, seen = two_ranks
    torch.manual_seed(0)
    model = runpy.run_path(str(FOLDER / "distributed.py"))["network"](17)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = MixLoss(nn.CrossEntropyLoss())
    losses = []
    for number in range(2):
        parts = [rank[number] for rank in seen]
        x = torch.cat([part["x"] for part in parts])
        target = MixTarget(*map(torch.cat, zip(*(part["target"] for part in parts), strict=True)))
        loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert losses[-1] == pytest.approx(np.mean([part["loss"] for part in parts]), rel=1e-5)
    found = re.fullmatch(r"epoch 0: loss (\d\.\d{6}), validation accuracy 0\.\d{4}\n", printed)
    assert float(found[1]) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.gpu
def test_distributed_trains_on_a_gpu(numbers, tmp_path):
    program = changed(tmp_path, "distributed", FOLDER=numbers, **SMALL, EPOCHS=1)
    line = r"epoch 0: loss \d\.\d{6}, validation accuracy 0\.\d{4}\n"
    assert re.fullmatch(line, torchrun(program, ranks=1))


# keep_your_dataset

DIGESTS = """
import hashlib, keep_your_dataset
def main():
    with keep_your_dataset.loader(keep_your_dataset.shard(0)) as batches:
        for epoch in range(2):
            parts = [part.numpy().tobytes() for x, target in batches for part in (x, *target)]
            print(len(parts), hashlib.sha256(b"".join(parts)).hexdigest())
if __name__ == "__main__":
    main()
"""


def test_keep_your_dataset_is_reproducible_with_any_number_of_workers(photos, tmp_path):
    printed = []
    for workers in (0, 2):
        place = tmp_path / str(workers)
        place.mkdir()
        changed(place, "keep_your_dataset", FOLDER=photos, WORKERS=workers, **SMALL)
        (place / "digests.py").write_text(DIGESTS)
        # In a process of its own: each worker imports the program that was started.
        alone = command(place / "digests.py")
        done = subprocess.run(alone, capture_output=True, text=True, env=ONE_THREAD, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.splitlines())
    assert printed[0] == printed[1]
    first, second = printed[0]
    assert first.startswith("24 ")  # 6 batches of x, y1, y2 and lam: 24 of 26 images
    assert first != second  # another order, other draws


def test_keep_your_dataset_says_how_far_it_is(photos, tmp_path):
    out, _ = run_here(tmp_path, "keep_your_dataset", FOLDER=photos, WORKERS=0, **SMALL, EPOCHS=2)
    assert re.fullmatch(r"(epoch \d: 6 batches, mean lam 0\.\d{3}\n){2}", out)


def test_keep_your_dataset_shuffles_once_an_epoch():
    program = runpy.run_path(str(FOLDER / "keep_your_dataset.py"))
    program["Order"].__call__.__globals__["BATCH_SIZE"] = 4
    fresh = program["Order"](list(range(26)), dali_mix.Shard(1, 2, 0))

    def read(order, epoch, places):
        return [order(SampleInfo(k, k % 4, k // 4, epoch)) for k in places]

    order = copy.copy(fresh)
    with mock.patch.object(np.random, "default_rng", wraps=np.random.default_rng) as shuffles:
        epochs = [read(order, epoch, range(12)) for epoch in range(2)]
    assert shuffles.call_count == 2
    for epoch, files in enumerate(epochs):
        assert files == np.random.default_rng([0, epoch]).permutation(26)[1::2][:12].tolist()
    # A worker, or a run that goes on, may begin anywhere.
    assert read(copy.copy(fresh), 1, range(5, 12)) == epochs[1][5:]
    assert read(order, 0, [7]) == [epochs[0][7]]


class Proxied(torch.utils.data.Dataset):
    """A data set whose items go through DALI's proxy, which gives placeholders of its outputs."""

    def __init__(self, root, proxy):
        self.files, self.proxy = sorted(root.glob("*/*.jpg")), proxy

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        encoded = np.fromfile(self.files[index], np.uint8)
        return self.proxy(encoded=encoded, labels=np.array(index, np.int32))


def test_a_data_set_mixes_through_the_proxy_of_dali(numbers, monkeypatch):
    """Which needs a GPU to be useful: without one all of it works but its profiler marks."""
    from nvidia.dali.plugin.pytorch.experimental import proxy

    monkeypatch.setattr(torch.cuda.nvtx, "range_push", lambda message: 0)
    monkeypatch.setattr(torch.cuda.nvtx, "range_pop", lambda: 0)

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1, py_start_method="spawn")
    def pipeline():
        encoded, labels = (
            fn.external_source(name=name, no_copy=True) for name in ("encoded", "labels")
        )
        images = fn.resize(fn.decoders.image(encoded), size=[16, 16])
        mean, std = recipes.IMAGENET_MEAN, recipes.IMAGENET_STD
        return dmix.mix(images, labels, [MixUp(), CutMix()], mean=mean, std=std)

    def epochs():
        # In the order of the batches, not of the workers: else the draws would change places.
        with proxy.DALIServer(pipeline(), deterministic=True) as server:
            dataset = Proxied(numbers / "train", server.proxy)
            sampler = torch.utils.data.DistributedSampler(dataset, 1, 0, drop_last=True)
            own = {"sampler": sampler, "num_workers": 1, "drop_last": True}
            loader = proxy.DataLoader(server, dataset, 4, **own)
            for epoch in range(2):
                sampler.set_epoch(epoch)
                yield [(x, MixTarget(*labels)) for x, *labels in loader]

    first, second = epochs()
    for x, (y1, y2, lam) in first:
        assert x.shape == (4, 3, 16, 16) and not torch.any(y1 == y2)
        red = x[:, 0] * recipes.IMAGENET_STD[0] + recipes.IMAGENET_MEAN[0]
        share = numbered.STEP * (lam * y1 + (1 - lam) * y2)
        torch.testing.assert_close(red.mean((1, 2)), share, rtol=0, atol=0.01)
    assert len({file for batch in numbered.files(first) for file in batch}) == 16
    for seen, again in zip((first, second), epochs(), strict=True):
        numbered.assert_same(again, seen)

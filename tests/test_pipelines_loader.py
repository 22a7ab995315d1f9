"""The programs in pipelines/ that show the loader, as someone runs them."""

import copy
import importlib.util
import re
import runpy
import socket
import subprocess
import sys
from argparse import Namespace
from unittest import mock

import numbered
import numpy as np
import pytest
import torch
from programs import FOLDER, ONE_THREAD, command, run_here
from torch import nn

import dali_mix
from dali_mix import MixLoss, MixTarget

# isort: split
from nvidia.dali.types import SampleInfo

SMALL = ["--size", "16", "--batch-size", "4", "--threads", "1"]
NAMES = ["distributed", "keep_your_dataset", "resume", "swap_dataloader"]


def run(name, *arguments, fails=False):
    """What it prints, or its error if it is to fail."""
    status, out, error = run_here(name, *arguments)
    assert (status != 0) == fails, error
    return error if fails else out


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


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_on_a_page_and_says_what_it_takes(name):
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 150
    assert "--batch-size" in run(name, "--help")


def test_swap_dataloader_trains_and_validates(numbers):
    lines = run("swap_dataloader", numbers, *SMALL, "--epochs", 2).splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert re.fullmatch(
            rf"epoch {epoch}: training loss \d\.\d{{4}}, validation loss \d\.\d{{4}}, "
            r"accuracy 0\.\d{4}",
            line,
        )


def test_swap_dataloader_marks_what_changes():
    marked = [
        line.partition("  # CHANGED")[0].strip()
        for line in (FOLDER / "swap_dataloader.py").read_text().splitlines()
        if "  # CHANGED" in line
    ]
    assert len(marked) == 3
    assert marked[0].startswith("from dali_mix import") and "MixLoss(" in marked[2]


def test_swap_dataloader_before_names_what_it_needs(numbers):
    if importlib.util.find_spec("torchvision"):
        pytest.skip("torchvision is installed")
    error = run("swap_dataloader", numbers, "--before", fails=True)
    assert error == "swap_dataloader.py: --before needs torchvision; pip install torchvision.\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(*arguments, ranks=2):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    place = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    program = command("distributed", *arguments)[3:]
    line = [*launcher, *place, *program]
    done = subprocess.run(line, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def two_ranks(numbers, tmp_path_factory):
    """What two processes printed, and what each of them saw in one epoch."""
    record = tmp_path_factory.mktemp("record")
    options = ["--device", "cpu", "--epochs", 1, "--lr", 0.5, "--record", record]
    printed = torchrun(numbers, *SMALL, *options)
    seen = [
        [torch.load(record / f"rank{rank}-batch{batch}.pt") for batch in range(2)]
        for rank in range(2)
    ]
    return printed.splitlines(), seen


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
    model = runpy.run_path(str(FOLDER / "distributed.py"))["small_model"](17)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = MixLoss(nn.CrossEntropyLoss())
    for number in range(2):
        parts = [rank[number] for rank in seen]
        x = torch.cat([part["x"] for part in parts])
        target = MixTarget(*map(torch.cat, zip(*(part["target"] for part in parts), strict=True)))
        loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert printed[number].startswith(f"batch {number}: loss ")
        assert loss.item() == pytest.approx(parts[0]["loss"], rel=1e-5)
        assert parts[0]["loss"] == parts[1]["loss"]
    assert re.fullmatch(r"epoch 0: validation accuracy 0\.\d{4}", printed[2])


@pytest.mark.gpu
def test_distributed_trains_on_a_gpu(numbers):
    printed = torchrun(numbers, *SMALL, "--device", "gpu", "--epochs", 1, ranks=1)
    sums = r"(batch \d: loss \d\.\d{6}\n){4}epoch 0: validation accuracy 0\.\d{4}\n"
    assert re.fullmatch(sums, printed)


def test_distributed_says_how_it_is_started(numbers, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert "start it with torchrun" in run("distributed", numbers, fails=True)


def test_keep_your_dataset_is_reproducible(photos):
    arguments = ["keep_your_dataset", photos, *SMALL, "--route", "external_source", "--workers"]
    first, second = run(*arguments, 0).splitlines()
    assert re.fullmatch(r"external_source: 24 images, digest [0-9a-f]{8}", first)
    assert first != second  # another order, other draws
    # In a process of its own: each worker imports the program that was started.
    alone = command(*arguments, 2)
    done = subprocess.run(alone, capture_output=True, text=True, env=ONE_THREAD, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, [first, second]), done.stderr


def test_keep_your_dataset_shuffles_once_an_epoch():
    program = runpy.run_path(str(FOLDER / "keep_your_dataset.py"))
    args = Namespace(seed=3, batch_size=4)
    fresh = program["Order"](list(range(26)), args, dali_mix.Shard(1, 2, 0))

    def read(order, epoch, places):
        return [order(SampleInfo(k, k % 4, k // 4, epoch)) for k in places]

    order = copy.copy(fresh)
    with mock.patch.object(np.random, "default_rng", wraps=np.random.default_rng) as shuffles:
        epochs = [read(order, epoch, range(12)) for epoch in range(2)]
    assert shuffles.call_count == 2
    for epoch, files in enumerate(epochs):
        assert files == np.random.default_rng([3, epoch]).permutation(26)[1::2][:12].tolist()
    # A worker, or a run that goes on, may begin anywhere.
    assert read(copy.copy(fresh), 1, range(5, 12)) == epochs[1][5:]
    assert read(order, 0, [7]) == [epochs[0][7]]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_keep_your_dataset_says_that_the_proxy_needs_a_gpu(photos):
    error = run("keep_your_dataset", photos, "--route", "proxy", fails=True)
    assert error.endswith("--route proxy needs a GPU; take --route external_source.\n")


def test_keep_your_dataset_mixes_through_the_proxy(numbers, monkeypatch):
    # Without CUDA all of the proxy works but its profiler marks.
    monkeypatch.setattr(torch.cuda.nvtx, "range_push", lambda message: 0)
    monkeypatch.setattr(torch.cuda.nvtx, "range_pop", lambda: 0)
    program = runpy.run_path(str(FOLDER / "keep_your_dataset.py"))
    args = Namespace(
        folder=numbers / "train", epochs=2, batch_size=4, size=16, workers=1, threads=1, seed=0
    )

    def epochs():
        return [list(batches) for batches in program["by_proxy"](args, dali_mix.shard(0))]

    first, second = epochs()
    for x, (y1, y2, lam) in first:
        assert x.shape == (4, 3, 16, 16) and not torch.any(y1 == y2)
        red = x[:, 0] * dali_mix.recipes.IMAGENET_STD[0] + dali_mix.recipes.IMAGENET_MEAN[0]
        share = numbered.STEP * (lam * y1 + (1 - lam) * y2)
        torch.testing.assert_close(red.mean((1, 2)), share, rtol=0, atol=0.01)
    assert len({file for batch in numbered.files(first) for file in batch}) == 16
    again = epochs()
    numbered.assert_same(again[0], first)
    numbered.assert_same(again[1], second)

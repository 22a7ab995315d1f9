"""MixLoader(repeats=…): several crops of each image in a batch, each image decoded once."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from dali_mix import CutMix, MixLoader, MixUp, MultiMix, Scheduled, recipes

# isort: split
from nvidia.dali import pipeline_def

COUNT, REPEATS = 7, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each image has one colour of its own, so that a mixed pixel tells what was mixed."""
    root = tmp_path_factory.mktemp("photos")
    for k in range(COUNT):
        (root / f"class{k}").mkdir()
        image = Image.new("RGB", (41 + k, 29 + 2 * k), (10 * k + 5,) * 3)
        image.save(root / f"class{k}/one.png")
    return root


PLAIN = {"size": 8, "mean": 0.0, "std": 1.0, "mirror": 0.0, "device": "cpu"}


def loader_of(folder, **arguments):
    batch_size = arguments.pop("batch_size", COUNT * REPEATS)
    repeats = arguments.pop("repeats", REPEATS)
    given = PLAIN | {"methods": MixUp(1.0, fold=False)} | arguments
    return MixLoader.from_imagefolder(folder, batch_size=batch_size, repeats=repeats, **given)


def test_a_batch_has_all_crops_each_mixed_with_other_images(folder):
    with loader_of(folder) as loader:
        assert (len(loader), loader.batch_size) == (1, COUNT * REPEATS)
        assert f"batch_size={COUNT * REPEATS}" in repr(loader)
        partners = []
        for _ in range(10):
            ((x, target),) = loader
            assert x.shape == (COUNT * REPEATS, 3, 8, 8)
            groups = target.y1.view(REPEATS, COUNT)
            assert (groups == groups[0]).all() and len(set(groups[0].tolist())) == COUNT
            assert (target.y1 != target.y2).all()  # each class has one image: no sibling either
            lam = target.lam
            assert len(set(lam.tolist())) == COUNT * REPEATS  # drawn apart
            expected = (10 * target.y1 + 5) * lam + (10 * target.y2 + 5) * (1 - lam)
            assert (x - expected.view(-1, 1, 1, 1)).abs().max() < 1e-3
            partners.append(target.y2.view(REPEATS, COUNT))
    together = torch.stack(partners)
    assert not (together[:, 0] == together[:, 1]).all()


def test_each_crop_is_another_window(tmp_path):
    (tmp_path / "a").mkdir()
    ramp = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 90, 3))
    for k in range(2):
        Image.fromarray(ramp).save(tmp_path / f"a/{k}.png")
    with loader_of(tmp_path, methods=None, batch_size=2 * REPEATS) as loader:
        ((x, _),) = loader
    middles = x.mean((1, 2, 3)).view(REPEATS, 2)
    assert len(set(middles.flatten().tolist())) == 2 * REPEATS


def test_the_law_of_the_crop_does_not_depend_on_repeats(tmp_path):
    """Where the middle of a crop lies, and how much it shows, for crops of decoded images and for
    crops that the decoder makes."""
    (tmp_path / "a").mkdir()
    rows = np.tile(np.arange(250, dtype=np.uint8)[:, None, None], (1, 97, 3))
    for k in range(20):
        Image.fromarray(rows).save(tmp_path / f"a/{k}.png")
    seen = {}
    for repeats in (1, 4):
        with loader_of(tmp_path, methods=None, batch_size=20, repeats=repeats) as loader:
            x = torch.cat([batch for _ in range(60 // repeats) for batch, _ in loader])
        seen[repeats] = x.mean((1, 2, 3)), x[:, 0].amax((1, 2)) - x[:, 0].amin((1, 2))
    for one, other in zip(*seen.values(), strict=True):
        spread = (one.var() / len(one) + other.var() / len(other)).sqrt()
        assert len(one) == len(other) and abs(one.mean() - other.mean()) < 4 * spread


def test_augmentations_are_drawn_for_each_crop(folder):
    def painted(images):
        return recipes.random_erasing(images, prob=0.5, area=(0.99, 1.0), fill=250)

    with loader_of(folder, methods=None, augment=painted) as loader:
        x = torch.cat([x for _ in range(20) for x, _ in loader])
    painted = (x == 250).flatten(1).any(1).view(-1, REPEATS, COUNT)
    kinds = {tuple(row.tolist()) for row in painted.permute(0, 2, 1).reshape(-1, REPEATS)}
    assert len(kinds) == 2**REPEATS


def test_a_state_goes_on_where_it_was(folder):
    def batches(loader, count):
        return [(x, *target) for _ in range(count) for x, target in loader]

    with loader_of(folder) as loader:
        batches(loader, 2)
        state = loader.state_dict()
        expected = batches(loader, 2)
    with loader_of(folder) as loader:
        loader.load_state_dict(state)
        for one, other in zip(batches(loader, 2), expected, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("last_batch", ["drop", "partial", "fill"])
def test_an_epoch_ends_with_whole_groups(folder, last_batch):
    with loader_of(folder, batch_size=4 * REPEATS, last_batch=last_batch) as loader:
        sizes = [len(target.lam) for _, target in loader]
    rest = {"drop": [], "partial": [3 * REPEATS], "fill": [4 * REPEATS]}[last_batch]
    assert sizes == [4 * REPEATS, *rest]


def test_it_works_for_more_images_and_for_labels_that_are_not_mixed(folder):
    with loader_of(folder, methods=MultiMix(images=3)) as loader:
        ((x, target),) = loader
    assert target.ys.shape == (COUNT * REPEATS, 3) and len(x) == COUNT * REPEATS

    @pipeline_def(batch_size=COUNT, num_threads=1, device_id=None, enable_checkpointing=True)
    def plain():
        made = {k: v for k, v in PLAIN.items() if k != "device"}
        outputs = recipes.imagefolder_train(folder, methods=CutMix(), repeats=2, **made)
        return outputs[0], outputs[1], outputs[4], outputs[5]

    with MixLoader(plain(), mixed=False, repeats=2, last_batch="drop") as loader:
        ((x, y),) = loader
    assert torch.equal(y[:COUNT], y[COUNT:]) and len(x) == 2 * COUNT


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        *(
            (
                given,
                "repeats must be a whole number that divides batch_size, and 1 in validation, got "
                f"{given['repeats']!r} with batch_size={given['batch_size']}.",
            )
            for given in (
                {"repeats": 2, "batch_size": 7},
                {"repeats": 0, "batch_size": 8},
                {"repeats": 1.5, "batch_size": 3},
                {"repeats": "x", "batch_size": 3},
            )
        ),
        (
            {"repeats": 2, "batch_size": 4, "plan": True},
            "plan=True cannot be combined with repeats, each of which has its own plan.",
        ),
        (
            {"repeats": 2, "batch_size": 4, "size": Scheduled("side", 8, most=16)},
            "size must be whole pixels with repeats, got a Scheduled.",
        ),
    ],
)
def test_what_cannot_be_repeated_is_refused(folder, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        loader_of(folder, **arguments)


def test_a_pipeline_must_have_the_groups_that_are_said(folder):
    @pipeline_def(batch_size=COUNT, num_threads=1, device_id=None)
    def one_group():
        return recipes.imagefolder_train(folder, size=8)

    sentence = "with repeats=3 the pipeline must put out 3 groups of outputs, alike, got 4 outputs."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        MixLoader(one_group(), repeats=3)

"""from_imagefolder(augment=…): DALI's automatic augmentations, which choose by `if`, and others."""

import shutil
from functools import partial

import numbered
import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.auto_aug.auto_augment import auto_augment
from nvidia.dali.auto_aug.rand_augment import rand_augment
from nvidia.dali.auto_aug.trivial_augment import trivial_augment_wide

from dali_mix import MixUp, recipes

SHAPE = [numbered.SIZE] * 2


def by_hand(images):
    """A function of one's own that chooses."""
    if fn.random.coin_flip(dtype=types.BOOL):
        images = fn.flip(images, vertical=1)
    return recipes.random_erasing(images)


AUGMENTS = {
    "RandAugment": lambda images: rand_augment(images, n=1, m=9, shape=SHAPE),
    "AutoAugment": lambda images: auto_augment(images, "svhn", shape=SHAPE),
    "TrivialAugment": partial(trivial_augment_wide, shape=SHAPE),
    "a choice": by_hand,
    "no choice": recipes.random_erasing,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), 7)


@pytest.mark.parametrize("augment", AUGMENTS.values(), ids=AUGMENTS)
def test_batches_are_augmented_substituted_whole_and_resumable(photos, tmp_path, augment):
    options = {"augment": augment, "methods": MixUp(1.0), "last_batch": "partial"}
    bad, good = shutil.copytree(photos, tmp_path / "b"), shutil.copytree(photos, tmp_path / "g")
    (bad / "0" / "002.jpg").write_bytes(b"no image")
    shutil.copy(photos / "0" / "004.jpg", good / "0" / "002.jpg")
    expected = [*(loader := numbered.loader(good, **options)), *loader]
    assert [len(x) for x, _ in expected] == [4, 3, 4, 3]
    loader = numbered.loader(bad, **options, on_bad_file="substitute")
    got, states = [], []
    for _ in range(2):
        for batch in loader:
            got.append(batch)
            states.append(loader.state_dict())
    numbered.assert_same(got, expected)
    assert [one.path for one in loader.substituted] == [f"{bad}/0/002.jpg"]
    loader.load_state_dict(numbered.through_json(states[0]))
    numbered.assert_same([*loader, *loader], expected[1:])
    plain = list(numbered.loader(good, **(options | {"augment": None})))
    assert not all(torch.equal(x, y) for (x, _), (y, _) in zip(plain, expected[:2], strict=True))


def test_each_image_is_augmented_by_its_own_choice(photos):
    def turned(images):
        if images[0, 0, 0] % np.uint8(2) == 0:
            images = fn.cast(255 - images, dtype=types.UINT8)
        return images

    plain, changed = (
        next(iter(numbered.loader(photos, 7, augment=augment, methods=None, mirror=0)))
        for augment in (None, turned)
    )
    x, expected = changed[0], plain[0].clone()
    even = (expected[:, 0, 0, 0] % 2 == 0)[:, None, None, None]
    assert 0 < even.sum() < 7
    assert torch.equal(x, torch.where(even, 255 - expected, expected))
    assert torch.equal(changed[1].y1, plain[1].y1)


def test_a_recipe_in_a_pipeline_of_ones_own_takes_them_too(photos):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1, enable_conditionals=True)
    def training():
        return recipes.imagefolder_train(photos, size=16, augment=AUGMENTS["RandAugment"])

    x, y1, y2, lam = training().run()
    assert [len(part) for part in (x, y1, y2, lam)] == [4] * 4


SOURCELESS = {}
exec("def choose(images): return images if images[0, 0, 0] > 9 else images + 1", SOURCELESS)
exec("def plain(images): return images", SOURCELESS)


def fails(images):
    raise KeyError("my own")


def two(images):
    return images, images


REFUSED = {
    "its own": (fails, KeyError, "^'my own'$"),
    "nothing": (lambda images: None, TypeError, "must return the images .* changed, got None"),
    "two": (two, TypeError, r"^augment must return the images that it was given, changed, got \("),
    "no source": (SOURCELESS["choose"], TypeError, "chooses by `if` .* cannot read its source; de"),
    "no function": ("flip", TypeError, r"^augment must be a function of images, got 'flip'\.$"),
}


@pytest.mark.parametrize(("augment", "kind", "sentence"), REFUSED.values(), ids=REFUSED)
def test_an_augment_that_cannot_be_used_is_named(photos, augment, kind, sentence):
    with pytest.raises(kind, match=sentence):
        numbered.loader(photos, augment=augment)


def test_other_errors_and_functions_are_as_without(photos):
    with pytest.raises(ValueError, match=r"^mirror must be a probability in \[0, 1\], got 2\.$"):
        numbered.loader(photos, augment=by_hand, mirror=2)
    with pytest.raises(TypeError, match="with training=False has no argument 'augment'"):
        numbered.loader(photos, augment=by_hand, training=False)
    assert len(next(iter(numbered.loader(photos, augment=SOURCELESS["plain"])))[0]) == 4

"""The standard recipes: each argument of the wrong kind is named, before a file is looked at."""

import math
import re

import numpy as np
import pytest

from dali_mix import recipes

# isort: split
from nvidia.dali import Pipeline

NAN = math.nan
BOTH = pytest.mark.parametrize("recipe", [recipes.imagefolder_train, recipes.imagefolder_val])


def check_refused(sentence, recipe, root="none", **arguments):
    with (
        pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"),
        Pipeline(batch_size=1, num_threads=1, device_id=None),
    ):
        recipe(root, **arguments)


@pytest.mark.parametrize(
    "size",
    [
        *(224.0, NAN, "24", None, True, np.array(24.0)),
        *((24,), (24, 24, 24), (24.5, 24), (NAN, 24), ("24", 24), (24, True), "ab"),
    ],
    ids=repr,
)
@BOTH
def test_a_size_that_is_no_whole_pixels_is_named(recipe, size):
    rule = "size must be whole pixels, one number or (height, width)"
    check_refused(f"{rule}, got {size!r}.", recipe, size=size)


@pytest.mark.parametrize("size", [np.int64(0), (24, 0), [-1, 24]])
@BOTH
def test_a_size_below_one_pixel_is_named(recipe, size):
    check_refused(f"size must be at least one pixel each way, got {size}.", recipe, size=size)


@pytest.mark.parametrize("resize", ["30", (30, 30), NAN, math.inf, 10])
def test_a_shorter_side_that_is_no_length_is_named(resize):
    check_refused(
        f"resize must be finite and at least the size of the crop, 24x20 pixels, got {resize!r}.",
        recipes.imagefolder_val,
        size=(24, 20),
        resize=resize,
    )


@pytest.mark.parametrize("mirror", ["0.5", None, (0, 1), NAN])
def test_a_mirror_that_is_no_probability_is_named(mirror):
    sentence = f"mirror must be a probability in [0, 1], got {mirror!r}."
    check_refused(sentence, recipes.imagefolder_train, mirror=mirror)


AREAS = [0.5, None, "ab", (0.5,), (0.1, 0.2, 0.3), (0.5, 0.2), (NAN, 1), (0.5, NAN), (-1, 0.5)]


@pytest.mark.parametrize("area", [*AREAS, (1.5, 2)])
def test_an_area_of_the_crop_that_is_no_range_is_named(area):
    rule = "area must be (low, high) with 0 <= low <= high <= 1"
    check_refused(f"{rule}, got {area!r}.", recipes.imagefolder_train, area=area)


@pytest.mark.parametrize("aspect", [*AREAS, (1, math.inf), (0, 1), (0, 0)])
def test_an_aspect_of_the_crop_that_is_no_range_is_named(aspect):
    rule = "aspect must be (low, high) with 0 < low <= high < inf"
    check_refused(f"{rule}, got {aspect!r}.", recipes.imagefolder_train, aspect=aspect)


@pytest.mark.parametrize("seed", ["a", 0.5, None, True])
def test_a_shuffle_seed_that_is_no_whole_number_is_named(seed):
    sentence = f"shuffle_seed must be a whole number, got {seed!r}."
    check_refused(sentence, recipes.imagefolder_train, shuffle_seed=seed)


def test_an_augment_that_is_no_function_is_named():
    with pytest.raises(TypeError, match=r"^augment must be a function of images, got 'flip'\.$"):
        recipes.imagefolder_train("none", augment="flip")


@pytest.mark.parametrize("shard", [("0", 2), (0.5, 2), (0, 2.5), (None, 2), (NAN, 2)])
@BOTH
def test_a_shard_that_is_no_whole_number_is_named(recipe, shard):
    check_refused(
        f"shard_id and num_shards must be whole numbers, got {shard[0]!r} and {shard[1]!r}.",
        recipe,
        shard_id=shard[0],
        num_shards=shard[1],
    )

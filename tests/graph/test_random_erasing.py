"""recipes.random_erasing: its law, its colour, and what it refuses."""

import math
import re

import numpy as np
import pytest

from dali_mix import recipes

# isort: split
from nvidia.dali import Pipeline, types


def erased(image: np.ndarray, count: int, **arguments) -> np.ndarray:
    """(count, H, W, C): the image erased `count` times."""
    pipeline = Pipeline(count, num_threads=2, device_id=None, seed=1)
    with pipeline:
        images = types.Constant(image, layout="HWC")
        pipeline.set_outputs(recipes.random_erasing(images, **arguments))
    return pipeline.run()[0].as_array()


def erased_boxes(count=4000, shape=(48, 64), **arguments) -> tuple[np.ndarray, np.ndarray]:
    """(count, H, W) what is erased, and (count, 4) the box around it, of those that are."""

    x = erased(np.zeros((*shape, 3), np.uint8), count, fill=255, **arguments)
    mask = x[..., 0] == 255
    rows, columns = mask.any(2), mask.any(1)
    found = mask.any((1, 2))
    ends = [rows.argmax(1), columns.argmax(1)]
    ends += [shape[0] - rows[:, ::-1].argmax(1), shape[1] - columns[:, ::-1].argmax(1)]
    return mask, np.stack(ends, 1)[found]


def test_random_erasing_follows_its_law():
    mask, boxes = erased_boxes()
    assert abs(len(boxes) / 4000 - 0.25) < 0.03  # four standard deviations
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (height * width == mask.sum((1, 2))[mask.any((1, 2))]).all()  # a full rectangle
    area = height * width / (48 * 64)
    # Uniform from 0.02 to 1/3, except where sides are cut to the image.
    assert area.min() > 0.015 and area.max() < 0.35 and abs(area.mean() - 0.1767) < 0.012
    whole = (height < 48) & (width < 64)
    assert abs(np.log(height / width)[whole].mean()) < 0.1
    assert abs(np.log(height / width)[whole].std() - np.log(1 / 0.3) / 3**0.5) < 0.06
    # Every place that fits is alike likely: the first and the last alike.
    for start, side, length in ((boxes[:, 0], height, 48), (boxes[:, 1], width, 64)):
        place = (start + 0.5) / (length - side + 1)
        assert abs(place.mean() - 0.5) < 0.04 and abs((place < 0.25).mean() - 0.25) < 0.06


def test_random_erasing_cuts_what_is_larger_than_the_image():
    _, boxes = erased_boxes(200, prob=1.0, area=(0.9999, 1.0), aspect=(3.999, 4.0))
    assert (boxes[:, [0, 2]] == [0, 48]).all() and (boxes[:, 3] - boxes[:, 1] == 28).all()


def test_random_erasing_paints_one_colour_drawn_for_each_image():
    image = np.full((8, 8, 3), 7, np.uint8)
    x = erased(image, 3000, prob=1.0, area=(0.99, 1.0), aspect=(0.99, 1.0))
    assert (x == x[:, :1, :1]).all()
    colors = x[:, 0, 0].astype(np.float64)
    # Normal, cut to [0, 255] at about two standard deviations.
    assert np.abs(np.median(colors, 0) - recipes.IMAGENET_MEAN).max() < 6
    assert np.abs(colors.std(0) - recipes.IMAGENET_STD).max() < 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        *(
            ({"prob": prob}, f"prob must be a probability in [0, 1], got {prob!r}.")
            for prob in (1.5, "x", None, math.nan)
        ),
        *(
            (
                {"area": area},
                f"area must be (low, high) with 0 < low < high <= 1, got {area!r}.",
            )
            for area in (
                (0.5, 0.2),
                (0.5, 0.5),
                (0.5, 2),
                (0, 0.5),
                0.5,
                None,
                (0.5,),
                (0.1, 0.2, 1),
            )
        ),
        *(
            (
                {"aspect": aspect},
                f"aspect must be (low, high) with 0 < low < high < inf, got {aspect!r}.",
            )
            for aspect in ((0, 2), (1, math.inf), (math.nan, 1), 3, ("a", "b"))
        ),
    ],
)
def test_bad_arguments_of_random_erasing(arguments, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        erased_boxes(1, **arguments)

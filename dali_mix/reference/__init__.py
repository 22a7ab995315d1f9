"""The definition of dali_mix in NumPy: boxes, weights, pixels, shapes. Read it in five minutes.

It is not optimised, and draws nothing at random. Where a backend disagrees, the reference is right
until a test shows otherwise."""

from dali_mix.reference.pixels import (
    apply,
    cast,
    copy_images,
    from_frames,
    mix_images,
    place,
    shown_images,
    to_frames,
    window,
)
from dali_mix.reference.shapes import place_of, snap, travel, visible_box, visible_point
from dali_mix.reference.sizes import nearest, resized
from dali_mix.reference.weights import (
    count_lam,
    count_weights,
    cut_box,
    fold,
    image_weights,
    own_weight,
    pair_labels,
)

__all__ = [
    "apply",
    "cast",
    "copy_images",
    "count_lam",
    "count_weights",
    "cut_box",
    "fold",
    "from_frames",
    "image_weights",
    "mix_images",
    "nearest",
    "own_weight",
    "pair_labels",
    "place",
    "place_of",
    "resized",
    "shown_images",
    "snap",
    "to_frames",
    "travel",
    "visible_box",
    "visible_point",
    "window",
]

"""Random batches for test_kernel.py: pairs with boxes and weights, and samples with layers."""

import numpy as np
from kernel_cases import Case, Mixed, Picture, guarded


def picture(rng, settings, size, margin=(3, 15)):
    """A window of `size` in an image that is larger by up to `margin`."""
    in_type, channels, interleaved = settings[0], settings[2], settings[4]
    slack = [int(rng.integers(0, m + 1)) for m in margin]
    height, width = size[0] + slack[0], size[1] + slack[1]
    shape = (height, width, channels) if interleaved else (channels, height, width)
    array = rng.integers(0, 128 if np.issubdtype(in_type, np.signedinteger) else 256, shape)
    array = guarded(array.astype(in_type), at_end=bool(rng.integers(2)))
    place = tuple(int(rng.integers(0, s + 1)) for s in slack)
    return Picture(array, place, bool(rng.integers(2)))


def some_box(rng, size):
    (y0, y1), (x0, x1) = (np.sort(rng.integers(0, length + 1, 2)) for length in size)
    return int(y0), int(x0), int(y1), int(x1)


def pairs(rng, settings, sizes):
    """Two samples of each size, which are each other's partners. The first has a box. Both may be
    blended, or show one image."""
    mixes = []
    for size in sizes:
        pair = [picture(rng, settings, size) for _ in range(2)]
        for i in range(2):
            weight = float(rng.choice([1, 0.3, 0.7, 0]))
            weights = [np.float32(weight), np.float32(1) - np.float32(weight)]
            box = some_box(rng, size)
            boxed = i == 0 and box[0] < box[2] and box[1] < box[3]
            order = [pair[i], pair[1 - i]]
            mixes.append(Mixed(size, order, weights, [box] * boxed, [1] * boxed))
    return Case(mixes, *settings, seed=int(rng.integers(1 << 30)))


def masks(rng, size):
    """Masks of cells, of pixels, with soft weights, of blocks as wide as a tile, of one value, and
    finer than pixels."""
    height, width = size
    yield rng.choice([0, 255], (-(-height // 2), -(-width // 3)))
    yield rng.choice([0, 255], size)
    yield rng.integers(0, 256, size)
    yield np.repeat(rng.choice([0, 77, 255], (height, -(-width // 8))), 8, 1)[:, :width]
    yield np.full((1, 1), 128)
    yield rng.choice([0, 255], (height * 2 + 1, width * 3 + 2))


def filling(rng, settings, size, box):
    """An image of the size of the box that shows it, and its offset."""
    y0, x0, y1, x1 = box
    image = picture(rng, settings, (y1 - y0, x1 - x0), (0, 0))
    # Its window is as wide as the output, and reaches beyond the image.
    image.place = (0, x1 - x0 - size[1] if image.mirror else 0)
    return image, (-y0, -x0)


def layered(rng, settings, size):
    """Samples with many boxes, masks, more than two images, and images as small as their box."""
    images = [picture(rng, settings, size) for _ in range(5)]
    boxes = [some_box(rng, size) for _ in range(4)]
    boxes = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    f = np.float32
    for weight in (f(1), f(0.3)):
        pair = images[:2], [weight, f(1) - weight]
        yield Mixed(size, *pair, boxes, [1] * len(boxes))
        yield Mixed(size, *pair, boxes, [b % 2 for b in range(len(boxes))])
        for mask in masks(rng, size):
            mask = guarded(mask.astype(np.uint8), at_end=True)
            yield Mixed(size, *pair, boxes[:1], [1] * len(boxes[:1]), mask)
            yield Mixed(size, *pair, [], [], mask)
    shows = [b + 1 for b in range(len(boxes))]
    yield Mixed(size, images, [f(1), f(0), f(0), f(0), f(0)], boxes, shows)
    yield Mixed(size, images, [f(0.1), f(0.2), f(0.3), f(0.4), f(0)], boxes, shows)
    middle = size[1] // 2
    halves = [(0, 0, size[0], middle), (0, middle, size[0], size[1])]
    yield Mixed(size, images[:3], [f(1), f(0), f(0)], halves, [1, 2])
    parts, moved = images.copy(), {}
    for k, box in zip(shows, boxes, strict=True):
        parts[k], moved[k] = filling(rng, settings, size, box)
    yield Mixed(size, parts, [f(1), f(0), f(0), f(0), f(0)], boxes, shows, shifts=moved)
    if boxes:
        corners = np.array(boxes)
        around = (*map(int, corners[:, :2].min(0)), *map(int, corners[:, 2:].max(0)))
        part, shift = filling(rng, settings, size, around)
        own = [images[0], part], [f(1), f(0)]
        yield Mixed(size, *own, boxes, [1] * len(boxes), shifts={1: shift})
    yield Mixed(size, images[:2], [f(0), f(1)])  # without layers, in a batch that has some

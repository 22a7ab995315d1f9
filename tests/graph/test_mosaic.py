"""Mosaic: its pixels and boxes against a program that paints mosaics without a plan, its laws, and
what it refuses. Thresholds are those of tests at about 1 in 1000."""

import itertools

import numpy as np
import pytest
from canvases import move_boxes, paint_mosaic
from helpers import (
    DEVICES,
    arrays,
    assert_refused,
    build,
    drawn_plan,
    feed,
    random_images,
    run_on,
    said,
)
from nvidia.dali import fn, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, Mosaic, reference
from dali_mix.plan import Plan

CANVAS = (31, 43)
SIZES = [(37, 29), (13, 53), (41, 17), (7, 11), (97, 89), (31, 43), (23, 5)]
FILL = (114, 3, 250)


def ragged(count, seed=0):
    return random_images(np.random.default_rng(seed), [(*SIZES[i % 7], 3) for i in range(count)])


def drawn(images, method, *, runs=1, **arguments):
    """The plans of `runs` batches of these images, as `helpers.draw` gives them."""
    plans = []

    def graph():
        plans.append(dmix.plan(feed([images], "HWC"), None, method, **arguments))
        return plans[0]

    pipeline = build(graph, batch_size=len(images))
    return drawn_plan(plans[0], [pipeline.run() for _ in range(runs)])


def one_batch(plan, run=0):
    return Plan(*(column if column is None else column[run] for column in plan))


def points_of(plan, images):
    """The point of each sample, on the output: the lower right corner of the own image."""
    sizes = np.array([image.shape[:2] for image in images])
    return sizes - plan.offset[:, 0]


# pixels and boxes


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_pixels_are_those_of_a_mosaic_painted_by_hand(device, count, cropped):
    images = ragged(count)
    method = Mosaic(CANVAS, cropped=cropped, fill=FILL)
    plans = []

    def graph(x):
        plan = dmix.plan(x, None, method)
        plans.append(plan)
        out = dmix.apply(x, plan, dtype=types.UINT8, output_layout="HWC")
        return [out, *plan.columns]

    x, *columns = run_on(images, graph, device=device)
    names = [name for name, column in plans[0]._asdict().items() if column is not None]
    plan = Plan(**(dict.fromkeys(Plan._fields) | dict(zip(names, columns, strict=True))))
    size = CANVAS if cropped else (62, 86)
    for i in range(count):
        tiles = [images[j] for j in [i, *plan.partner[i]]]
        # The corner of each image lies at the point, where it shows.
        corners = [(1, 1), (1, 0), (0, 1), (0, 0)]
        found = {
            tuple(np.array(corners[k]) * tiles[k].shape[:2] - plan.offset[i][k])
            for k in range(4)
            if plan.box[i][k].any()
        }
        if len(found) != 1:
            assert cropped and not found
            continue
        expected = paint_mosaic(tiles, found.pop(), size, FILL)
        np.testing.assert_array_equal(x[i], expected)
        shares = [(box[2] - box[0]) * (box[3] - box[1]) for box in plan.box[i]]
        np.testing.assert_array_equal(plan.lam[i], np.float32(np.array(shares) / np.prod(size)))


@pytest.mark.parametrize("min_visible", [0.0, 0.4])
def test_boxes_are_moved_clipped_and_left_out(min_visible):
    images, rng = ragged(5), np.random.default_rng(1)
    boxes = [np.sort(rng.random((n, 2, 2), np.float32), 1).reshape(-1, 4) for n in (3, 0, 6, 1, 5)]
    labels = [rng.integers(0, 80, len(b)).astype(np.int32) for b in boxes]

    def graph(x, b, y):
        plan = dmix.plan(x, None, Mosaic(CANVAS))
        return [*dmix.apply_boxes(b, y, plan, min_visible=min_visible), *plan.columns[:5],
                plan.offset]  # fmt: skip

    *moved, partner, _, _, _, _, offset = run_on(images, graph, boxes, labels)
    sizes = [image.shape[:2] for image in images]
    dropped = 0
    for i, others in enumerate(partner):
        group = [i, *others]
        expected = move_boxes(
            *([part[j] for j in group] for part in (boxes, labels, sizes)),
            tuple(np.array(sizes[i]) - offset[i][0]),
            (62, 86),
            min_visible,
        )
        np.testing.assert_allclose(moved[0][i], expected[0], atol=2e-6)
        np.testing.assert_array_equal(moved[1][i], expected[1])
        np.testing.assert_allclose(moved[2][i], expected[2], rtol=1e-4)
        dropped += sum(len(boxes[j]) for j in group) - len(expected[0])
    assert dropped > 0


def test_boxes_and_their_images_are_the_definition():
    images, rng = ragged(7), np.random.default_rng(2)
    boxes = [np.sort(rng.random((4, 2, 2), np.float32), 1).reshape(-1, 4) for _ in images]
    labels = [np.arange(4, dtype=np.int32) + 4 * i for i in range(7)]
    weights = [rng.random(4, np.float32) for _ in images]
    plans = []

    def graph(x, b, y, w):
        plans.append(dmix.plan(x, None, Mosaic(CANVAS, cropped=True)))
        moved = dmix.apply_boxes(b, y, plans[0], weights=w, min_visible=0.25)
        return [*moved, *plans[0].columns]

    out = run_on(images, graph, boxes, labels, weights)
    names = [name for name, column in plans[0]._asdict().items() if column is not None]
    plan = Plan(**(dict.fromkeys(Plan._fields) | dict(zip(names, out[3:], strict=True))))
    expected = reference.travel(boxes, labels, plan, weights=weights, min_visible=0.25)
    for got, right in zip(itertools.chain(*out[:3]), itertools.chain(*expected), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-5)


def test_mirrored_and_cropped_images_are_placed_as_apply_sees_them():
    images = random_images(np.random.default_rng(3), [(60, 70 + i, 3) for i in range(4)])
    view = {"crop": (20.0, 30.0), "crop_pos_x": 0.25}

    def graph(x, flags):
        flags = fn.cast(flags, dtype=types.INT32)
        plan = dmix.plan(x, None, Mosaic(CANVAS), crop=(20, 30))
        cut = fn.crop_mirror_normalize(
            x, mirror=flags, dtype=types.UINT8, output_layout="HWC", **view
        )
        options = {"dtype": types.UINT8, "output_layout": "HWC"}
        return dmix.apply(x, plan, mirror=flags, **view, **options), dmix.apply(
            cut, plan, **options
        )

    at_once, in_two_steps = run_on(images, graph, [0, 1, 1, 0])
    np.testing.assert_array_equal(at_once, in_two_steps)


def test_maps_of_classes_go_along():
    images = ragged(5)
    maps = [image[..., 0].astype(np.int32) for image in images]

    def graph(x, m):
        m = fn.reshape(m, layout="HW")
        plan = dmix.plan(x, None, Mosaic(CANVAS, fill=114))
        (seen,) = dmix.apply_mask(m, plan, count=1, fill=-100)
        return seen, dmix.apply(x, plan, dtype=types.UINT8), plan.box

    seen, x, boxes = run_on(images, graph, maps)
    for one, other, placed in zip(seen, x, boxes, strict=True):
        covered = np.zeros((62, 86), bool)
        for y0, x0, y1, x1 in placed:
            covered[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(one, np.where(covered, other[0].astype(np.int32), -100))


def test_mix_pairs_the_labels_with_their_shares():
    images = ragged(6)
    x, ys, shares = run_on(
        images, lambda i, y: dmix.mix(i, y, Mosaic(CANVAS, fill=0)), np.arange(6)
    )
    for i in range(6):
        assert ys[i][0] == i and len(set(ys[i].tolist())) == 4 and x[i].shape == (3, 62, 86)
        assert 0 < shares[i].sum() <= 1 + 1e-6


def test_a_batch_of_one_and_what_the_probability_leaves_out_lie_in_the_middle():
    for images, given in ((ragged(1), {}), (ragged(5), {"prob": 0.0})):
        plan = one_batch(drawn(images, Mosaic(CANVAS), **given))
        for i, image in enumerate(images):
            height, width = image.shape[:2]
            assert plan.partner[i].tolist() == [i] * 3
            assert not plan.box[i][1:].any()
            y, x = int((62 - height) / 2), int((86 - width) / 2)  # C++ rounds towards zero
            box = [max(y, 0), max(x, 0), min(y + height, 62), min(x + width, 86)]
            assert plan.box[i][0].tolist() == box and plan.offset[i][0].tolist() == [-y, -x]


def test_dynamic_mode_draws_and_paints_too():
    import nvidia.dali.experimental.dynamic as ndd

    images = ragged(5)
    batch = ndd.batch([ndd.tensor(image, layout="HWC") for image in images])
    plan = dali_mix.dynamic.plan(batch, None, Mosaic(CANVAS, fill=FILL), rng=ndd.random.RNG(3))
    x = dali_mix.dynamic.apply(batch, plan, dtype=types.UINT8, output_layout="HWC")
    columns = {n: c and [np.array(a) for a in c] for n, c in plan._asdict().items()}
    expected = reference.apply(images, Plan(**columns), dtype=np.uint8, output_layout="HWC")
    for got, right in zip(x, expected, strict=True):
        np.testing.assert_array_equal(np.array(got), right)


def mosaics():
    """Of images that come out of a random operator."""
    noise = fn.random.uniform(range=[0, 255], shape=[23, 31, 3])
    images = fn.reshape(fn.cast(noise, dtype=types.UINT8), layout="HWC")
    boxes = fn.random.uniform(range=[0, 0.5], shape=[2, 4]) + np.float32([0, 0, 0.5, 0.5])
    plan = dmix.plan(images, None, Mosaic(CANVAS), prob=0.8)
    moved = dmix.apply_boxes(boxes, types.Constant(np.int32([1, 2])), plan)
    return [dmix.apply(images, plan), *plan.columns, *moved]


def content(outputs):
    return [array.tobytes() for output in outputs for array in arrays(output)]


def test_a_restored_pipeline_and_both_executors_go_on_as_the_first():
    options = {"batch_size": 5, "enable_checkpointing": True}
    pipeline = build(mosaics, **options)
    first = content(pipeline.run())
    checkpoint = pipeline.checkpoint()
    after = content(pipeline.run())
    assert content(build(mosaics, **options, checkpoint=checkpoint).run()) == after != first
    assert content(build(mosaics, **options, exec_dynamic=False).run()) == first


# errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"canvas": 0}, "canvas of Mosaic must be whole pixels, one number or (height, width), "
         "got 0."),
        ({"canvas": (1, 2, 3)}, "canvas of Mosaic must be whole pixels, one number or (height, "
         "width), got (1, 2, 3)."),
        ({"fill": "grey"}, "fill of Mosaic must be one number, or one for each channel, got "
         "'grey'."),
        ({"fill": ()}, "fill of Mosaic must be one number, or one for each channel, got ()."),
        ({"cropped": 2}, "cropped of Mosaic must be True or False, got 2."),
    ],
)  # fmt: skip
def test_wrong_fields_get_a_sentence(arguments, sentence):
    assert said((ValueError, TypeError), lambda: Mosaic(**arguments)) == sentence


def test_what_a_mosaic_cannot_be_combined_with():
    images = ragged(4)
    assert_refused(
        r"mosaic cannot be combined with other methods in one plan: mix its outputs by another "
        r"plan\.",
        lambda x: dmix.plan(x, None, [Mosaic(9), CutMix()]).columns,
        images=images,
    )
    assert_refused(
        r'mosaic needs partners from the batch, got "others", whose sizes plan does not see\.',
        lambda x: dmix.plan(x, None, Mosaic(9), partner="others").columns,
        images=images,
    )

    def resized(x):
        return dmix.plan(x, None, Mosaic(9)).resized(5, 5).columns

    assert_refused(
        r"plan cannot be resized if it has a canvas: its images have sizes of their own\. Resize "
        r"the output of apply\.",
        resized,
        images=images,
    )
    assert_refused(
        r"the plan was drawn for 37 x 29 pixels of sample 0, got 10 x 10\. Give plan the same "
        r"images and crop\.",
        lambda x: dmix.apply(fn.resize(x, size=(10, 10)), dmix.plan(x, None, Mosaic(9))),
        images=images,
    )

"""MixLoader of pipelines that put out boxes: the BoxTarget, and the plan behind it."""

import numpy as np
import pytest
from helpers import arrays, feed, random_images

torch = pytest.importorskip("torch")

from nvidia.dali import Pipeline, fn, types  # noqa: E402

import dali_mix.fn as dmix  # noqa: E402
from dali_mix import BoxTarget, MixLoader, Mosaic, Plan, training  # noqa: E402

SIZES = [(13, 29), (31, 11), (23, 17)]
IMAGES = random_images(np.random.default_rng(0), [(*size, 3) for size in SIZES])
BOXES = [np.float32([(0.1, 0.2, 0.6, 0.9)] * n).reshape(n, 4) for n in (2, 0, 5)]
LABELS = [np.arange(len(boxes), dtype=np.int32) + 10 for boxes in BOXES]


def pipeline(**options):
    made = Pipeline(3, num_threads=1, device_id=None, seed=7)
    with made:
        images, boxes, labels = (feed([part], layout) for part, layout in (
            (IMAGES, "HWC"), (BOXES, ""), (LABELS, "")))  # fmt: skip
        plan = dmix.plan(images, methods=Mosaic((19, 23), fill=(1, 2, 3)))
        x = dmix.apply(images, plan, dtype=types.UINT8)
        columns = plan.columns if options.get("plan") else ()
        made.set_outputs(x, *dmix.apply_boxes(boxes, labels, plan), *columns)
    return made


def test_the_target_holds_what_the_pipeline_puts_out():
    expected = [arrays(output) for output in pipeline().run()]
    x, target = next(iter(MixLoader(pipeline(), size=3)))
    assert isinstance(target, BoxTarget) and target.batch_size == 3
    np.testing.assert_array_equal(x, expected[0])
    for name, right in zip(("boxes", "labels", "weights"), expected[1:], strict=True):
        for got, array in zip(getattr(target, name), right, strict=True):
            np.testing.assert_array_equal(got, array)
    assert target.labels[0].dtype == torch.int64


def test_the_plan_of_a_mosaic_comes_along_and_mixes_no_tensors():
    _, target, plan = next(iter(MixLoader(pipeline(plan=True), size=3, plan=True)))
    assert isinstance(target, BoxTarget) and isinstance(plan, Plan)
    assert plan.fill.tolist() == [[1, 2, 3]] * 3 and plan.view.tolist() == [*map(list, SIZES)]
    assert plan.box.shape == (3, 4, 4) and plan.offset.shape == (3, 4, 2)
    with pytest.raises(ValueError, match=r"^the plan has fill and view, which"):
        training.apply(torch.zeros(3, 1, 38, 46), plan)


def test_outputs_that_are_said_to_be_no_boxes_must_have_one_shape():
    with pytest.raises(ValueError, match="the samples of an output must have one shape"):
        next(iter(MixLoader(pipeline(), size=3, mixed=False)))


def test_boxes_that_another_operator_made_are_not_taken_for_targets():
    made = Pipeline(3, num_threads=1, device_id=None)
    with made:
        x, boxes = feed([IMAGES], "HWC"), feed([BOXES])
        made.set_outputs(x, boxes, boxes, fn.copy(boxes))
    with pytest.raises(ValueError, match="the last one comes from no function of dali_mix"):
        MixLoader(made, size=3)

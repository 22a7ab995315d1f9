"""MixLoader(plan=True): a batch comes with its plan, as tensors that mix others alike."""

import numbered
import numpy as np
import pytest
import torch
from helpers import feed, said
from nvidia.dali import Pipeline, fn, pipeline_def, types
from painted import NAMES, every_method

import dali_mix.fn as dmix
from dali_mix import (
    CutMix,
    FMix,
    MixLoader,
    MixTarget,
    MixUp,
    MultiMix,
    MultiMixTarget,
    PatchMix,
    ResizeMix,
)
from dali_mix.loader.sources import PADDED_TAIL
from dali_mix.methods.words import method_of
from dali_mix.plan import Plan
from dali_mix.training import apply, pair_labels

SIZE = (32, 48)


@pytest.fixture
def root(tmp_path):
    return numbered.write_noise(tmp_path, 18)


def both(root, method, end=lambda plan, *_: plan.columns, batch_size=5, **options):
    """A pipeline that puts out unmixed images, labels, mixed images, and what `end` makes of the
    plan, the images and the labels."""
    options = {"enable_checkpointing": True} | options
    pipeline = Pipeline(batch_size, num_threads=1, device_id=None, seed=2, **options)
    with pipeline:
        encoded, labels = fn.readers.file(
            file_root=str(root), random_shuffle=True, pad_last_batch=True, name="Reader"
        )
        images = fn.random_resized_crop(fn.decoders.image(encoded), size=SIZE)
        plan = dmix.plan(images, labels, method, prob=0.9)
        plain, mixed = fn.crop_mirror_normalize(images), dmix.apply(images, plan)
        pipeline.set_outputs(plain, labels, mixed, *end(plan, images, labels))
    return pipeline


def loader(pipeline, **arguments):
    return MixLoader(pipeline, **{"mixed": False, "plan": True} | arguments)


@pytest.mark.parametrize("name", [*NAMES, "all"])
def test_each_batch_comes_with_the_plan_of_its_images(root, name):
    every = every_method(SIZE)
    apart = [m for n, m in every.items() if n not in ("uniform", "boxes")]
    with loader(both(root, every.get(name, apart))) as batches:
        assert len(batches) == 3  # the last one, of three images, is dropped
        for x, (labels, mixed), plan in batches:
            assert type(plan) is Plan and labels.shape == (5,)
            assert all(c is None or isinstance(c, torch.Tensor) for c in plan)
            found = apply(x, plan)
            if plan.fit is None:
                assert torch.equal(found, mixed)
            else:
                torch.testing.assert_close(found, mixed, rtol=0, atol=0.6)  # bytes


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_method_tells_its_columns(name):
    method = every_method(SIZE)[name]
    kind, *options = method.text.split()
    assert method_of(kind, options, 1).columns() == method.columns()


@pytest.mark.parametrize("method", [CutMix(), MultiMix(images=3)], ids=lambda m: m.name)
def test_targets_of_mixed_images_are_as_without(root, method):
    def graph(images, labels):
        plan = dmix.plan(images, labels, method)
        ys = dmix.pair_labels(labels, plan, images=method.images)
        ys = ys if method.images == 2 else (fn.stack(*ys),)
        return dmix.apply(images, plan), *ys, plan.lam, *plan.columns

    with MixLoader(numbered.cropping(root, graph=graph), plan=True) as batches:
        for _, target, plan in batches:
            assert type(target) is (MixTarget if method.images == 2 else MultiMixTarget)
            pairs = pair_labels(target.labels[0], plan)
            assert all(torch.equal(a, b) for a, b in zip(pairs, target.labels, strict=True))
            assert torch.equal(target[-1], plan.lam)


def test_resized_plans_and_several(root):
    def end(plan, images, labels):
        return *plan.columns, *plan.resized(9, 7).columns

    with loader(both(root, ResizeMix(), end)) as batches:
        for _, _, (plan, small) in batches:
            assert (plan.size == torch.tensor(SIZE)).all() and (small.size[:, 0] == 9).all()
            for column in ("box", "fit", "partner"):
                assert torch.equal(getattr(plan.resized(9, 7), column), getattr(small, column))


def test_masks_that_were_given(root):
    def end(plan, images, labels):
        mask = fn.cast(fn.random.uniform(range=[0, 255], shape=[4, 3]), dtype=types.UINT8)
        given = dmix.plan(images, mask=mask)
        return dmix.apply(images, given), *given.columns

    with loader(both(root, MixUp(), end)) as batches:
        for x, (_, _, mixed), plan in batches:
            assert plan.mask.shape == (5, 4, 3) and plan.blend is None
            torch.testing.assert_close(apply(x, plan), mixed, rtol=0, atol=0)


def test_masks_of_two_sizes_become_blocks(root):
    method = [FMix(), PatchMix(patch=(8, 16), shape="patches"), MixUp()]
    with loader(both(root, method)) as batches:
        plans = [plan for *_, plan in batches]
    assert {tuple(plan.mask.shape[1:]) for plan in plans} <= {SIZE, (4, 3), (1, 1)}
    assert any((plan.mask.flatten(1) == 255).all(1).any() for plan in plans)  # of MixUp


@pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1, enable_conditionals=True)
def branching():
    noise = np.random.default_rng(0).integers(0, 255, (4, 6, 5, 3), np.uint8)
    images = feed([list(noise)], "HWC")
    plan = dmix.plan(images, None, CutMix())
    if feed([[np.bool_(k % 2) for k in range(4)]]):  # noqa: SIM108, DALI reads the statement
        lam = plan.resized(6, 5).lam
    else:
        lam = plan.lam
    columns = plan._replace(lam=lam).columns
    return fn.crop_mirror_normalize(images), dmix.apply(images, plan), *columns


def test_columns_that_pass_a_branch():
    with loader(branching(), size=4) as batches:
        for x, mixed, plan in batches:
            assert torch.equal(apply(x, plan), mixed)


def test_it_resumes_with_its_plans(root):
    def graph():
        return both(root, [CutMix(), MixUp()])

    with loader(graph) as whole:
        epochs = [list(whole) for _ in range(2)]
    with loader(graph) as first:
        steps = iter(first)
        next(steps)
        state = numbered.through_json(first.state_dict())
    with loader(graph) as second:
        second.load_state_dict(state)
        for (x, _, plan), (x2, _, plan2) in zip(second, epochs[0][1:], strict=True):
            assert torch.equal(x, x2)
            assert all(torch.equal(a, b) for a, b in zip(plan.columns, plan2.columns, strict=True))


@pytest.mark.parametrize("methods", [None, [MixUp(), CutMix()], MultiMix(images=4)], ids=str)
@pytest.mark.parametrize("last_batch", ["drop", "fill"])
def test_an_image_folder_with_its_plan(root, methods, last_batch):
    given = {"methods": methods, "last_batch": last_batch, "mirror": 0.5}
    with numbered.loader(root, **given) as plain, numbered.loader(root, **given, plan=True) as it:
        for (x, target), (x2, target2, plan) in zip(plain, it, strict=True):
            assert torch.equal(x, x2)
            assert all(torch.equal(a, b) for a, b in zip(target, target2, strict=True))
            assert torch.equal(plan.lam, target[-1])
            pairs = zip(pair_labels(target.labels[0], plan), target.labels, strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


def test_validation_has_no_plan(root):
    sentence = "plan=True is for training, whose images are mixed; leave it out."
    assert said(ValueError, numbered.loader, root, training=False, plan=True) == sentence


def test_without_plan_nothing_changes(root):
    with MixLoader(both(root, CutMix()), mixed=False, last_batch="drop") as batches:
        for _, y in batches:
            assert len(y) == 7  # labels, mixed images and five columns


REFUSED = {
    "no plan": (
        lambda plan, *_: (plan.lam,),
        {},
        "plan=True needs a pipeline that puts out the columns of its plan last; return "
        "*plan.columns behind the labels.",
    ),
    "not last": (
        lambda plan, images, labels: (*plan.columns, labels),
        {},
        "plan=True needs a pipeline that puts out the columns of its plan last; return "
        "*plan.columns behind the labels.",
    ),
    "a part": (
        lambda plan, *_: (plan.partner, plan.lam),
        {},
        "plan=True needs the columns of a whole plan, got partner, lam; return *plan.columns "
        "behind the labels.",
    ),
    "padded tail": (
        lambda plan, *_: plan.columns,
        {"last_batch": "partial"},
        PADDED_TAIL.format("last_batch='partial'"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_outputs_that_are_no_plan_are_refused(root, name):
    end, arguments, sentence = REFUSED[name]
    assert said(ValueError, loader, both(root, CutMix(), end), **arguments) == sentence


def test_masks_without_a_common_size_are_refused(root):
    shapes = [(101, 103), (107, 109), (113, 127)]
    masks = [np.zeros(shapes[k % 3], np.uint8) for k in range(5)]

    def end(plan, images, labels):
        return dmix.plan(images, mask=feed([masks])).columns

    with loader(both(root, MixUp(), end)) as batches:
        assert said(ValueError, next, iter(batches)) == (
            "the masks of a plan must have sizes of which the larger are multiples of the smaller, "
            "got 101 x 103, 107 x 109, 113 x 127; give masks of one size."
        )


@pytest.mark.gpu
def test_the_plan_is_on_the_device_of_the_images(root):
    given = {"methods": [CutMix(), FMix()], "device": "gpu", "plan": True}
    with numbered.loader(root, **given) as batches:
        for x, target, plan in batches:
            assert {c.device for c in plan.columns} == {x.device} == {target.lam.device}
            assert torch.equal(plan.lam, target.lam)

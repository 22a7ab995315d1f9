"""Every method in every place of use: dynamic mode, both executors, conditionals, checkpoints and
serialised pipelines, and what help() says."""

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import arrays, build, feed, fingerprints, run_on, stacked
from nvidia.dali import Pipeline, fn, pipeline_def, types
from painted import NAMES, every_method, labels_by_share, one_hot

import dali_mix
import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixUp

COUNT, SIZE = 8, (32, 48)
IMAGES, IDS = fingerprints(COUNT, *SIZE), np.arange(COUNT)
TOGETHER = "all that go together"
ALL = [*NAMES, TOGETHER]


def methods(name):
    if name == TOGETHER:
        return [m for n, m in every_method(SIZE).items() if n not in ("uniform", "boxes")]
    return every_method(SIZE)[name]


def content(outputs):
    return [(a.shape, a.tobytes()) for output in outputs for a in arrays(output)]


def dynamic_images(images=None):
    images = IMAGES if images is None else images
    return ndd.batch([ndd.tensor(image, layout="HWC") for image in images])


def dynamic_labels(first=0):
    # Arrays: of numbers DALI before 2.4 makes int32 if the first is 0.
    return ndd.batch([np.array(first + k) for k in range(COUNT)])


# dynamic mode


@pytest.mark.parametrize("name", ALL)
def test_dynamic_mode_draws_and_mixes_as_pipeline_mode(name):
    """From the same words of random state; the pipeline is fed them through the raw operator."""
    rng = ndd.random.RNG(11)
    state = rng.get_state()
    words = np.array([rng() for _ in range(7)], np.uint32)
    rng.set_state(state)
    method = methods(name)
    listed = method if isinstance(method, list) else [method]
    plan = dali_mix.dynamic.plan(dynamic_images(), None, method, rng=rng, prob=0.9)
    x = dali_mix.dynamic.apply(dynamic_images(), plan, mean=[3.0], mirror=1)
    fields = [n for n, column in plan._asdict().items() if column is not None]

    def graph():
        images = feed([IMAGES], "HWC")
        columns = fn.dali_mix.plan(
            images,
            methods=[m.text for m in listed],
            alpha=[m.alpha for m in listed],
            fold=[int(m.fold) for m in listed],
            weights=[1.0] * len(listed),
            prob=0.9,
            # Fed as data: of a constant, DALI before 2.4 drops the highest bit.
            _random_state=feed([[words] * COUNT]),
        )
        whole = dmix.Plan(
            **dict.fromkeys(dmix.Plan._fields) | dict(zip(fields, columns, strict=True))
        )
        return [dmix.apply(images, whole, mean=[3.0], mirror=1), *columns]

    expected = build(graph, batch_size=COUNT).run()
    assert content([x, *plan.columns]) == content(expected)


@pytest.mark.parametrize("name", ALL)
def test_mixes_of_dynamic_mode_agree_with_their_labels(name):
    out = dali_mix.dynamic.mix(
        dynamic_images(one_hot(COUNT, SIZE)), dynamic_labels(), methods(name), rng=ndd.random.RNG(4)
    )
    x, *ys, lam = map(stacked, out)
    ys = np.stack(ys, 1) if len(ys) == 2 else ys[0]
    shares = labels_by_share(ys[:, 1:], lam)
    np.testing.assert_allclose(x.mean((2, 3)), shares, atol=3e-7)


@pytest.mark.parametrize("name", ["cutmix", "mixup", "resizemix", "ricap", "smoothmix"])
def test_maps_and_labels_by_hand_in_dynamic_mode(name):
    method = methods(name)
    plan = dali_mix.dynamic.plan(dynamic_images(), None, method, rng=ndd.random.RNG(2))
    maps = ndd.batch([ndd.tensor(np.full(SIZE, k, np.int32), layout="HW") for k in range(COUNT)])
    seen = dali_mix.dynamic.apply_mask(maps, plan, count=method.images)
    lam = stacked(plan.lam).reshape(COUNT, -1)[:, 0]
    if name not in ("mixup", "smoothmix"):
        shares = (stacked(seen[0]) == IDS[:, None, None]).mean((1, 2))
        np.testing.assert_allclose(shares, lam, atol=1e-6)
    labels = ndd.batch([np.eye(COUNT, dtype=np.float32)[k] for k in range(COUNT)])
    blended = dali_mix.dynamic.blend_labels(labels, plan, images=method.images)
    expected = labels_by_share(stacked(plan.partner), stacked(plan.lam))
    np.testing.assert_allclose(stacked(blended), expected, atol=1e-6)


def test_a_second_stream_in_dynamic_mode():
    images = one_hot(2 * COUNT, (6, 8))
    second = dynamic_images(images[COUNT:]), dynamic_labels(COUNT)
    x, y1, y2, lam = map(
        stacked,
        dali_mix.dynamic.cutmix(
            dynamic_images(images[:COUNT]), dynamic_labels(), second=second, rng=ndd.random.RNG(1)
        ),
    )
    assert ((y2 == y1 + COUNT) | (lam == 1)).all()
    shares = labels_by_share(y2, lam, 2 * COUNT)
    np.testing.assert_allclose(x.mean((2, 3)), shares, atol=3e-7)


# executors, conditionals


@pytest.mark.parametrize("name", ALL)
def test_both_executors_give_the_same(name):
    def graph(x, y):
        maps = fn.cast(fn.squeeze(fn.slice(x, 0, 1, axes=[2]), axes=[2]), dtype=types.INT32)
        plan = dmix.plan(x, y, methods(name), seed=3)
        small = plan.resized(16, 16).columns
        return [*dmix.mix(x, y, methods(name)), *dmix.apply_mask(maps, plan), *small]

    old, new = (run_on(IMAGES, graph, IDS, exec_dynamic=dynamic) for dynamic in (False, True))
    for one, other in zip(old, new, strict=True):
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("taken", ["11011000", "10000000", "00000000", "11111111"])
def test_inside_a_branch_partners_come_from_the_branch(name, taken):
    method = methods(name)
    listed = method if isinstance(method, list) else [method]
    images = max(m.images for m in listed)

    @pipeline_def(batch_size=COUNT, num_threads=2, device_id=None, seed=3, enable_conditionals=True)
    def graph():
        x, y = feed([one_hot(COUNT, SIZE)], "HWC"), feed([list(IDS)])
        maps = feed([[np.full(SIZE, k, np.uint8) for k in IDS]], "HW")
        if feed([[np.bool_(t == "1") for t in taken]]):
            plan = dmix.plan(x, y, method)
            small = plan.resized(5, 7)
            lam, other = plan.lam, small.lam
            ys = fn.stack(*dmix.pair_labels(y, plan, images=images))
            (seen,) = dmix.apply_mask(maps, plan, count=1)
            x = dmix.apply(x, plan)
        else:
            x = fn.crop_mirror_normalize(x)
            ys = fn.stack(*[y] * images)
            lam = other = np.float32([1] + [0] * (images - 1) if images > 2 else 1.0)
            seen = maps + np.uint8(0)
        return x, ys, lam, other, seen

    pipeline = graph()
    x, ys, lam, _, seen = map(stacked, pipeline.run())
    inside = set(np.flatnonzero([t == "1" for t in taken]).tolist())
    np.testing.assert_allclose(x.mean((2, 3)), labels_by_share(ys[:, 1:], lam), atol=3e-7)
    for i in range(COUNT):
        assert set(ys[i].tolist()) <= (inside if i in inside else {i})
        assert set(np.unique(seen[i])) <= set(ys[i].tolist())


@pytest.mark.parametrize("given", [{"partner": "previous"}, {"second": True}])
def test_mixing_with_others_inside_a_branch(given):
    @pipeline_def(batch_size=COUNT, num_threads=2, device_id=None, seed=3, enable_conditionals=True)
    def graph():
        images = one_hot(2 * COUNT, (6, 8))
        x, y = feed([images[:COUNT]], "HWC"), feed([list(IDS)])
        x2, y2 = feed([images[COUNT:]], "HWC"), feed([list(IDS + COUNT)])
        if feed([[np.bool_(i % 3 != 0) for i in IDS]]):
            others = {"second": (x2, y2)} if "second" in given else given
            x, y1, y2, lam = dmix.cutmix(x, y, **others)
        else:
            x, y1, y2, lam = fn.crop_mirror_normalize(x), y + 0, y + 0, np.float32(1)
        return x, y1, y2, lam

    pipeline = graph()
    for _ in range(3):
        x, y1, y2, lam = map(stacked, pipeline.run())
        assert y1.tolist() == IDS.tolist()
        shares = np.zeros((COUNT, 2 * COUNT))
        np.add.at(shares, (IDS, y1), lam)
        np.add.at(shares, (IDS, y2), 1 - lam)
        np.testing.assert_allclose(x.mean((2, 3)), shares, atol=3e-7)
        assert (lam[::3] == 1).all()


# state


def whole(name):
    """Everything at once, over images that come out of a random operator."""
    noise = fn.random.uniform(range=[0, 255], shape=[*SIZE, 3])
    images = fn.reshape(fn.cast(noise, dtype=types.UINT8), layout="HWC")
    labels = fn.cast(fn.random.uniform(range=[0, 9]), dtype=types.INT32)
    plan = dmix.plan(images, labels, methods(name), prob=0.9)
    maps = fn.squeeze(fn.slice(images, 0, 1, axes=[2]), axes=[2])
    out = dmix.mix(images, labels, methods(name), mirror=fn.random.coin_flip())
    before = dmix.mix(images, labels, methods(name), partner="previous")
    small = plan.resized(16, 16).columns
    return [*out, *plan.columns, *dmix.apply_mask(maps, plan), *small, *before]


@pytest.mark.parametrize("name", ALL)
def test_a_restored_pipeline_goes_on_as_the_first_one(name):
    options = {"batch_size": 5, "enable_checkpointing": True, "prefetch_queue_depth": 2}
    pipeline = build(lambda: whole(name), **options)
    first = [content(pipeline.run()) for _ in range(2)]
    checkpoint = pipeline.checkpoint()
    after = [content(pipeline.run()) for _ in range(2)]
    restored = build(lambda: whole(name), **options, checkpoint=checkpoint)
    assert [content(restored.run()) for _ in range(2)] == after and first[0] != after[0]


@pytest.mark.parametrize("name", ALL)
def test_a_serialised_pipeline_mixes_the_same(name):
    pipeline = build(lambda: whole(name), batch_size=5)
    copy = Pipeline.deserialize(
        pipeline.serialize(), batch_size=5, num_threads=1, device_id=None, seed=1
    )
    for _ in range(2):
        assert content(copy.run()) == content(pipeline.run())


# help

OPERATORS = ["plan", "apply", "gather", "previous", "resized"]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_explain_their_arguments(name):
    text = getattr(fn.dali_mix, name).__doc__
    for argument in schema_arguments(name):
        assert argument in text, argument
    assert len(text.split("\n\n")[0]) > 20


def schema_arguments(name):
    from nvidia.dali import backend

    schema = backend.GetSchema(f"dali_mix__{name.capitalize()}")
    hidden = {"preserve", "device", "bytes_per_sample_hint", "seed", "preserve_name"}
    return [a for a in schema.GetArgumentNames() if not a.startswith("_") and a not in hidden]


def test_dynamic_mode_refuses_what_it_cannot_keep():
    with pytest.raises(ValueError, match='partner="previous" works in pipelines only'):
        dali_mix.dynamic.mix(dynamic_images(), None, [RICAP(), MixUp()], partner="previous")
    with pytest.raises(ValueError, match="mask cannot be combined with lam or box"):
        dali_mix.dynamic.plan(dynamic_images(), mask=dynamic_images(), lam=0.5)
    assert dali_mix.dynamic.plan(dynamic_images(), None, CutMix()).mask is None

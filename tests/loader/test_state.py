"""Random state: checkpoints and serialised pipelines, bit for bit; dynamic mode; nothing global."""

import random

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import arrays, build, columns_of, feed, fingerprints, stacked
from nvidia.dali import Pipeline, fn, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

METHODS = [MixUp(0.3), CutMix(1.0)]
DRAWS = [
    {},
    {"per": "pair"},
    {"per": "batch", "choose_per": "batch"},
    {"prob": 0.5, "partner": "shuffle"},
    {"prob": 0.5, "prob_per": "batch", "partner": "reverse"},
]


def stateful(**draw):
    """Images, and with them everything else, come out of random operators."""
    noise = fn.random.uniform(range=[0, 255], shape=[11, 13, 3])
    images = fn.reshape(fn.cast(noise, dtype=types.UINT8), layout="HWC")
    labels = fn.cast(fn.random.uniform(range=[0, 1000]), dtype=types.INT32)
    x, y1, y2, lam = dmix.mix(images, labels, METHODS, mirror=fn.random.coin_flip(), **draw)
    return x, y1, y2, lam


def run_bytes(pipeline, runs):
    """Everything that `runs` batches hold."""
    return [
        [sample.tobytes() for output in pipeline.run() for sample in arrays(output)]
        for _ in range(runs)
    ]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_restored_pipeline_goes_on_as_the_first_one(draw, depth):
    given = {"batch_size": 6, "enable_checkpointing": True, "prefetch_queue_depth": depth}
    pipeline = build(lambda: stateful(**draw), **given)
    before = run_bytes(pipeline, 3)
    checkpoint = pipeline.checkpoint()
    after = run_bytes(pipeline, 4)
    restored = build(lambda: stateful(**draw), **given, checkpoint=checkpoint)
    assert run_bytes(restored, 4) == after
    assert before[0] != after[0]


def test_a_checkpoint_resumes_over_batches_of_varying_size():
    batches = [fingerprints(size, 5, 7) for size in (4, 1, 3, 2, 4, 4)]

    def graph():
        return dmix.mix(feed(batches, "HWC"), None, METHODS)[1]

    given = {"batch_size": 4, "enable_checkpointing": True}
    pipeline = build(graph, **given)
    run_bytes(pipeline, 2)
    checkpoint = pipeline.checkpoint()
    assert run_bytes(build(graph, **given, checkpoint=checkpoint), 4) == run_bytes(pipeline, 4)


@pytest.mark.parametrize("draw", DRAWS)
def test_a_serialised_pipeline_draws_the_same(draw):
    pipeline = build(lambda: stateful(**draw), batch_size=6)
    copy = Pipeline.deserialize(
        pipeline.serialize(), batch_size=6, num_threads=1, device_id=None, seed=1
    )
    assert run_bytes(copy, 3) == run_bytes(pipeline, 3)


def test_two_pipelines_with_one_seed_draw_the_same():
    first, second = (build(stateful, batch_size=6, seed=9) for _ in range(2))
    assert run_bytes(first, 4) == run_bytes(second, 4)


# dynamic mode


def images(count=6):
    return ndd.batch([ndd.tensor(image, layout="HWC") for image in fingerprints(count, 24, 40)])


def labels(count=6):
    return ndd.batch([np.int64(k) for k in range(count)])


def dynamic_bytes(rng, runs=1, **draw):
    outputs = []
    for _ in range(runs):
        out = dali_mix.dynamic.mix(images(), labels(), METHODS, rng=rng, **draw)
        outputs.append([sample.tobytes() for batch in out for sample in arrays(batch)])
    return outputs


@pytest.mark.parametrize("draw", DRAWS)
def test_dynamic_mode_resumes_from_the_state_of_the_rng(draw):
    rng = ndd.random.RNG(5)
    before = dynamic_bytes(rng, 2, **draw)
    state = rng.get_state()
    after = dynamic_bytes(rng, 3, **draw)
    other = ndd.random.RNG(0)
    other.set_state(state)
    assert dynamic_bytes(other, 3, **draw) == after
    assert dynamic_bytes(ndd.random.RNG(5), 2, **draw) == before
    assert before[0] != after[0]


def test_dynamic_mode_resumes_from_a_checkpoint():
    def checkpoint_of(rng):
        checkpoint = ndd.checkpoint.Checkpoint()
        checkpoint.register(rng, "rng")
        return checkpoint

    rng = ndd.random.RNG(5)
    dynamic_bytes(rng, 2)
    saved = checkpoint_of(rng)
    saved.collect()
    text = saved.serialize()
    after = dynamic_bytes(rng, 2)
    other = ndd.random.RNG(0)
    restored = ndd.checkpoint.Checkpoint()
    restored.deserialize(text)
    restored.register(other, "rng")
    assert dynamic_bytes(other, 2) == after


@pytest.mark.parametrize("per", ["sample", "pair", "batch"])
@pytest.mark.parametrize("pairing", ["derange", "reverse"])
def test_dynamic_mode_and_pipeline_mode_draw_the_same_from_one_state(per, pairing):
    rng = ndd.random.RNG(11)
    state = rng.get_state()
    words = np.array([rng() for _ in range(7)], np.uint32)
    rng.set_state(state)
    given = {"per": per, "prob": 0.8}
    dynamic = dali_mix.dynamic.plan(images(), None, METHODS, rng=rng, partner=pairing, **given)

    def graph():
        return fn.dali_mix.plan(
            feed([fingerprints(6, 24, 40)], "HWC"),
            methods=["mixup", "cutmix"],
            alpha=[0.3, 1.0],
            fold=[1, 0],
            weights=[1.0, 1.0],
            pairing=pairing,
            _random_state=feed([[words] * 6]),
            **given,
        )

    pipeline = [stacked(column) for column in build(graph, batch_size=6).run()]
    for one, other in zip(columns_of(dynamic), pipeline, strict=True):
        assert stacked(one).tobytes() == other.tobytes()


def test_dynamic_mode_applies_a_plan_as_pipeline_mode_does():
    plan = dali_mix.dynamic.plan(images(), None, METHODS, rng=ndd.random.RNG(2))
    columns = [arrays(column) for column in columns_of(plan)]
    given = {"mean": [3.0, 2.0, 1.0], "dtype": types.FLOAT16, "mirror": 1}
    dynamic = dali_mix.dynamic.apply(images(), plan, **given)

    def graph():
        nodes = dmix.Plan(*(feed([column]) for column in columns))
        return dmix.apply(feed([fingerprints(6, 24, 40)], "HWC"), nodes, **given)

    pipeline = build(graph, batch_size=6).run()[0]
    assert stacked(dynamic).tobytes() == stacked(pipeline).tobytes()


def test_calls_of_dynamic_mode_differ_without_an_rng():
    lams = [stacked(dali_mix.dynamic.mixup(images(), labels(), alpha=1.0)[3]) for _ in range(3)]
    assert len(np.unique(lams)) == 18


def test_a_single_image_of_dynamic_mode_is_left_unmixed():
    image = ndd.tensor(fingerprints(2, 4, 5)[1], layout="HWC")
    x, y1, y2, lam = dali_mix.dynamic.mixup(image, ndd.tensor(np.int64(7)), output_layout="HWC")
    np.testing.assert_array_equal(np.array(x.cpu()), fingerprints(2, 4, 5)[1])
    assert [np.array(value).tolist() for value in (y1, y2, lam)] == [7, 7, 1.0]


def test_a_size_and_labels_are_enough_for_a_plan_of_dynamic_mode():
    """The labels say how many samples there are, where images are not given."""
    plan = dali_mix.dynamic.plan(None, labels(), CutMix(1.0), size=(5, 7), rng=ndd.random.RNG(1))
    assert isinstance(plan.lam, ndd.Batch) and plan.lam.batch_size == 6


# nothing global


def test_no_global_random_state_is_read_or_written():
    torch = pytest.importorskip("torch")

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    outputs = []
    for seed in (0, 1):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = states()
        pipeline = run_bytes(build(stateful, batch_size=6), 2)
        outputs.append((pipeline, dynamic_bytes(ndd.random.RNG(3))))
        assert states() == before
    assert outputs[0] == outputs[1]


def test_an_rng_that_is_given_leaves_the_default_one_alone():
    ndd.random.set_seed(4)
    expected = stacked(ndd.random.uniform(range=[0, 1], batch_size=3))
    ndd.random.set_seed(4)
    dynamic_bytes(ndd.random.RNG(3))
    np.testing.assert_array_equal(stacked(ndd.random.uniform(range=[0, 1], batch_size=3)), expected)

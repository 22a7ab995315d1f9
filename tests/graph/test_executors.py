"""Both executors, conditionals, permuted batches, and images on the GPU."""

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import (
    DEVICES,
    PerSample,
    arrays,
    build,
    columns_of,
    feed,
    fingerprints,
    node_of,
    run_on,
    stacked,
)
from nvidia.dali import Pipeline, fn, pipeline_def, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

METHODS = [MixUp(0.4), CutMix(1.0)]
IMAGES = fingerprints(6, 24, 40)
IDS = np.arange(6)


def everything(x, y, **draw):
    return dmix.mix(x, y, METHODS, mean=[3.0], dtype=types.FLOAT16, mirror=1, **draw)


@pytest.mark.parametrize("draw", [{}, {"per": "pair"}, {"crop": (7, 9), "prob": 0.5}])
def test_both_executors_give_the_same_for_cpu_images(draw):
    outputs = [
        run_on(IMAGES, lambda x, y: everything(x, y, **draw), IDS, exec_dynamic=dynamic)
        for dynamic in (False, True)
    ]
    for old, new in zip(*outputs, strict=True):
        assert [a.tobytes() for a in old] == [a.tobytes() for a in new]


def define(graph, **options):
    """`graph(GPU images, CPU labels)` in a pipeline that is defined and not built: needs no GPU."""
    pipeline = Pipeline(batch_size=6, num_threads=1, device_id=0, **options)
    with pipeline:
        return graph(feed([IMAGES], "HWC", "gpu"), feed([list(IDS)]))


@pytest.mark.parametrize("function", [dmix.plan, dmix.mixup, dmix.cutmix, dmix.mix])
def test_without_the_dynamic_executor_the_size_of_gpu_images_must_be_given(function):
    sentence = r"exec_dynamic=False\. Pass crop=\(H, W\) .* or build the pipeline with exec_dynamic"
    with pytest.raises(ValueError, match=sentence):
        define(lambda x, y: function(x, y), exec_dynamic=False)


@pytest.mark.parametrize("given", [{"crop": (7, 9)}, {"crop_h": 7, "crop_w": 9}])
@pytest.mark.parametrize("labelled", [False, True])
def test_without_the_dynamic_executor_a_size_is_enough(given, labelled):
    out = define(lambda x, y: dmix.mixup(x, y if labelled else None, **given), exec_dynamic=False)
    assert out[0].device == "gpu"


def test_without_the_dynamic_executor_plan_takes_a_size():
    plan = define(lambda x, y: dmix.plan(x, y, size=(7, 9)), exec_dynamic=False)
    assert {column.device for column in columns_of(plan)} == {"cpu"}


@pytest.mark.parametrize("given", [{}, {"size": (24, 40)}])
def test_the_plan_for_gpu_images_is_drawn_on_the_cpu(given):
    plan = define(lambda x, y: dmix.plan(x, y, **given), exec_dynamic=True)
    assert {column.device for column in columns_of(plan)} == {"cpu"}


@pytest.mark.parametrize("given", [{}, {"crop": (7, 9)}])
def test_with_the_dynamic_executor_gpu_images_and_cpu_labels_end_on_the_gpu(given):
    out = define(lambda x, y: dmix.mixup(x, y, **given), exec_dynamic=True)
    assert {node.device for node in out} == {"gpu"}


# conditionals


@pipeline_def(num_threads=2, device_id=None, seed=3, enable_conditionals=True)
def mixed_where(images, taken, method):
    x, y = feed([images], "HWC"), feed([[np.int64(i) for i in range(len(images))]])
    if feed([[np.bool_(t) for t in taken]]):
        x, _, y2, lam = dmix.mix(x, y, method, output_layout="HWC")
    else:
        x, y2, lam = fn.cast(x, dtype=types.FLOAT), y + 0, 1.0
    return x, y2, lam


@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
@pytest.mark.parametrize("taken", ["11011000", "10000000", "00000000", "11111111", "01010101"])
def test_inside_a_branch_partners_come_from_the_branch(taken, method):
    images, taken = fingerprints(8, 24, 40), [t == "1" for t in taken]
    pipeline = mixed_where(images, taken, method, batch_size=8)
    x, y2, lam = (stacked(output) for output in pipeline.run())
    inside = set(np.flatnonzero(taken).tolist())
    for i in range(8):
        if i not in inside or len(inside) == 1:
            assert y2[i] == i and lam[i] == 1
            np.testing.assert_array_equal(x[i], images[i])
        else:
            assert y2[i] in inside - {i}
            np.testing.assert_allclose(x[i, ..., 0].mean(), lam[i] * i + (1 - lam[i]) * y2[i], 1e-5)


def test_after_permute_batch_the_plan_is_for_the_new_order():
    def graph(x, y):
        order = node_of(PerSample([5, 5, 0, 2, 2, 1]))
        x, y = fn.permute_batch(x, indices=order), fn.permute_batch(y, indices=order)
        return dmix.cutmix(x, y, output_layout="HWC", box=(0, 0, 24, 20), partner="roll")

    x, y1, y2, lam = (np.stack(output) for output in run_on(IMAGES, graph, IDS))
    assert y1.tolist() == [5, 5, 0, 2, 2, 1] and y2.tolist() == [1, 5, 5, 0, 2, 2]
    assert (x[:, :, :20, 0] == y2[:, None, None]).all()
    assert (x[:, :, 20:, 0] == y1[:, None, None]).all()
    assert (lam == 0.5).all()


def test_a_plan_made_by_other_operators_drives_apply():
    def graph(x, y):
        partner = fn.batch_permutation(no_fixed_points=True)
        blend = fn.random.beta(alpha=0.5, beta=0.5)
        x = dmix.apply(x, dmix.Plan(partner, blend, None, None, None), output_layout="HWC")
        return x, partner, blend

    x, partner, blend = (np.stack(output) for output in run_on(IMAGES, graph, IDS))
    expected = blend * IDS + (1 - blend) * partner
    np.testing.assert_allclose(x[..., 0].mean((1, 2)), expected, rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("exec_dynamic", [False, True])
def test_one_plan_may_be_applied_to_several_batches(device, exec_dynamic):
    """Images and their masks, for instance."""

    def graph(x, y):
        plan = dmix.plan(x, y, CutMix(1.0), size=(24, 40))
        masks = dmix.apply(x, plan, output_layout="HWC", dtype=types.UINT8)
        return dmix.apply(x, plan, output_layout="HWC"), masks

    one, other = run_on(IMAGES, graph, IDS, device=device, exec_dynamic=exec_dynamic)
    np.testing.assert_array_equal(one, other)


# images on the GPU


@pytest.mark.gpu
@pytest.mark.parametrize("draw", [{}, {"per": "pair"}, {"per": "batch"}, {"crop": (7, 9)}])
def test_the_plan_is_the_same_for_images_on_either_device(draw):
    def graph(x, y):
        return dmix.plan(x, y, METHODS, **draw)

    cpu, gpu = (run_on(IMAGES, graph, IDS, device=device) for device in ("cpu", "gpu"))
    for one, other in zip(cpu, gpu, strict=True):
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


@pytest.mark.gpu
@pytest.mark.parametrize("exec_dynamic", [False, True])
def test_mixing_is_the_same_on_either_device(exec_dynamic):
    def graph(x, y):
        return everything(x, y, crop=(7, 9))

    cpu, gpu = (
        run_on(IMAGES, graph, IDS, device=device, exec_dynamic=exec_dynamic)
        for device in ("cpu", "gpu")
    )
    for one, other in zip(cpu, gpu, strict=True):
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


@pytest.mark.gpu
def test_dynamic_mode_is_the_same_on_either_device():
    images = ndd.batch([ndd.tensor(image, layout="HWC") for image in IMAGES])
    labels = ndd.batch([np.int64(i) for i in IDS])
    outputs = []
    for x in (images, images.gpu()):
        out = dali_mix.dynamic.mix(x, labels, METHODS, mean=[3.0], rng=ndd.random.RNG(5))
        assert {batch.device for batch in out} == {x.device}
        outputs.append([a.tobytes() for batch in out for a in arrays(batch)])
    assert outputs[0] == outputs[1]


@pytest.mark.gpu
def test_many_batches_in_flight_do_not_disturb_each_other():
    batches = [fingerprints(size, 64, 96) for size in (8, 3, 1, 7, 8, 2)]

    def graph(device):
        x = feed(batches, "HWC", device)
        return dmix.mix(x, None, METHODS, output_layout="HWC")[0]

    options = {"batch_size": 8, "prefetch_queue_depth": 3}
    cpu, gpu = (build(lambda d=d: graph(d), device=d, **options) for d in ("cpu", "gpu"))
    for _ in range(30):
        one, other = arrays(cpu.run()[0]), arrays(gpu.run()[0])
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other]

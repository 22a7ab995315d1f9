"""`apply` and the memory behind a batch: any number of samples, scattered, of different sizes, and
nothing read beyond an image."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import (
    CPU_PATHS,
    DEVICES,
    UNMIXED,
    apply,
    arrays,
    build,
    feed,
    fingerprints,
    random_images,
    run,
    stacked,
)
from nvidia.dali import fn, pipeline_def, types

import dali_mix
import dali_mix.fn as dmix
from dali_mix import reference
from dali_mix.plan import Plan


def column(values):
    dtype = np.int32 if isinstance(values[0], int) else np.float32
    return feed([[dtype(value) for value in values]])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_any_number_of_samples(device, count):
    images = fingerprints(count, 5, 7)
    partner = np.roll(np.arange(count, dtype=np.int32), 1)
    plan = Plan(partner, np.full(count, 0.25, np.float32), np.zeros((count, 4), int), None, None)
    out = apply(images, plan, device=device)
    for i in range(count):
        own, other = images[i].astype(float), images[partner[i]].astype(float)
        np.testing.assert_array_equal(out[i], (0.25 * own + 0.75 * other).transpose(2, 0, 1))


@pytest.mark.parametrize("device", DEVICES)
def test_the_batch_size_may_change_from_run_to_run(device):
    sizes = [8, 1, 3, 2, 7, 8]
    batches = [fingerprints(size, 4, 6) for size in sizes]

    def graph():
        x = feed(batches, "HWC", device)
        mixed, plan = dmix.cutmix(x, output_layout="HWC")
        return mixed, *plan.columns

    pipeline = build(graph, batch_size=8, device=device)
    for size in sizes:
        mixed, *columns = (arrays(output) for output in pipeline.run())
        assert len(mixed) == size
        plan = Plan(*(np.stack(column) for column in columns))
        expected = reference.apply(fingerprints(size, 4, 6), plan, output_layout="HWC")
        np.testing.assert_array_equal(mixed, expected)


@pipeline_def(batch_size=4, num_threads=2, device_id=None, seed=1, enable_conditionals=True)
def mixing_in_a_branch(images, taken):
    x = feed([images], "HWC")
    if feed([taken]):
        out = dmix.mixup(x, output_layout="HWC", alpha=1.0)[0]
    else:
        out = dmix.apply(x, UNMIXED, output_layout="HWC")
    return out


@pytest.mark.parametrize("taken", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 0), (1, 1, 0, 1)])
def test_a_branch_without_samples_is_ordinary(taken):
    own = fingerprints(4, 5, 7)
    out = arrays(mixing_in_a_branch(own, [np.bool_(t) for t in taken]).run()[0])
    alone = sum(taken) == 1
    for i in range(4):
        if not taken[i] or alone:
            np.testing.assert_array_equal(out[i], own[i])


def scattered(count, shape):
    """Images that lie in different places, with other values around each."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (3, *shape), np.uint8)[1] for _ in range(count)]


@pytest.mark.parametrize("path", CPU_PATHS)
def test_images_that_do_not_lie_one_after_the_other(monkeypatch, path):
    monkeypatch.setenv("DALI_MIX_CPU", path)
    images = scattered(5, (9, 70, 3))
    partner = np.int32([3, 4, 0, 2, 1])
    blend, box = np.float32([1, 1, 1, 0.5, 1]), np.int32([(1, 2, 8, 66)] * 5)

    def graph():
        x = feed([images], "HWC", no_copy=True)
        plan = Plan(*(feed([list(column)]) for column in (partner, blend, box)), None, None)
        return dmix.apply(x, plan, mirror=1)

    out = run(graph, batch_size=5)[0]
    plan = Plan(partner, blend, box, None, None)
    expected = reference.apply(images, plan, windows=[{"mirror": True}] * 5)
    np.testing.assert_array_equal(out, expected)


@pipeline_def(batch_size=4, num_threads=2, device_id=None, enable_conditionals=True)
def mixing_after_branches(images, taken, partner):
    x = feed([images], "HWC")
    if feed([taken]):  # noqa: SIM108
        out = fn.copy(x)
    else:
        out = fn.cast(255 - x, dtype=types.UINT8)
    return dmix.apply(out, Plan(column(partner), 0.5, None, None, None), output_layout="HWC")


def test_images_merged_from_two_branches():
    images, taken, partner = fingerprints(4, 5, 40), [True, False, False, True], [2, 3, 0, 1]
    merged = [x if t else 255 - x for x, t in zip(images, taken, strict=True)]
    out = arrays(mixing_after_branches(images, [np.bool_(t) for t in taken], partner).run()[0])
    for i, j in enumerate(partner):
        np.testing.assert_array_equal(out[i], 0.5 * merged[i] + 0.5 * merged[j])


@pytest.mark.parametrize("device", DEVICES)
def test_sizes_may_differ_between_pairs(device):
    shapes = [(5, 7, 3), (1, 1, 3), (33, 65, 3), (5, 7, 3), (33, 65, 3), (2, 130, 3), (1, 1, 3)]
    images = random_images(np.random.default_rng(0), shapes)
    partner = np.int32([3, 6, 4, 0, 2, 5, 1])
    plan = Plan(partner, np.full(7, 0.5, np.float32), np.zeros((7, 4), int), None, None)
    out = apply(images, plan, device=device)
    np.testing.assert_allclose(
        np.concatenate([x.ravel() for x in out]),
        np.concatenate([x.ravel() for x in reference.apply(images, plan)]),
        rtol=3e-7,
    )


@pytest.mark.parametrize("device", DEVICES)
def test_a_crop_makes_pairs_of_different_sizes_equal(device):
    images = [fingerprints(1, 9, 12)[0], fingerprints(2, 20, 30)[1]]
    out, plan = [
        np.stack(x)
        for x in run(
            lambda: (
                dmix.apply(
                    feed([images], "HWC", device),
                    Plan(column([1, 0]), column([0.0, 0.0]), None, None, None),
                    crop=(3, 4),
                    crop_pos_x=0.0,
                    crop_pos_y=1.0,
                    output_layout="HWC",
                ),
                dmix.plan(None, size=(3, 4)).size,
            ),
            batch_size=2,
            device=device,
        )
    ]
    np.testing.assert_array_equal(out[0], images[1][17:20, 0:4])
    np.testing.assert_array_equal(out[1], images[0][6:9, 0:4])
    np.testing.assert_array_equal(plan, [[3, 4]] * 2)


def test_the_partner_of_an_image_may_be_far_larger_when_it_is_not_mixed():
    """Weight 1 and no box: the partner is not looked at, whatever its size."""
    images = [fingerprints(1, 3, 4)[0], fingerprints(1, 30, 40)[0]]
    plan = Plan(np.int32([1, 0]), np.ones(2, np.float32), np.zeros((2, 4), int), None, None)
    out = apply(images, plan, output_layout="HWC")
    np.testing.assert_array_equal(out[0], images[0])
    np.testing.assert_array_equal(out[1], images[1])


GUARDED = """
    import ctypes, itertools, mmap
    import numpy as np
    import dali_mix.fn as dmix
    from dali_mix.plan import Plan
    from helpers import PerSample, feed, node_of, run
    from nvidia.dali import types

    libc = ctypes.CDLL(None, use_errno=True)
    PAGE = mmap.PAGESIZE
    keep = []

    def guarded(shape, at_end):
        # A page that may be used between two that must not be touched.
        pages = mmap.mmap(-1, 3 * PAGE)
        keep.append(pages)
        address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        for page in (0, 2):
            assert libc.mprotect(ctypes.c_void_p(address + page * PAGE), PAGE, 0) == 0
        size = int(np.prod(shape))
        offset = 2 * PAGE - size if at_end else PAGE
        image = np.frombuffer(pages, np.uint8, size, offset).reshape(shape)
        image[:] = 7
        return image

    def check(shape, layout, out_layout, dtype, pad):
        images = [guarded(shape, at_end) for at_end in (False, True, False, True)]
        plan = Plan(PerSample([1, 0, 3, 2]), PerSample([0.5, 1.0, 0.25, 0.0]),
                    PerSample([(0, 0, 1, 1), (0, 0, 1, 1), (0,) * 4, (0,) * 4]), None, None)
        out = run(lambda: dmix.apply(feed([images], layout, no_copy=True),
                                     Plan(*(node_of(c) for c in plan)), dtype=dtype, pad_output=pad,
                                     output_layout=out_layout,
                                     mirror=node_of(PerSample([0, 0, 1, 1]))),
                  batch_size=4)[0]
        assert all((x == 7).sum() == np.prod(shape) for x in out)

    READ_BEYOND = {beyond}
    if READ_BEYOND:
        page = guarded((1, 1, 1), True)
        ctypes.string_at(page.ctypes.data, 2)
    for channels, width in itertools.product([1, 3, 4], [1, 31, 32, 33, 64, 97, 256]):
        height = min(3, PAGE // (width * channels))
        for pad, out_layout in itertools.product([False, True], ["CHW", "HWC"]):
            if channels == 3 or not pad:
                check((height, width, channels), "HWC", out_layout, types.FLOAT, pad)
        check((height, width, channels), "HWC", "CHW", types.UINT8, False)
        check((channels, height, width), "CHW", "CHW", types.FLOAT16, False)
    print("done")
"""


def run_guarded(path, beyond):
    code = textwrap.dedent(GUARDED).format(beyond=beyond)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, DALI_MIX_CPU=path, PYTHONPATH=":".join(sys.path)),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("path", CPU_PATHS)
def test_nothing_is_read_beyond_an_image(path):
    done = run_guarded(path, beyond=False)
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_the_guard_catches_a_read_of_one_byte_too_many():
    assert run_guarded("baseline", beyond=True).returncode < 0


def test_mixing_a_batch_of_one_leaves_it_alone():
    image = fingerprints(2, 6, 8)[1:]
    mixed, *plan = run(
        lambda: dmix.mix(
            feed([image], "HWC"), None, dali_mix.CutMix(alpha=1.0), output_layout="HWC"
        ),
        batch_size=1,
    )
    np.testing.assert_array_equal(mixed[0], image[0])
    partner, blend, box, lam, _ = (column[0] for column in plan)
    assert partner == 0 and blend == 1 and lam == 1 and not box.any()


def test_a_pipeline_over_many_runs_keeps_no_state_between_batches():
    """The same batch and plan give the same pixels, whatever was mixed in between."""
    first, second = fingerprints(4, 40, 50), fingerprints(4, 3, 5)

    def graph():
        plan = Plan(column([1, 2, 3, 0]), column([0.5, 0.25, 0.75, 1.0]), None, None, None)
        return dmix.apply(feed([first, second], "HWC"), plan)

    pipeline = build(graph, batch_size=4)
    outputs = [stacked(pipeline.run()[0]) for _ in range(6)]
    for early, late in zip(outputs, outputs[2:], strict=False):
        np.testing.assert_array_equal(early, late)

"""The same plan for a second view of another size: boxes to the nearest pixel, lam counted."""

import math

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import PerSample, arrays, assert_refused, build, draw, feed, node_of, stacked
from painted import NAMES, every_method, labels_by_share, one_hot

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, GridMix, MixUp, ResizeMix
from dali_mix.plan import Plan

COUNT, SIZE = 11, (32, 48)
OTHERS = [(16, 24), (64, 96), (33, 20), (7, 9), (1, 1), (32, 48)]


def two_views(method, to, runs=12, by_method=True, **given):
    """For each run the plan, the resized plan (columns as lists), and a second view mixed by it."""
    names = []

    def graph():
        plan = dmix.plan(feed([one_hot(COUNT, SIZE)], "HWC"), None, method, **given)
        target = node_of(PerSample(to)) if isinstance(to, list) else to
        small = plan.resized(*to) if by_method else dmix.resized(plan, target)
        names[:] = [n for n, column in plan._asdict().items() if column is not None]
        view = dmix.apply(feed([one_hot(COUNT, to)], "HWC"), small)
        return [view, *plan.columns, *small.columns]

    pipeline = build(graph, batch_size=COUNT)
    for _ in range(runs):
        view, *columns = map(arrays, pipeline.run())
        half = len(names)
        yield (
            np.stack(view),
            dict(zip(names, columns[:half], strict=True)),
            dict(zip(names, columns[half:], strict=True)),
        )


def nearest(value, to, size):
    """Halves away from zero, as C rounds; by whole numbers."""
    sign = -1 if value < 0 else 1
    return sign * ((2 * abs(int(value)) * to + size) // (2 * size))


@pytest.mark.parametrize("to", OTHERS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_lam_is_the_share_in_a_second_view(name, to):
    for view, plan, small in two_views(every_method(SIZE)[name], to):
        shares = labels_by_share(np.stack(small["partner"]), np.stack(small["lam"]))
        np.testing.assert_allclose(view.mean((2, 3)), shares, atol=3e-7)
        assert [s.tolist() for s in small["size"]] == [list(to)] * COUNT
        for column in ("partner", "blend", "mask"):
            for one, other in zip(plan.get(column, []), small.get(column, []), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("to", OTHERS[:3], ids=str)
def test_a_batch_of_all_methods_is_resized_alike(to):
    methods = [m for n, m in every_method(SIZE).items() if n not in ("uniform", "boxes")]
    for view, _, small in two_views(methods, to, runs=30, prob=0.9):
        lam = np.stack(small["lam"])
        np.testing.assert_allclose(lam.sum(1), 1, atol=1e-6)
        shares = labels_by_share(np.stack(small["partner"]), lam)
        np.testing.assert_allclose(view.mean((2, 3)), shares, atol=3e-7)


@pytest.mark.parametrize("to", OTHERS, ids=str)
@pytest.mark.parametrize("name", ["cutmix", "boxes", "resizemix", "patchmix", "ricap"])
def test_edges_go_to_the_nearest_pixel(name, to):
    for _, plan, small in two_views(every_method(SIZE)[name], to, runs=5):
        for old, new in zip(plan["box"], small["box"], strict=True):
            for box, other in zip(old.reshape(-1, 4), new.reshape(-1, 4), strict=True):
                expected = [nearest(e, to[k % 2], SIZE[k % 2]) for k, e in enumerate(box)]
                y0, x0, y1, x1 = expected
                assert other.tolist() == (expected if y0 < y1 and x0 < x1 else [0, 0, 0, 0])


@pytest.mark.parametrize("to", OTHERS[:4], ids=str)
def test_four_corners_stay_a_partition_and_crops_stay_inside(to):
    for _, plan, small in two_views(RICAP(1.0), to):
        for i in range(COUNT):
            shown = np.zeros(to, int)
            for box, offset, old in zip(
                small["box"][i], small["offset"][i], plan["offset"][i], strict=True
            ):
                shown[box[0] : box[2], box[1] : box[3]] += 1
                assert (box[:2] + offset >= 0).all() and (box[2:] + offset <= to).all()
                if box.any():
                    scaled = [nearest(o, t, s) for o, t, s in zip(old, to, SIZE, strict=True)]
                    assert np.abs(offset - scaled).max() <= 1
            assert shown.max() <= 1
            own = np.float32((shown == 0).mean())
            assert small["lam"][i][0] == pytest.approx(own, abs=1e-7)


def test_the_partner_is_fitted_into_the_new_box():
    for _, _, small in two_views(ResizeMix((0.3, 0.9)), (64, 20)):
        for box, fit in zip(small["box"], small["fit"], strict=True):
            assert fit.tolist() == [box[2] - box[0], box[3] - box[1]]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_size_is_the_same_plan(name):
    for _, plan, small in two_views(every_method(SIZE)[name], SIZE, runs=3):
        for column, values in plan.items():
            for one, other in zip(values, small[column], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-7, err_msg=column)


def test_the_size_may_differ_from_sample_to_sample():
    sizes = [np.int32([k + 1, 2 * k + 3]) for k in range(COUNT)]

    def graph():
        plan = dmix.plan(None, None, CutMix(), size=SIZE, partner="roll")
        small = dmix.resized(plan, feed([sizes]))
        return plan.box, small.box, small.lam, small.size

    old, box, lam, size = map(stacked, build(graph, batch_size=COUNT).run())
    np.testing.assert_array_equal(size, sizes)
    for i in range(COUNT):
        expected = [nearest(e, size[i][k % 2], SIZE[k % 2]) for k, e in enumerate(old[i])]
        own = np.ones(size[i])
        own[expected[0] : expected[2], expected[1] : expected[3]] = 0
        assert lam[i] == np.float32(own.mean()) and (own.all() or box[i].tolist() == expected)


def test_videos_keep_their_frames():
    clips = [np.zeros((5, *SIZE, 1), np.uint8)] * COUNT

    def graph():
        plan = dmix.plan(feed([clips], "FHWC"), None, CutMix(extent="time"), partner="roll")
        small = plan.resized(8, 6)
        return plan.lam, small.lam, small.size, plan.frames, small.frames

    lam, again, size, frames, same = map(stacked, build(graph, batch_size=COUNT).run())
    np.testing.assert_allclose(lam, again, atol=1e-7)
    np.testing.assert_array_equal(frames, same)
    assert size.tolist() == [[5, 8, 6]] * COUNT


def test_there_and_back_at_twice_the_size():
    plan = draw(COUNT, CutMix())

    def graph():
        column = [feed([list(c[0])]) for c in plan[:5]]
        back = Plan(*column).resized(64, 96).resized(*SIZE)
        return back.box, back.lam

    box, lam = map(stacked, build(graph, batch_size=COUNT).run())
    np.testing.assert_array_equal(box, plan.box[0])
    np.testing.assert_allclose(lam, plan.lam[0], atol=1e-7)


def test_sizes_below_a_pixel_are_refused():
    assert_refused(
        r"to must be a height and a width above 0, got 0 x 4\.",
        lambda x: dmix.resized(dmix.plan(x, None, MixUp()), (0, 4)).lam,
    )


REFUSED = [
    (r"to must hold 2 values for each sample, height and width, got 1\.", 9, {}),
    (r"size must be a height and a width above 0, got 8 x -1\.", (9, 9), {"size": [8, -1]}),
    (r"size must hold 2 values for each sample, or 3 .*, got 1\.", (9, 9), {"size": [8]}),
    (r"box must be \(y0, x0, y1, x1\) inside .* 8 x 8, got .*", (9, 9), {"box": [0, 0, 4, 40]}),
    (r"box must be \(y0, x0, y1, x1\) inside .* 8 x 8, got .*", (9, 9), {"box": [0, -9, 4, 8]}),
    (r"box must be \(y0, x0, y1, x1\) inside .* 8 x 8, got .*", (9, 9), {"box": [0, 5, 4, 3]}),
    (r"box must hold 4 values for each of 1 to 8 .*, got 5\.", (9, 9), {"box": [0, 0, 4, 4, 1]}),
    (r"offset must hold 2 values .*, got 4\.", (9, 9), {"offset": [0, 0, 0, 0]}),
    (r"blend must be in \[0, 1\], got -?nan for sample 0\.", (9, 9), {"blend": math.nan}),
    (
        r"frames must be \(begin, end\) inside the 3 .*",
        (9, 9),
        {"size": [3, 8, 8], "frames": [1, 4]},
    ),
]


@pytest.mark.parametrize(("sentence", "to", "columns"), REFUSED)
def test_hostile_plans_are_refused(sentence, to, columns):
    good = {"partner": 1, "box": [0, 0, 4, 4], "blend": 1.0, "size": [8, 8]}

    def graph(x):
        given = {k: node_of(PerSample([v] * 2)) for k, v in (good | columns).items()}
        plan = Plan(**dict.fromkeys(Plan._fields) | given)
        return dmix.resized(plan, to).box

    assert_refused(sentence, graph, images=[np.zeros((8, 8, 3), np.uint8)] * 2)


@pytest.mark.parametrize("blend", [None, 1.0, 0.25])
def test_one_blend_for_many_partners(blend):
    """As `apply` takes it: the first partner has what it leaves."""
    columns = {
        "partner": np.int32([[1, 1, 0], [0, 0, 1]]),
        "box": np.int32([[(0, 0, 2, 3), (0, 3, 2, 5), (4, 0, 7, 5)]] * 2),
        "size": np.int32([(7, 5)] * 2),
    }
    if blend is not None:
        columns["blend"] = np.float32([blend] * 2)

    def graph():
        given = Plan(**dict.fromkeys(Plan._fields) | {k: feed([v]) for k, v in columns.items()})
        return given.partner, dmix.resized(given, (14, 20)).lam

    lam = stacked(build(graph, batch_size=2).run()[1])
    columns.setdefault("blend", np.ones(2, np.float32))
    shares = Plan(**dict.fromkeys(Plan._fields) | columns | {"lam": np.zeros((2, 4), np.float32)})
    np.testing.assert_allclose(lam, shares.resized(14, 20).lam, atol=1e-7)


@pytest.mark.parametrize("name", [*NAMES])
def test_dynamic_mode_resizes_alike(name):
    method = every_method(SIZE)[name]
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in one_hot(COUNT, SIZE)])
    other = ndd.batch([ndd.tensor(x, layout="HWC") for x in one_hot(COUNT, (20, 33))])
    plan = dali_mix.dynamic.plan(images, None, method, rng=ndd.random.RNG(3))
    small = plan.resized(20, 33)
    view = stacked(dali_mix.dynamic.apply(other, small))
    shares = labels_by_share(stacked(small.partner), stacked(small.lam))
    np.testing.assert_allclose(view.mean((2, 3)), shares, atol=3e-7)
    columns = {n: arrays(c) for n, c in plan._asdict().items() if c is not None}

    def graph():
        given = Plan(**{n: feed([columns[n]]) if n in columns else None for n in Plan._fields})
        return given.resized(20, 33).columns

    expected = build(graph, batch_size=COUNT).run()
    for mine, theirs in zip(small.columns, expected, strict=True):
        for one, same in zip(arrays(mine), arrays(theirs), strict=True):
            np.testing.assert_array_equal(one, same)


def test_a_mask_of_pixels_is_read_at_the_nearest_one_below():
    """Pixel y of H has row y * h // H, as everywhere."""
    for _, plan, small in two_views(GridMix(), (10, 31), runs=3):
        for mask, lam in zip(plan["mask"], small["lam"], strict=True):
            if mask.size:
                rows, columns = (np.arange(n) * s // n for n, s in zip((10, 31), SIZE, strict=True))
                seen = mask[np.ix_(rows, columns)] / 255
                assert math.isclose(lam, seen.mean(), abs_tol=1e-7)


@pytest.mark.parametrize("to", OTHERS, ids=str)
@pytest.mark.parametrize("name", [*NAMES, "all that go together"])
def test_numpy_plans_are_resized_alike(name, to):
    """The definition, which is written apart from the operator, agrees with it."""
    every = every_method(SIZE)
    apart = [m for n, m in every.items() if n not in ("uniform", "boxes")]
    for _, plan, small in two_views(every.get(name, apart), to, runs=4, prob=0.9):
        columns = {n: c if n == "mask" else np.stack(c) for n, c in plan.items()}
        resized = Plan(**dict.fromkeys(Plan._fields) | columns).resized(*to)
        for column, values in small.items():
            mine = getattr(resized, column)
            assert column == "mask" or mine.dtype == values[0].dtype
            for one, other in zip(mine, values, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-7, err_msg=column)


def test_numpy_plans_refuse_sizes_below_a_pixel():
    plan = Plan(*(c[0] for c in draw(3, CutMix())[:5]))
    with pytest.raises(ValueError, match=r"size must be a height and a width above 0, got 3 x 0\."):
        plan.resized(3, 0)

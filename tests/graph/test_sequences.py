"""Videos and volumes: every frame mixed as an image is, boxes that are cut in time, and what cannot
be told from frames."""

import math
import re

import numpy as np
import pytest
from helpers import PerSample, assert_refused, build, chi2_accepts, feed, run, stacked
from nvidia.dali import fn
from painted import every_method, labels_by_share

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixUp, ResizeMix

COUNT = 5
LAYOUTS = {"FHWC": (0, 1, 2, 3), "FCHW": (0, 3, 1, 2), "CFHW": (3, 0, 1, 2)}
LAYOUTS |= {name.replace("F", "D"): order for name, order in LAYOUTS.items()}
EXTENTS = ["space", "time", "space-time"]


def videos(frames=5, size=(7, 9), layout="FHWC"):
    """One channel for each video."""
    plain = [
        np.tile(np.eye(COUNT, dtype=np.uint8)[i], (frames, *size, 1)).transpose(LAYOUTS[layout])
        for i in range(COUNT)
    ]
    return [np.ascontiguousarray(video) for video in plain]


def mixed(method, runs=20, layout="FHWC", frames=5, size=(7, 9), **draw):
    """x as (N, F, C, H, W), and the columns of the plan."""
    plans = []

    def graph():
        x = feed([videos(frames, size, layout)], layout)
        plans.append(dmix.plan(x, None, method, **draw))
        return [dmix.apply(x, plans[0]), *plans[0].columns]

    pipeline = build(graph, batch_size=COUNT)
    names = [name for name, column in plans[0]._asdict().items() if column is not None]
    for _ in range(runs):
        x, *columns = pipeline.run()
        masks = names.index("mask") if "mask" in names else None
        read = [None if k == masks else stacked(column) for k, column in enumerate(columns)]
        yield stacked(x), dict(zip(names, read, strict=True))


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("extent", EXTENTS)
def test_lam_is_the_share_over_all_frames(layout, extent):
    seen = 0
    for x, plan in mixed(CutMix(extent=extent, place="inside"), layout=layout):
        assert x.shape == (COUNT, 5, COUNT, 7, 9)
        shares = labels_by_share(plan["partner"], plan["lam"])
        np.testing.assert_allclose(x.mean((1, 3, 4)), shares, atol=1e-6)
        seen += (plan["lam"] < 1).sum()
    assert seen > 30


@pytest.mark.parametrize("name", [n for n in every_method((7, 9)) if n != "multimix"])
@pytest.mark.parametrize("layout", ["FHWC", "CDHW"])
def test_every_method_mixes_all_frames_alike(name, layout):
    for x, plan in mixed(every_method((7, 9))[name], runs=5, layout=layout):
        np.testing.assert_array_equal(x, np.broadcast_to(x[:, :1], x.shape))
        shares = labels_by_share(plan["partner"], plan["lam"])
        np.testing.assert_allclose(x[:, 0].mean((2, 3)), shares, atol=3e-7)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "boxes", "gridmix", "ricap"])
def test_a_frame_is_what_the_image_operator_makes_of_it(name):
    """The same plan over the frames as images, each of another noise."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (3, 7, 9, 3), np.uint8) for _ in range(COUNT)]
    given = {"mean": [3.0], "std": [2.0, 3.0, 4.0], "mirror": 1}

    def graph():
        plan = dmix.plan(None, None, every_method((7, 9))[name], size=(7, 9))
        frames = [[video[f] for video in noise] for f in range(3)]
        whole = dmix.apply(feed([noise], "FHWC"), plan, **given)
        return [whole, *(dmix.apply(feed([f], "HWC"), plan, **given) for f in frames)]

    whole, *frames = (np.stack(out) for out in run(graph, batch_size=COUNT))
    for f, frame in enumerate(frames):
        np.testing.assert_array_equal(whole[:, f], frame)


def hidden(x, plan, i):
    """(F, H, W): where the partner of sample i shows."""
    return x[i][:, plan["partner"][i]] == 1


def test_time_takes_whole_frames_and_space_a_box_in_all():
    for x, plan in mixed(CutMix(extent="time"), frames=11):
        for i in range(COUNT):
            if plan["lam"][i] == 1:
                continue
            shown = hidden(x, plan, i)
            begin, end = plan["frames"][i]
            assert (shown == shown[:, :1, :1]).all()
            assert np.flatnonzero(shown[:, 0, 0]).tolist() == list(range(begin, end))
            assert plan["lam"][i] == np.float32(1 - (end - begin) / 11)


@pytest.mark.parametrize("lam", [0.875, 0.5])
def test_a_box_in_space_and_time_has_three_equal_shares(lam):
    """Each side is (1 - lam)^(1/3) of its own, so that the volume is 1 - lam."""
    size, frames = (40, 60), 20
    method = CutMix(extent="space-time", place="inside")
    for x, plan in mixed(method, runs=3, frames=frames, size=size, lam=lam):
        side = (1 - lam) ** (1 / 3)
        for i in range(COUNT):
            lengths = [np.ptp(axis) + 1 for axis in np.nonzero(hidden(x, plan, i))]
            expected = [math.floor(n * side + 1e-6) for n in (frames, *size)]
            assert np.abs(np.subtract(lengths, expected)).max() <= (0 if lam != 0.875 else 1)
            assert plan["lam"][i] == np.float32(1 - np.prod(lengths) / (frames * 40 * 60))


@pytest.mark.parametrize("place", ["center", "inside", "uniform"])
def test_the_frames_follow_the_law_of_the_place(place):
    """Of 7 frames, 3 are cut: their begin is uniform inside, and clipped otherwise."""
    counts = np.zeros(7, int)
    begins = np.zeros(5, int)
    for _, plan in mixed(
        CutMix(extent="time", place=place), runs=600, frames=7, lam=0.55, size=(1, 1)
    ):
        for begin, end in plan["frames"]:
            counts[begin:end] += 1
            if place == "inside":
                begins[begin] += 1
                assert end - begin == 3
    if place == "inside":
        assert chi2_accepts(begins)
    if place == "uniform":
        assert np.abs(counts - counts.mean()).max() < 4.5 * math.sqrt(counts.mean())
    if place == "center":
        expected = 3000 / 7 * np.array([2, 3, 3, 3, 3, 3, 2])
        assert np.abs(counts - expected).max() < 4.5 * math.sqrt(expected.max())


@pytest.mark.parametrize("extent", EXTENTS)
def test_a_video_of_one_frame(extent):
    """In time there is nothing less than a frame to cut: such samples stay unmixed."""
    lams = [plan["lam"] for _, plan in mixed(CutMix(extent=extent), frames=1)]
    lams = np.stack(lams)
    assert (lams < 1).any() == (extent == "space")


def test_frames_differ_from_sample_to_sample_but_not_in_a_pair():
    lengths = [2, 3, 2, 3, 3]
    clips = [np.full((n, 4, 6, 1), i, np.uint8) for i, n in enumerate(lengths)]

    def graph(partner):
        x = feed([clips], "FHWC")
        plan = dmix.plan(x, None, CutMix(extent="time"), partner=feed([partner]), lam=0.4)
        return dmix.apply(x, plan), plan.lam, plan.size, plan.frames

    right = [np.int32(p) for p in (2, 3, 0, 4, 1)]
    x, lam, size, frames = run(lambda: graph(right), batch_size=5)
    assert np.stack(size).tolist() == [[n, 4, 6] for n in lengths]
    for i, (own, (begin, end)) in enumerate(zip(x, frames, strict=True)):
        assert own.shape == (lengths[i], 1, 4, 6)
        own = own[:, 0, 0, 0]
        assert (own[begin:end] == right[i]).all() and (own == i).mean() == pytest.approx(lam[i])
    wrong = [np.int32(p) for p in (1, 0, 2, 3, 4)]
    with pytest.raises(ValueError, match=r"must have equal shapes, got 2x4x6x1 .* 3x4x6x1"):
        run(lambda: graph(wrong), batch_size=5)


@pytest.mark.parametrize("layout", ["FHWC", "FCHW", "CFHW", "DHWC"])
@pytest.mark.parametrize("sizes", [((4, 6),), ((4, 6), (5, 6))], ids=["frames", "frames and size"])
def test_what_the_refusal_of_clips_of_different_length_says_helps(layout, sizes):
    """Padded as it says they mix; a crop is named only where the size differs too."""
    axes = ["FHWC".index(letter.replace("D", "F")) for letter in layout]
    clips = [
        np.ascontiguousarray(np.full((n, *sizes[i % len(sizes)], 1), i, np.uint8).transpose(axes))
        for i, n in enumerate([2, 3, 5, 3])
    ]

    def graph(prepare):
        return dmix.mixup(prepare(feed([clips], layout)), **crop)[0]

    crop = {}
    with pytest.raises(ValueError, match="must have equal shapes") as error:
        run(lambda: graph(lambda x: x), batch_size=4)
    words = re.search(r"\. (Give all .*?\)\.)(.*)", str(error.value))
    assert ("crop" in words[2]) == (len(sizes) > 1)
    advice = re.search(r"fn\.pad\(images, (\w+)=\"(\w)\"\)", words[1])
    crop = {"crop": (4, 6)} if "crop" in words[2] else {}
    x = run(lambda: graph(lambda x: fn.pad(x, **{advice[1]: advice[2]})), batch_size=4)
    assert {sample.shape for sample in x[0]} == {(5, 1, 4, 6)}


def test_a_given_size_without_videos_is_for_any_number_of_frames():
    def graph():
        plan = dmix.plan(None, None, [CutMix(), MixUp(), ResizeMix()], size=(7, 9))
        return dmix.apply(feed([videos(4)], "FHWC"), plan), plan.partner, plan.lam, plan.size

    x, partner, lam, size = (np.stack(out) for out in run(graph, batch_size=COUNT))
    assert size.tolist() == [[7, 9]] * COUNT
    np.testing.assert_allclose(x.mean((1, 3, 4)), labels_by_share(partner, lam), atol=3e-7)


@pytest.mark.parametrize("layout", ["FHWC", "CDHW"])
def test_crop_and_mirror_hold_for_all_frames(layout):
    order = LAYOUTS[layout]
    f, y, x = np.mgrid[:3, :8, :10]
    clips = [
        np.ascontiguousarray(
            np.stack([np.full_like(f, i), f, y, x], -1).astype(np.uint8).transpose(order)
        )
        for i in range(4)
    ]

    def graph():
        given = {"crop": (5, 6), "mirror": feed([[np.int32(m) for m in (0, 1, 1, 0)]])}
        return dmix.mix(feed([clips], layout), None, RICAP(2.0), **given)[0]

    for clip in run(graph, batch_size=4)[0]:
        assert clip.shape == (3, 4, 5, 6)
        assert (clip[:, 1] == np.arange(3)[:, None, None]).all()  # frame stays frame
        np.testing.assert_array_equal(
            clip[:, [0, 2, 3]], np.tile(clip[:1, [0, 2, 3]], (3, 1, 1, 1))
        )


@pytest.mark.parametrize("layout", ["HFWC", "FDHWC", "XYZ", "F"])
def test_other_layouts_are_refused(layout):
    clips = [[np.zeros((4, 5, 6, 2, 3)[: len(layout)], np.uint8)] * 4]
    with pytest.raises((ValueError, RuntimeError), match="layout"):
        run(lambda: dmix.mixup(feed(clips, layout))[0], batch_size=4)


def test_images_have_no_time_to_cut():
    for extent in ("time", "space-time"):
        assert_refused(
            r"extent needs videos or volumes, of a layout with F or D, to cut in time, .*",
            lambda x, extent=extent: dmix.plan(x, None, CutMix(extent=extent)),
        )


def test_a_plan_for_other_frames_is_refused():
    def graph():
        plan = dmix.plan(feed([videos(4)], "FHWC"))
        return dmix.apply(feed([videos(5)], "FHWC"), plan)

    with pytest.raises(ValueError, match=r"the plan was drawn for 4 frames, but sample 0 has 5\."):
        run(graph, batch_size=COUNT)


def test_frames_of_a_given_plan():
    frames = PerSample(np.int32([[0, 2], [1, 1], [3, 5], [0, 5], [4, 5]]))

    def graph():
        plan = dmix.plan(None, size=(7, 9), lam=0.5, partner="roll")
        plan = plan._replace(frames=feed([frames]), box=feed([[np.int32([0, 0, 7, 9])] * COUNT]))
        return dmix.apply(feed([videos()], "FHWC"), plan._replace(blend=None))

    x = np.stack(run(graph, batch_size=COUNT)[0])
    for i, (begin, end) in enumerate(frames):
        own = x[i, :, i, 0, 0] == 1
        assert np.flatnonzero(~own).tolist() == list(range(begin, end))

"""Maps of classes that travel with their images: cut where they are cut, copied where they are
blended. The images hold what the maps hold, so that each pixel can be compared."""

import numpy as np
import pytest
from helpers import DEVICES, PerSample, assert_refused, feed, fingerprints, node_of, run_on
from painted import every_method

import dali_mix.fn as dmix
from dali_mix import RICAP, CutMix, MixUp, MultiMix, ResizeMix, SmoothMix

COUNT, SIZE = 9, (32, 48)
CUTTING = ["cutmix", "inside", "boxes", "patchmix", "patches", "gridmix", "fmix", "ricap"]
TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
VIEWS = [
    {},
    {"mirror": [0, 1, 1, 0, 0, 1, 0, 1, 1]},
    {"crop": (16, 32), "crop_pos_x": np.linspace(0, 1, COUNT), "mirror": [1, 1, 0] * 3},
]


def codes(images, dtype=np.int64):
    """One number for the three values of a pixel: image, row, column."""
    return (images.astype(np.int64) @ [10000, 100, 1]).astype(dtype)


def views(view):
    per_sample = {n: PerSample(v) for n, v in view.items() if isinstance(v, (list, np.ndarray))}
    return lambda: {name: node_of(value) for name, value in (view | per_sample).items()}


def mixed(method, maps, view=None, count=2, layout="HW", device="cpu", images=None, **draw):
    """(x, maps..., partner, lam): images in HWC as they are mixed, and their maps."""
    images = fingerprints(COUNT, *SIZE) if images is None else images
    given = views(view or {})
    size = {"size": view["crop"]} if view and "crop" in view else {}
    names = []

    def graph(x):
        travelling = feed([maps], layout, device)
        plan = dmix.plan(x, None, method, **size, **draw)
        names.append([n for n, c in plan._asdict().items() if c is not None])
        pixels = dmix.apply(x, plan, output_layout="HWC", **given())
        return [pixels, *dmix.apply_mask(travelling, plan, count=count, **given()), *plan.columns]

    out = run_on(images, graph, device=device)
    seen, columns = out[: 1 + count], out[1 + count :]
    return *(np.stack(part) for part in seen), dict(zip(names[0], columns, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("view", VIEWS, ids=["whole", "mirror", "crop"])
@pytest.mark.parametrize("name", CUTTING)
def test_where_images_are_cut_maps_are_cut_alike(name, view, device):
    """Pixel by pixel: the map says what the image says, and both maps say the same."""
    size = SIZE if "crop" not in view else (32, 48)
    method = every_method(size)[name]
    maps = [codes(image) for image in fingerprints(COUNT, *SIZE)]
    images = 4 if name == "ricap" else 2
    x, *seen, plan = mixed(method, maps, view, count=images, device=device)
    assert len(seen) == images and {m.dtype for m in seen} == {np.dtype(np.int64)}
    for m in seen:
        np.testing.assert_array_equal(m, codes(x))
    assert any(np.ravel(lam)[0] < 1 for lam in plan["lam"])


@pytest.mark.parametrize("view", VIEWS, ids=["whole", "mirror", "crop"])
@pytest.mark.parametrize("method", [MixUp(1.0), MultiMix(images=5)], ids=lambda m: m.name)
def test_where_images_are_blended_each_map_is_whole(method, view):
    maps = [codes(image) for image in fingerprints(COUNT, *SIZE)]
    alone, _, _ = mixed(MixUp(1.0), maps, view, prob=0.0, count=1)
    _, *seen, plan = mixed(method, maps, view, count=method.images)
    alone = codes(alone)
    np.testing.assert_array_equal(seen[0], alone)
    partners = np.stack(plan["partner"]).reshape(COUNT, -1)
    for k in range(1, method.images):
        np.testing.assert_array_equal(seen[k], alone[partners[:, k - 1]])


def test_under_a_soft_mask_both_classes_are_kept():
    maps = [codes(image) for image in fingerprints(COUNT, *SIZE)]
    x, first, second, plan = mixed(SmoothMix((0.02, 0.1)), maps)
    for i in range(COUNT):
        j, mask = plan["partner"][i], plan["mask"][i]
        np.testing.assert_array_equal(first[i], np.where(mask == 0, maps[j], maps[i]))
        np.testing.assert_array_equal(second[i], np.where(mask == 255, maps[i], maps[j]))
        soft = (mask / 255 * i + (1 - mask / 255) * j).astype(np.float32)
        np.testing.assert_allclose(x[i, ..., 0], soft, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS, ids=["whole", "mirror", "crop"])
def test_maps_of_resized_partners_invent_no_classes(view):
    """In the box the map holds the partner's codes, of the pixel that lies nearest."""
    maps = [codes(image) for image in fingerprints(COUNT, *SIZE)]
    straight = {name: value for name, value in view.items() if name != "mirror"}
    whole, _, _ = mixed(MixUp(1.0), maps, straight, prob=0.0, count=1)
    mirror = view.get("mirror", [0] * COUNT)
    _, first, second, plan = mixed(ResizeMix((0.3, 0.7)), maps, view)
    np.testing.assert_array_equal(first, second)
    for i in range(COUNT):
        j, (y0, x0, y1, x1) = plan["partner"][i], plan["box"][i]
        source = codes(whole[j])
        rows, columns = (
            ((np.arange(n) + 0.5) * length / n).astype(int)
            for n, length in zip((y1 - y0, x1 - x0), source.shape, strict=True)
        )
        small = source[np.ix_(rows, columns)]
        small = small[:, ::-1] if mirror[j] else small
        assert plan["fit"][i].tolist() == [y1 - y0, x1 - x0] and plan["lam"][i] < 1
        inside = first[i][y0:y1, x0:x1]
        # A half may go either way.
        off = np.abs(inside - small)
        assert np.isin(off, [0, 1, 100, 101, 99]).all() and (off == 0).mean() > 0.4
        own = codes(whole[i])
        own = own[:, ::-1] if mirror[i] else own
        outside = np.ones_like(own, bool)
        outside[y0:y1, x0:x1] = False
        np.testing.assert_array_equal(first[i][outside], own[outside])


@pytest.mark.parametrize("name", ["cutmix", "mixup", "resizemix", "ricap", "fmix"])
@pytest.mark.parametrize("dtype", TYPES)
def test_maps_of_any_integer_type_are_copied(name, dtype):
    info = np.iinfo(dtype)
    high = min(info.max, 2**24 - 1) if name == "resizemix" else info.max
    values = np.array([int(high) * k // (COUNT - 1) for k in range(COUNT)], dtype)
    if info.min < 0:
        values[0] = max(info.min, -(2**24) + 1) if name == "resizemix" else info.min
    maps = [np.full(SIZE, value, dtype) for value in values]
    x, *seen, plan = mixed(every_method(SIZE)[name], maps)
    partners = np.stack(plan["partner"]).reshape(COUNT, -1)
    for k, m in enumerate(seen):
        assert m.dtype == dtype and m.shape == (COUNT, *SIZE)
        for i in range(COUNT):
            assert set(np.unique(m[i])) <= {values[i], *values[partners[i]]}
            if name != "mixup":
                np.testing.assert_array_equal(m[i], values[x[i, ..., 0].round().astype(int)])
            else:
                assert (m[i] == (values[i] if k == 0 else values[partners[i, 0]])).all()


@pytest.mark.parametrize(("layout", "shape"), [("HWC", (0, 1, 2)), ("CHW", (2, 0, 1))])
@pytest.mark.parametrize("name", ["cutmix", "mixup", "gridmix", "ricap"])
def test_maps_of_several_channels_keep_their_layout(name, layout, shape):
    images = fingerprints(COUNT, *SIZE)
    maps = [image.transpose(shape).astype(np.int16, order="C") for image in images]
    x, first, _, _ = mixed(every_method(SIZE)[name], maps, layout=layout)
    assert first.shape[1:] == maps[0].shape and first.dtype == np.int16
    back = first.transpose(0, *(1 + np.argsort(shape)))
    expected = np.stack(images) if name == "mixup" else x
    np.testing.assert_array_equal(back, expected)


def test_maps_of_a_second_stream():
    images = fingerprints(2 * COUNT, *SIZE)
    maps = [codes(image) for image in images]

    def graph(x):
        others, more = feed([images[COUNT:]], "HWC"), feed([maps[COUNT:]], "HW")
        plan = dmix.plan(x, None, [CutMix(), ResizeMix()], partner="others")
        pixels = dmix.apply(x, plan, others=others, output_layout="HWC")
        (m,) = dmix.apply_mask(feed([maps[:COUNT]], "HW"), plan, others=more, count=1)
        return pixels, m, plan.partner

    x, m, partner = map(np.stack, run_on(images[:COUNT], graph))
    ids = m // 10000
    np.testing.assert_array_equal(ids, x[..., 0])
    assert set(partner[partner >= COUNT] - COUNT) <= set(range(COUNT)) and (ids >= COUNT).any()


@pytest.mark.parametrize("layout", ["CHW", "FHWC"])
def test_resized_maps_have_their_rows_and_columns_first(layout):
    maps = [[np.zeros((3, 6, 8, 1)[: len(layout)], np.uint8)] * 4]

    def graph(x):
        plan = dmix.plan(x, None, ResizeMix((0.5, 0.5)))
        return dmix.apply_mask(feed(maps, layout), plan)

    with pytest.raises((ValueError, RuntimeError)):
        run_on(fingerprints(4, 6, 8), graph)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_maps_of_no_integers_are_refused(dtype):
    maps = [[np.zeros((6, 8), dtype)] * 4]
    assert_refused(
        r"maps of classes must be of an integer type, got .*\.",
        lambda x: dmix.apply_mask(feed(maps, "HW"), dmix.plan(x)),
    )


def test_maps_of_another_size_are_refused():
    maps = [[np.zeros((6, 7), np.uint8)] * 4]
    assert_refused(
        r"the plan was drawn for 6 x 8 pixels, but the output of sample 0 is 6 x 7\. .*",
        lambda x: dmix.apply_mask(feed(maps, "HW"), dmix.plan(x)),
    )


def test_normalisation_is_no_argument_of_maps():
    with pytest.raises(
        TypeError, match=r"apply_mask\(\) has no argument 'mean'; it takes crop, .*"
    ):
        dmix.apply_mask(None, None, mean=3)


# labels by hand


@pytest.mark.parametrize(
    "method", [MixUp(1.0), MultiMix(images=3), RICAP(2.0)], ids=lambda m: m.name
)
@pytest.mark.parametrize("shape", [(), (5,)])
def test_pairs_and_blends_of_labels(method, shape):
    labels = np.random.default_rng(0).normal(0, 9, (COUNT, *shape)).astype(np.float32)
    images = method.images

    def graph(x, y):
        plan = dmix.plan(x, None, method)
        ys = dmix.pair_labels(y, plan, images=images)
        return [*ys, dmix.blend_labels(y, plan, images=images), plan.partner, plan.lam]

    *ys, blended, partner, lam = map(np.stack, run_on(fingerprints(COUNT, 6, 8), graph, labels))
    partner, lam = partner.reshape(COUNT, -1), lam.reshape(COUNT, -1).astype(np.float64)
    lam = lam if images > 2 else np.concatenate([lam, 1 - lam], 1)
    expected = np.zeros_like(labels, np.float64)
    for k, y in enumerate(ys):
        right = labels if k == 0 else labels[partner[:, k - 1]]
        np.testing.assert_array_equal(y, right)
        expected += lam[:, k].reshape(-1, *[1] * len(shape)) * right
    assert len(ys) == images and blended.shape == labels.shape and blended.dtype == np.float32
    np.testing.assert_allclose(blended, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "images", "sentence"),
    [
        (RICAP(2.0), 2, r"images must be 4, as many as one sample of the plan mixes, got 2\."),
        (MixUp(1.0), 3, r"images must be 2, as many as one sample of the plan mixes, got 3\."),
    ],
)
@pytest.mark.parametrize("by_hand", [dmix.pair_labels, dmix.blend_labels])
def test_labels_of_another_number_of_images_are_refused(method, images, sentence, by_hand):
    def graph(x):
        labels = feed([np.ones((4, 1), np.float32)])
        return by_hand(labels, dmix.plan(x, None, method), images=images)

    assert_refused(sentence, graph)

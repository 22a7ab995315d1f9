"""What the mixing functions return: labels that match the pixels, in their own type and shape."""

import itertools

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
from helpers import DALI_TYPES, DEVICES, PerSample, fingerprints, node_of, run_on
from helpers import arrays as arrays_of
from nvidia.dali import fn

import dali_mix
import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import CutMix, MixUp

COUNT = 8
IDS = np.arange(COUNT)


def mix(method, labels=IDS, *, images=None, device="cpu", **arguments):
    """(x, y1, y2, lam) as arrays; images are fingerprints in HWC."""
    images = fingerprints(COUNT, 24, 40) if images is None else images

    def graph(x, y):
        given = {name: node_of(value) for name, value in arguments.items()}
        return dmix.mix(x, y, method, **({"output_layout": "HWC"} | given))

    outputs = run_on(images, graph, labels, device=device)
    return [np.stack(output) for output in outputs]


def own_share(x):
    """Of every sample the partner seen in its pixels, and the share of own pixels (cutmix)."""
    shown = x[..., 0].reshape(len(x), -1)
    for i, codes in enumerate(shown.astype(int)):
        others = set(codes) - {i}
        assert len(others) <= 1
        yield others.pop() if others else i, (codes == i).mean()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("given", [{}, {"per": "pair"}, {"per": "batch"}, {"prob": 0.5}])
@pytest.mark.parametrize("seed", range(4))
def test_y2_and_lam_of_cutmix_are_those_of_the_pixels(device, given, seed):
    x, y1, y2, lam = mix(CutMix(1.0), seed=seed, device=device, **given)
    for i, (partner, share) in enumerate(own_share(x)):
        assert y1[i] == i
        assert lam[i] == np.float32(share)
        assert y2[i] == partner


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("given", [{}, {"per": "pair"}, {"per": "batch"}, {"prob": 0.5}])
def test_y2_and_lam_of_mixup_are_those_of_the_pixels(device, given):
    x, y1, y2, lam = mix(MixUp(1.0), device=device, **given)
    expected = lam * y1 + (1 - lam) * y2
    np.testing.assert_allclose(
        x[..., 0], np.broadcast_to(expected[:, None, None], x.shape[:3]), 1e-6
    )
    np.testing.assert_array_equal(y1, IDS)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
def test_class_ids_keep_their_type_and_shape(dtype, shape, method):
    labels = np.arange(COUNT, dtype=dtype).reshape(COUNT, *shape)
    _, y1, y2, lam = mix(method, labels)
    assert y1.dtype == y2.dtype == dtype
    assert y1.shape == y2.shape == (COUNT, *shape)
    assert lam.dtype == np.float32 and lam.shape == (COUNT,)
    np.testing.assert_array_equal(y1, labels)
    assert sorted(y2.ravel().tolist()) == list(range(COUNT)) or lam.max() == 1


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("image_type", [np.uint8, np.float16, np.float32])
def test_large_class_ids_are_exact_for_every_type_of_image(dtype, image_type):
    labels = (2**31 - 1 - IDS).astype(dtype)
    images = [image.astype(image_type) for image in fingerprints(COUNT, 5, 7)]
    _, y1, y2, _ = mix(MixUp(1.0), labels, images=images, dtype=DALI_TYPES[np.float16])
    np.testing.assert_array_equal(y1, labels)
    assert set(y2.tolist()) <= set(labels.tolist()) and (y2 != y1).all()


def test_vectors_of_floats_are_gathered_whole():
    labels = np.random.default_rng(0).random((COUNT, 5), np.float32)
    x, y1, y2, _ = mix(CutMix(1.0), labels)
    np.testing.assert_array_equal(y1, labels)
    np.testing.assert_array_equal(y2, labels[[partner for partner, _ in own_share(x)]])


def test_a_tuple_of_labels_stays_a_tuple():
    names = np.arange(COUNT, dtype=np.int64)
    vectors = np.eye(COUNT, dtype=np.float32)
    kinds = []

    def graph(x, a, b):
        out = dmix.mixup(x, (a, b))
        kinds.append([type(part) for part in out[1:3]])
        return out

    _, a1, b1, a2, b2, _ = run_on(fingerprints(COUNT, 4, 4), graph, names, vectors)
    assert kinds == [[tuple, tuple]]
    np.testing.assert_array_equal(a1, names)
    np.testing.assert_array_equal(b1, vectors)
    np.testing.assert_array_equal(np.argmax(b2, 1), a2)


def test_without_labels_the_plan_is_returned():
    kinds = []

    def graph(x):
        out = dmix.mixup(x)
        kinds.append(out)
        return out

    x, partner, blend, box, lam, size = run_on(fingerprints(COUNT, 4, 6), graph)
    assert len(kinds[0]) == 2 and isinstance(kinds[0][1], dmix.Plan)
    assert len(x) == len(partner) == len(blend) == len(box) == len(lam) == COUNT
    assert (np.stack(size) == [4, 6]).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8])
@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
def test_what_prob_leaves_out_is_normalised_and_nothing_else(device, dtype, method):
    images = [np.random.default_rng(i).integers(0, 256, (9, 33, 3), np.uint8) for i in range(COUNT)]
    given = {"mean": [120.0, 110.0, 100.0], "std": [2.0, 4.0, 3.0], "dtype": DALI_TYPES[dtype]}
    given |= {"mirror": PerSample([0, 1] * 4), "crop": (5, 30), "crop_pos_x": 0.2}
    x, y1, y2, lam = mix(method, images=images, device=device, prob=0.5, **given)
    alone, *_ = mix(method, images=images, device=device, prob=0.0, **given)
    out = lam == 1
    assert 0 < out.sum() < COUNT
    assert x[out].tobytes() == alone[out].tobytes()
    assert (y1[out] == y2[out]).all() and (y1[~out] != y2[~out]).all()
    assert not (x[~out] == alone[~out]).reshape((~out).sum(), -1).all(1).any()


@pytest.mark.parametrize("method", [MixUp(1.0), CutMix(1.0)])
@pytest.mark.parametrize(
    "given", [{}, {"prob": 0}, {"lam": 1.0}, {"partner": PerSample(list(IDS))}]
)
def test_types_and_shapes_are_the_same_on_every_path(method, given):
    x, y1, y2, lam = mix(method, dtype=DALI_TYPES[np.float16], **given)
    assert [a.dtype for a in (x, y1, y2, lam)] == [np.float16, np.int64, np.int64, np.float32]
    assert x.shape == (COUNT, 24, 40, 3) and y1.shape == y2.shape == lam.shape == (COUNT,)
    if given:
        assert (lam == 1).all() and (y2 == y1).all()


def test_the_weight_near_one_shows_the_own_image():
    """Not the partner's weight: lam of 0.9 gives nine tenths of the own image."""
    x, y1, y2, lam = mix(MixUp(1.0), lam=0.9)
    assert (lam == np.float32(0.9)).all()
    np.testing.assert_allclose(x[:, 0, 0, 0], 0.9 * y1 + 0.1 * y2, rtol=1e-6)
    x, _, _, lam = mix(CutMix(1.0), lam=0.9)
    assert (lam > 0.85).all() and all(share > 0.85 for _, share in own_share(x))


def test_a_chain_of_partners_reads_the_originals():
    """0 shows 1 and 1 shows 2: the mixed image 1 must not reach image 0."""
    box = (0, 0, 24, 20)
    x, _, y2, _ = mix(CutMix(1.0), partner=PerSample([1, 2, 3, 4, 5, 6, 7, 0]), box=box)
    assert (x[:, :, :20, 0] == y2[:, None, None]).all()
    assert (x[:, :, 20:, 0] == IDS[:, None, None]).all()


def test_uint8_has_no_bias():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (128, 128, 3), np.uint8) for _ in range(COUNT)]
    for method in (MixUp(1.0), MixUp(0.2)):
        x, _, y2, lam = mix(method, images=images, dtype=DALI_TYPES[np.uint8])
        lam = lam.astype(float)
        bias = [
            (x[i] - (lam[i] * images[i] + (1 - lam[i]) * images[y2[i]])).mean()
            for i in range(COUNT)
        ]
        assert abs(np.mean(bias)) < 0.01


def test_one_batch_holds_mixup_and_cutmix_side_by_side():
    count = 64
    x, y1, y2, lam = mix(
        [MixUp(1.0), CutMix(1.0)],
        np.arange(count),
        images=fingerprints(count, 24, 40),
    )
    blended = cut = 0
    for i in range(count):
        codes = x[i, ..., 0]
        if np.ptp(codes) == 0:
            np.testing.assert_allclose(codes, lam[i] * y1[i] + (1 - lam[i]) * y2[i], rtol=1e-6)
            blended += lam[i] < 1
        else:
            assert set(np.unique(codes)) == {y1[i], y2[i]}
            assert np.float32((codes == i).mean()) == lam[i]
            cut += 1
    assert blended > 16 and cut > 16
    assert (y2 != y1)[lam < 1].all()


@pytest.mark.parametrize("device", DEVICES)
def test_everything_is_on_the_device_of_the_images(device):
    seen = []

    def graph(x, y):
        out = dmix.mixup(x, y)
        seen.extend(node.device for node in out)
        return out

    run_on(fingerprints(2, 3, 4), graph, np.arange(2), device=device)
    assert seen == [device] * 4


@pytest.mark.parametrize("device", DEVICES)
def test_labels_may_be_on_the_gpu(device):
    def graph(x, y):
        return dmix.mixup(x, y.gpu() if device == "gpu" else y)

    _, y1, y2, _ = run_on(fingerprints(COUNT, 3, 4), graph, IDS, device=device)
    np.testing.assert_array_equal(y1, IDS)
    assert sorted(np.array(y2).tolist()) == IDS.tolist()


@pytest.mark.parametrize("device", DEVICES)
def test_labels_may_have_no_values(device):
    def graph(x, y):
        there = y.gpu() if device == "gpu" else y
        return dmix.mixup(x, y)[1:3], dmix.mixup(x, there)[1:3]

    empty = [np.zeros(0, np.float32)] * COUNT
    for labels in run_on(fingerprints(COUNT, 3, 4), graph, empty, device=device):
        assert np.shape(labels) == (COUNT, 0)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixup_and_cutmix_are_mix_with_one_method(name):
    method = {"mixup": MixUp(0.3, fold=False), "cutmix": CutMix(0.3, fold=True)}[name]

    def graph(x, y):
        given = {"seed": 7, "mean": [3.0], "mirror": 1, "prob": 0.9}
        one = getattr(dmix, name)(x, y, alpha=0.3, fold=name == "cutmix", **given)
        return one, dmix.mix(x, y, method, **given)

    outputs = run_on(fingerprints(COUNT, 5, 9), graph, IDS)
    for one, other in zip(outputs[:4], outputs[4:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_defaults_are_those_of_the_methods(name):
    method = {"mixup": dali_mix.MixUp(), "cutmix": dali_mix.CutMix()}[name]
    assert (method.alpha, method.fold) == {"mixup": (0.4, True), "cutmix": (1.0, False)}[name]

    def graph(x, y):
        return getattr(dmix, name)(x, y, seed=3), dmix.mix(x, y, method, seed=3)

    outputs = run_on(fingerprints(COUNT, 5, 9), graph, IDS)
    for one, other in zip(outputs[:4], outputs[4:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_dynamic_mode_pairs_labels_alike():
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in fingerprints(COUNT, 24, 40)])
    for dtype, shape in itertools.product([np.int8, np.int64, np.float32], [(), (1,)]):
        labels = np.arange(COUNT, dtype=dtype).reshape(COUNT, *shape)
        x, y1, y2, lam = dali_mix.dynamic.cutmix(
            images,
            ndd.batch(list(map(np.asarray, labels))),
            output_layout="HWC",
            rng=ndd.random.RNG(4),
        )
        x, y1, y2, lam = (np.stack(arrays_of(batch)) for batch in (x, y1, y2, lam))
        assert y1.dtype == y2.dtype == dtype and y1.shape == y2.shape == (COUNT, *shape)
        np.testing.assert_array_equal(y1, labels)
        for i, (partner, share) in enumerate(own_share(x)):
            assert y2[i] == partner and lam[i] == np.float32(share)


def test_labels_of_another_batch_size_are_refused():
    with pytest.raises((RuntimeError, ValueError), match=r"(?i)batch size"):
        mix(MixUp(1.0), np.arange(COUNT - 1))


def test_labels_come_from_the_whole_batch_after_a_permutation():
    def graph(x, y):
        order = fn.batch_permutation(seed=2)
        shuffled = fn.permute_batch(x, indices=order), fn.permute_batch(y, indices=order)
        return dmix.cutmix(*shuffled, output_layout="HWC")

    x, y1, y2, lam = (np.stack(o) for o in run_on(fingerprints(COUNT, 24, 40), graph, IDS))
    for i in range(COUNT):
        assert set(np.unique(x[i, ..., 0])) == {y1[i], y2[i]}
        assert np.float32((x[i, ..., 0] == y1[i]).mean()) == lam[i]
    assert sorted(y1.tolist()) == IDS.tolist()

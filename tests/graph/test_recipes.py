"""The standard recipes: what an image folder becomes, and what is said when it is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dali_mix
from dali_mix import recipes

# isort: split
from nvidia.dali import Pipeline, fn, types
from nvidia.dali.plugin.base_iterator import LastBatchPolicy

RAW = {"mean": 0.0, "std": 1.0, "dtype": types.UINT8}
"""Pixels as they are."""
COLORS = {"ant": (200, 30, 60), "bee": (30, 200, 90), "cat": (60, 90, 200)}


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of three plain images each, every class of its own colour and size."""
    for place, (name, color) in enumerate(COLORS.items()):
        for index in range(3):
            image = Image.new("RGB", (40 + 8 * place, 50), color)
            save(image, tmp_path / "images" / name / f"{index}.jpg")
    return tmp_path / "images"


def run(graph, *arguments, batch_size=9, seed=1, **named) -> list[np.ndarray]:
    """One batch of a graph function."""
    with Pipeline(batch_size=batch_size, num_threads=2, device_id=None, seed=seed) as pipeline:
        pipeline.set_outputs(*graph(*arguments, **named))
    return [np.array(part.as_tensor()) for part in pipeline.run()]


def labels_read(root: Path, count: int, **reader) -> list[int]:
    """Labels of `count` batches of three."""
    with Pipeline(batch_size=3, num_threads=1, device_id=None, seed=1) as pipeline:
        _, y1, _, _ = recipes.imagefolder_train(root, methods=None, size=8, **reader)
        pipeline.set_outputs(y1)
    batches = [np.array(pipeline.run()[0].as_tensor()) for _ in range(count)]
    return np.concatenate(batches).ravel().tolist()


@pytest.mark.parametrize(
    ("dtype", "numpy_dtype"), [(types.FLOAT, np.float32), (types.FLOAT16, np.float16)]
)
@pytest.mark.parametrize(("layout", "shape"), [("CHW", (9, 3, 20, 24)), ("HWC", (9, 20, 24, 3))])
def test_training_batches_have_the_asked_shape_and_type(folder, dtype, numpy_dtype, layout, shape):
    x, y1, y2, lam = run(
        recipes.imagefolder_train, folder, size=(20, 24), dtype=dtype, layout=layout
    )
    assert (x.shape, x.dtype) == (shape, numpy_dtype)
    assert (y1.shape, y1.dtype) == (y2.shape, y2.dtype) == ((9, 1), np.int32)
    assert (lam.shape, lam.dtype) == ((9,), np.float32)


@pytest.mark.parametrize("size", [np.int64(20), np.array([20, 20]), [20, np.uint8(20)]])
@pytest.mark.parametrize("recipe", [recipes.imagefolder_train, recipes.imagefolder_val])
def test_whole_numbers_of_numpy_are_a_size(folder, recipe, size):
    for got, expected in zip(
        run(recipe, folder, size=size), run(recipe, folder, size=20), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_ranges_of_the_crop_may_begin_at_0_and_be_points(folder):
    for area in ((0, 1), (1, 1), [0.5, 0.5], np.array([0.2, 1.0])):
        x, *_ = run(recipes.imagefolder_train, folder, size=16, area=area, aspect=(1, 1))
        assert x.shape == (9, 3, 16, 16)


def test_mixup_blends_the_colours_of_the_two_labels_by_lam(folder):
    methods = dali_mix.MixUp(alpha=1.0)
    x, y1, y2, lam = run(
        recipes.imagefolder_train, folder, methods=methods, size=16, mean=0, std=1, mirror=1.0
    )
    colors = np.array(list(COLORS.values()), np.float64)
    weight = lam[:, None].astype(np.float64)
    expected = weight * colors[y1[:, 0]] + (1 - weight) * colors[y2[:, 0]]
    assert (lam < 0.95).any()
    np.testing.assert_allclose(x.mean((2, 3)), expected, atol=3)  # JPEG is off by a little


def test_without_methods_nothing_is_mixed(folder):
    x, y1, y2, lam = run(recipes.imagefolder_train, folder, methods=None, size=16, **RAW)
    colors = np.array(list(COLORS.values()))
    assert (lam == 1).all() and (y1 == y2).all()
    np.testing.assert_allclose(x.mean((2, 3)), colors[y1[:, 0]], atol=3)


def test_the_defaults_normalise_as_imagenet_users_expect(folder):
    x, y1, _, _ = run(recipes.imagefolder_train, folder, methods=None, size=16)
    colors = np.array(list(COLORS.values())) / 255
    expected = (colors - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(x.mean((2, 3)), expected[y1[:, 0]], atol=0.06)


def test_mirror_flips_every_image_or_none(tmp_path):
    for index in range(4):
        image = Image.new("RGB", (40, 40), (0, 0, 0))
        image.paste((255, 255, 255), (20, 0, 40, 40))  # the right half is white
        save(image, tmp_path / "a" / f"{index}.jpg")
    whole = {"methods": None, "size": 40, "area": (1.0, 1.0), "aspect": (1.0, 1.0), **RAW}
    for mirror, white in ((0.0, slice(24, 40)), (1.0, slice(0, 16))):
        x, *_ = run(recipes.imagefolder_train, tmp_path, batch_size=4, mirror=mirror, **whole)
        assert x[..., white].min() > 240 and x.mean() < 140


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_files_come_out_as_rgb(tmp_path, mode):
    plain = Image.new("RGB", (30, 30), (120, 120, 120))
    save(plain.convert(mode), tmp_path / "a" / "odd.jpg")
    save(plain, tmp_path / "a" / "plain.jpg")
    for recipe in (recipes.imagefolder_train, recipes.imagefolder_val):
        x = run(recipe, tmp_path, size=16, batch_size=2, **RAW)[0]
        assert x.shape == (2, 3, 16, 16)
        np.testing.assert_allclose(x, 120, atol=3)


def test_every_epoch_has_every_file_once_in_another_order(folder):
    labels = labels_read(folder, 6)
    first, second = labels[:9], labels[9:]
    assert sorted(first) == sorted(second) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first != second


def test_the_shuffle_depends_on_its_own_seed(folder):
    assert labels_read(folder, 3, shuffle_seed=1) != labels_read(folder, 3, shuffle_seed=2)


def test_shards_share_the_files_of_an_epoch(folder):
    # Shards of 4 and 5 files: the padded end of the last batch is cut by hand.
    one = labels_read(folder, 2, shard_id=0, num_shards=2)[:4]
    other = labels_read(folder, 2, shard_id=1, num_shards=2)[:5]
    assert sorted(one + other) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_validation_resizes_the_shorter_side_and_takes_the_centre(tmp_path):
    # A grey band of 64 pixels, as wide as the centre crop of half the shorter side, on white.
    image = Image.new("RGB", (192, 128), (255, 255, 255))
    image.paste((100, 100, 100), (64, 0, 128, 128))
    save(image, tmp_path / "a" / "0.jpg")
    x, y = run(recipes.imagefolder_val, tmp_path, size=32, resize=64, batch_size=1, **RAW)
    assert (y.shape, y.dtype) == ((1, 1), np.int32)
    np.testing.assert_allclose(x[0, :, :, 2:-2], 100, atol=6)
    x, _ = run(recipes.imagefolder_val, tmp_path, size=36, resize=64, batch_size=1, **RAW)
    assert x[0, :, :, 0].min() > 200 and x[0, :, :, -1].min() > 200


def test_validation_keeps_the_order_and_equals_crop_mirror_normalize(folder):
    def stock(root):
        files, labels = fn.readers.file(file_root=str(root))
        images = fn.resize(fn.decoders.image(files), size=37, mode="not_smaller")
        mean, std = list(recipes.IMAGENET_MEAN), list(recipes.IMAGENET_STD)
        return fn.crop_mirror_normalize(images, crop=(32, 32), mean=mean, std=std), labels

    ours, theirs = run(recipes.imagefolder_val, folder, size=32), run(stock, folder)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    assert (ours[1] == theirs[1]).all() and sorted(ours[1].ravel()) == ours[1].ravel().tolist()


def test_validation_counts_every_file_once_through_the_iterator(folder):
    torch_iterator = pytest.importorskip("nvidia.dali.plugin.pytorch").DALIGenericIterator
    seen = []
    for shard in (0, 1):
        with Pipeline(batch_size=2, num_threads=1, device_id=None) as pipeline:
            outputs = recipes.imagefolder_val(folder, size=8, shard_id=shard, num_shards=2)
            pipeline.set_outputs(*outputs)
        policy = LastBatchPolicy.PARTIAL
        iterator = torch_iterator(
            pipeline, ["x", "y"], reader_name="Reader", last_batch_policy=policy
        )
        seen += [label for (batch,) in iterator for label in batch["y"].ravel().tolist()]
    assert sorted(seen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_class_names_are_the_labels_in_order(folder):
    assert recipes.class_names(folder) == ["ant", "bee", "cat"]


@pytest.mark.parametrize("recipe", [recipes.imagefolder_train, recipes.imagefolder_val])
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: root / "none", "root must be a folder.* does not exist"),
        (lambda root: save(Image.new("L", (8, 8)), root / "a.jpg"), "is not a folder"),
        (lambda root: root, "neither folders nor images"),
        (
            lambda root: save(Image.new("L", (8, 8)), root / "a.jpg").parent,
            "images but no class folders",
        ),
        (
            lambda root: save(Image.new("L", (8, 8)), root / "a" / "b" / "c.jpg").parents[2],
            "there are none in .*; if the classes lie deeper",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(tmp_path, recipe, make, sentence):
    with pytest.raises(ValueError, match=sentence):
        run(recipe, make(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"shard_id": 2, "num_shards": 2}, r"shard_id must lie in \[0, num_shards\), got 2"),
        ({"size": 0}, "size must be at least one pixel each way, got 0"),
        ({"device": "tpu"}, "device must be .* got 'tpu'"),
    ],
)
@pytest.mark.parametrize("recipe", [recipes.imagefolder_train, recipes.imagefolder_val])
def test_bad_arguments_of_both_recipes(folder, recipe, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        run(recipe, folder, **arguments)


def test_bad_arguments_of_one_recipe(folder):
    with pytest.raises(ValueError, match=r"mirror must be a probability in \[0, 1\], got 2"):
        run(recipes.imagefolder_train, folder, mirror=2)
    with pytest.raises(ValueError, match="resize must be finite and at least the size of the crop"):
        run(recipes.imagefolder_val, folder, size=32, resize=31)


def augmented(folder, **arguments) -> list[np.ndarray]:
    """One batch of pixels as they are: (x, y1, y2, lam)."""
    return run(recipes.imagefolder_train, folder, size=(30, 40), mirror=0.5, **RAW, **arguments)


def test_augment_gets_uint8_images_of_the_output_size_before_they_are_mixed(folder):
    seen = []

    def red_only(images):
        seen.append(images)
        return images * np.uint8([1, 0, 0])

    x, y1, y2, lam = augmented(folder, augment=red_only, methods=dali_mix.MixUp(alpha=1.0))
    reds = np.array([color[0] for color in COLORS.values()], np.float64)
    expected = lam * reds[y1[:, 0]] + (1 - lam) * reds[y2[:, 0]]
    np.testing.assert_allclose(x[:, 0].mean((1, 2)), expected, atol=3)
    assert len(seen) == 1 and not x[:, 1:].any()


@pytest.fixture
def fingerprints(tmp_path: Path) -> Path:
    """12 classes of one image each; its red is 10 times the label, its green 0."""
    for label in range(12):
        image = Image.new("RGB", (40, 30), (10 * label, 0, 0))
        path = tmp_path / "prints" / f"{label:02}" / "0.tif"  # exact, and decoded without OpenCV
        path.parent.mkdir(parents=True)
        image.save(path)
    return tmp_path / "prints"


def erased_in_own_red(images):
    """Erases with green 255, and leaves red: each pixel still tells whose it is."""
    color = fn.cast(fn.reductions.max(images, axes=[0, 1]), dtype=types.FLOAT)
    green = types.Constant([0.0, 255.0, 0.0])
    return recipes.random_erasing(images, prob=0.9, fill=color + green)


@pytest.mark.parametrize("erase", [None, erased_in_own_red], ids=["off", "on"])
def test_erasing_before_mixing_leaves_lam_the_share_of_own_pixels(fingerprints, erase):
    erased = 0
    for seed in range(8):
        x, y1, y2, lam = augmented(
            fingerprints, augment=erase, methods=dali_mix.CutMix(), batch_size=12, seed=seed
        )
        own, partner = (x[:, 0] == 10 * y[:, :, None] for y in (y1, y2))
        assert (own | partner).all()
        np.testing.assert_allclose(own.mean((1, 2)), lam, atol=1e-6)
        green = x[:, 1] == 255
        erased += ((own & green).any() and (partner & green).any()) * 1
    assert erased == (0 if erase is None else 8)


def test_erasing_leaves_mixup_weights_as_they_are(fingerprints):
    x, y1, y2, lam = augmented(
        fingerprints, augment=erased_in_own_red, methods=dali_mix.MixUp(alpha=1.0), batch_size=12
    )
    expected = 10 * (lam * y1[:, 0] + (1 - lam) * y2[:, 0])
    np.testing.assert_allclose(
        x[:, 0], np.broadcast_to(expected[:, None, None], (12, 30, 40)), atol=1
    )

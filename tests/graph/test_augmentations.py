"""recipes.rand_augment and three_augment against Pillow, and the recipes of known trainings."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from dali_mix import CutMix, MixLoader, MixUp, recipes

# isort: split
from nvidia.dali import Pipeline, fn, pipeline_def, types
from nvidia.dali.auto_aug.core import signed_bin

from dali_mix.graph.augmentations import _timm_operations

# DALI's own augmentations use names of operators that DALI has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*moved out from the experimental phase")
PAGE = Path(__file__).parents[2] / "docs/recipes.md"
RNG = np.random.default_rng(3)
# Smooth, so that a shift by part of a pixel changes little; with all values, H != W.
ROWS, COLUMNS = np.mgrid[:47, :61] / 60
IMAGE = np.stack([255 * ROWS, 250 * COLUMNS, 255 * (1 - ROWS) * COLUMNS], 2).astype(np.uint8)


def augmented(function, count=1, image=IMAGE, seed=1):
    """(count, H, W, 3): the image, augmented `count` times."""

    @pipeline_def(batch_size=count, num_threads=2, device_id=None, seed=seed)
    def graph():
        return function(types.Constant(image, layout="HWC"))

    return graph(enable_conditionals=True).run()[0].as_array()


TEXTURE = RNG.integers(20, 220, IMAGE.shape).astype(np.uint8)  # for sharpness


def timm_operations(level):
    """What timm's operations make of the image; for those with a sign, both results."""
    image, share = Image.fromarray(IMAGE), level / 10
    texture = Image.fromarray(TEXTURE)
    fill = (128, 128, 128)

    def moved(matrix):
        return image.transform(image.size, Image.Transform.AFFINE, matrix, 2, fillcolor=fill)

    added = [min(255, v + int(share * 110)) if v < 128 else v for v in range(256)] * 3
    signs, h, w = (1, -1), *IMAGE.shape[:2]
    enhance = {
        "color": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "brightness": ImageEnhance.Brightness,
    }
    return {
        "auto_contrast": [ImageOps.autocontrast(image)],
        "equalize": [ImageOps.equalize(image)],
        "invert": [ImageOps.invert(image)],
        "rotate": [image.rotate(s * share * 30, resample=2, fillcolor=fill) for s in signs],
        "posterize": [ImageOps.posterize(image, 4 - int(share * 4))],
        "solarize": [ImageOps.solarize(image, 256 - int(share * 256))],
        "solarize_add": [image.point(added)],
        **{n: [e(image).enhance(1 + s * share * 0.9) for s in signs] for n, e in enhance.items()},
        "sharpness": [ImageEnhance.Sharpness(texture).enhance(1 + s * share * 0.9) for s in signs],
        "shear_x": [moved((1, s * share * 0.3, 0, 0, 1, 0)) for s in signs],
        "shear_y": [moved((1, 0, 0, s * share * 0.3, 1, 0)) for s in signs],
        "translate_x": [moved((1, 0, s * share * 0.45 * w, 0, 1, 0)) for s in signs],
        "translate_y": [moved((1, 0, 0, 0, 1, s * share * 0.45 * h)) for s in signs],
    }


@pytest.mark.parametrize("level", [6, 7, 9])
def test_the_operations_are_those_of_timm(level):
    operations = _timm_operations()
    expected = timm_operations(level)
    assert [operation.name for operation in operations] == list(expected)
    for operation in operations:

        def operated(images, operation=operation):
            bin_ = signed_bin(level) if operation.randomly_negate else level
            moved = {"shape": IMAGE.shape} if "translate" in operation.name else {}
            return operation(images, magnitude_bin=bin_, num_magnitude_bins=11, **moved)

        found = augmented(operated, 16, TEXTURE if operation.name == "sharpness" else IMAGE)
        results = [np.asarray(image, np.float64) for image in expected[operation.name]]
        nearest = [[np.abs(x - result).mean() for result in results] for x in found]
        # Pillow equalizes by another rule, and interpolates at borders; means hardly differ.
        assert np.max(np.min(nearest, 1)) < 4, operation.name
        assert len({int(np.argmin(row)) for row in nearest}) == len(results), operation.name


def test_each_of_two_operations_acts_half_the_time():
    """A quarter of the images are as they were, and few more: those of two inversions."""
    noise = RNG.integers(10, 200, (16, 16, 3)).astype(np.uint8)
    x = augmented(recipes.rand_augment, 4000, noise)
    same = (x == noise).all((1, 2, 3)).mean()
    assert abs(same - (0.25 + 0.25 / 225)) < 0.03  # four standard deviations
    # Two of them may act: what is only inverted has one, and a second that does nothing.
    inverted = (x == 255 - noise).all((1, 2, 3)).mean()
    assert abs(inverted - 2 * 0.5 / 30) < 0.012


def test_three_augment_does_one_of_three():
    x = augmented(lambda images: recipes.three_augment(images, jitter=0.0), 600)
    image = Image.fromarray(IMAGE)
    grey = np.asarray(image.convert("L"))[..., None].astype(np.int64)
    is_grey = np.array([np.abs(one - grey).max() <= 1 for one in x])
    solarized = np.asarray(ImageOps.solarize(image))
    is_solarized = (x == solarized).all((1, 2, 3))
    blurred = [np.asarray(image.filter(ImageFilter.GaussianBlur(s))) for s in (0.1, 1.0, 2.0)]
    rest = x[~is_grey & ~is_solarized].astype(np.int64)
    inside = np.s_[:, 6:-6, 6:-6]  # Pillow approximates, and continues borders by another rule
    assert np.abs(rest - blurred[1])[inside].max() <= 6
    for part in (is_grey, is_solarized):
        assert abs(part.mean() - 1 / 3) < 0.08
    # The blur has every strength: on noise its deviation falls.
    noise = RNG.integers(0, 100, (32, 32, 3)).astype(np.uint8)  # nothing to solarize
    x = augmented(lambda images: recipes.three_augment(images, jitter=0.0), 600, noise)
    colored = x[np.abs(x[..., :1].astype(int) - x[..., 1:]).max((1, 2, 3)) > 3]
    unlike = colored[(colored != noise).any((1, 2, 3))]
    strength = unlike.std((1, 2, 3)) / noise.std()
    assert strength.min() < 0.25 and strength.max() > 0.9


def test_the_jitter_of_three_augment_multiplies():
    flat = np.full((8, 8, 3), 128, np.uint8)
    x = augmented(lambda images: recipes.three_augment(images, jitter=0.5), 900, flat)
    means = x.mean((1, 2, 3))
    means = means[(means < 126) | (means > 130)]  # 127 is the grey that solarization leaves
    assert means.min() > 60 and means.max() < 195
    assert abs(np.median(means) / 128 - 1) < 0.06


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda x: recipes.rand_augment(x, magnitude=11),
            "magnitude must be a whole number from 0 to 10, got 11.",
        ),
        (
            lambda x: recipes.rand_augment(x, magnitude=0.5),
            "magnitude must be a whole number from 0 to 10, got 0.5.",
        ),
        (
            lambda x: recipes.three_augment(x, jitter=1.5),
            "jitter must be a probability in [0, 1], got 1.5.",
        ),
        (
            lambda x: recipes.random_erasing(x, fill="pixel"),
            "fill must be three numbers, a DALI tensor or \"noise\", got 'pixel'.",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, sentence):
    with Pipeline(1, 1, None):
        images = fn.constant(idata=0, shape=[4, 4, 3], dtype=types.UINT8, layout="HWC")
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            call(images)


def test_erased_places_may_be_noise():
    image = np.full((37, 53, 3), 7, np.uint8)
    erase = {"area": (0.1, 0.4), "fill": "noise"}
    x = augmented(lambda images: recipes.random_erasing(images, prob=0.5, **erase), 800, image)
    changed = (x != 7).any(3)
    whole = changed.any((1, 2))
    assert abs(whole.mean() - 0.5) < 0.07
    for one, mask in zip(x[whole][:50], changed[whole][:50], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (box != 7).any(2).mean() > 0.97 and len(np.unique(box[..., 0])) > 30
    colors = x[changed].astype(np.float64)
    assert np.abs(np.median(colors, 0) - recipes.IMAGENET_MEAN).max() < 3
    assert np.abs(colors.std(0) - recipes.IMAGENET_STD).max() < 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for k in range(6):
        place = root / f"class{k % 2}"
        place.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8)).save(place / f"{k}.jpg")
    return root


@pytest.mark.parametrize("name", list(recipes._PUBLISHED))
def test_a_published_recipe_is_one_call(name, folder):
    settings = recipes.published(name)
    mixup, cutmix = settings["methods"]
    assert (type(mixup), mixup.fold, type(cutmix), cutmix.alpha) == (MixUp, False, CutMix, 1.0)
    assert (settings["per"], settings["partner"]) == ("batch", "reverse")
    small = settings | {"size": 32}
    with MixLoader.from_imagefolder(folder, batch_size=4, device="cpu", **small) as loader:
        x, target = next(iter(loader))
    assert x.shape == (4, 3, 32, 32) and x.isfinite().all()
    assert (target.lam == target.lam[0]).all()


def test_the_page_has_what_the_recipes_have():
    text = PAGE.read_text()
    rows = [row.split("|")[1:-1] for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    names = table["published"]
    assert [n for group in names for n in re.split(", (?!I)", group)] == list(recipes._PUBLISHED)
    for column, group in enumerate(names):
        for name in group.split(", "):
            settings = recipes.published(name)
            assert table["`size`"][column] == str(settings["size"])
            assert table["mixup alpha"][column] == str(settings["methods"][0].alpha)
            function = settings["augment"]
            number = next(iter(function.keywords.values()))
            assert str(number) in table["augmentation"][column]
            erased = "erase" in function.func.__name__
            assert (table["random erasing"][column] == "0.25, noise") == erased


def test_other_names_are_refused():
    with pytest.raises(ValueError, match=r"^name must be one of 'A1', .*, got 'a1'\.$"):
        recipes.published("a1")

"""What people do who are used to other libraries, told while the graph is defined: numbers for
pixels from 0 to 1, files that are not decoded, labels before images."""

import numbered
import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import pytest
import torch
from helpers import fingerprints
from nvidia.dali import Pipeline, fn, types

import dali_mix.dynamic
import dali_mix.fn as dmix
from dali_mix import MixUp, Plan, recipes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNMIXED = Plan(partner=None, blend=None, box=None, lam=None, size=None)
UNITS = (
    r"^std must be in the units of the pixels, which are 0 to 255 in uint8 images, got .*0\.229.*\."
    r" Use mean=\[123\.675, 116\.28, 103\.53\] and std=\[58\.395, 57\.12, 57\.375\]\.$"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("images"), 5, (16, 23))


def define(root, graph):
    """The graph of decoded images and labels, defined and not run."""
    with Pipeline(batch_size=3, num_threads=1, device_id=None):
        encoded, labels = fn.readers.file(file_root=str(root))
        return graph(encoded, fn.resize(fn.decoders.image(encoded), size=11), labels)


RECIPES = pytest.mark.parametrize("recipe", [recipes.imagefolder_train, recipes.imagefolder_val])
FUNCTIONS = {
    "mix": lambda x, y, **output: dmix.mix(x, y, MixUp(), **output),
    "mixup": dmix.mixup,
    "cutmix": dmix.cutmix,
    "apply": lambda x, y, **output: dmix.apply(x, UNMIXED, **output),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())


@RECIPES
def test_recipes_refuse_constants_for_pixels_from_0_to_1(recipe, root):
    with pytest.raises(ValueError, match=UNITS):
        define(root, lambda *_: recipe(root, mean=MEAN, std=STD))


@every_function
@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_functions_refuse_constants_for_pixels_from_0_to_1(function, kind, root):
    with pytest.raises(ValueError, match=UNITS):
        define(root, lambda _, x, y: function(x, y, mean=kind(MEAN), std=kind(STD)))


def test_one_number_for_all_channels_is_told_as_one(root):
    with pytest.raises(ValueError, match=r"got 0\.25\. Use mean=127\.5 and std=63\.75\.$"):
        define(root, lambda _, x, y: dmix.mix(x, y, mean=0.5, std=0.25))
    with pytest.raises(ValueError, match=r"got 0\.25\. Use std=63\.75\.$"):
        define(root, lambda _, x, y: dmix.mix(x, y, std=0.25))


def test_dynamic_mode_knows_the_type_of_its_images():
    images = ndd.batch([ndd.tensor(x, layout="HWC") for x in fingerprints(3, 5, 7)])
    with pytest.raises(ValueError, match=UNITS):
        dali_mix.dynamic.mixup(images, mean=MEAN, std=STD)
    floats = ndd.cast(images, dtype=ndd.float32) / 255.0
    dali_mix.dynamic.mixup(floats, mean=MEAN, std=STD)


RIGHT = {
    "floats": lambda _, x, y: dmix.mix(fn.cast(x, dtype=types.FLOAT), y, mean=MEAN, std=STD),
    "computed": lambda _, x, y: dmix.mix(x / 255.0, y, mean=MEAN, std=STD),
    "resized to floats": lambda _, x, y: dmix.mix(
        fn.resize(x, size=9, dtype=types.FLOAT), y, mean=MEAN, std=STD
    ),
    "scaled": lambda _, x, y: dmix.mix(x, y, mean=127.5, std=0.25, scale=1 / 255),
    "one channel": lambda _, x, y: dmix.mix(x, y, std=(0.5, 60, 60)),
    "fed": lambda *_: dmix.mix(fn.external_source(source=lambda: None), std=STD),
    "bytes": lambda _, x, y: dmix.mix(x, y, mean=128, std=1, dtype=types.INT8),
    "compressed": lambda _, x, y: dmix.mix(x, y, std=16, scale=2, dtype=types.UINT8),
    "shifted": lambda _, x, y: dmix.mix(x, y, std=(60, 60, 60)),
}


@pytest.mark.parametrize("graph", RIGHT.values(), ids=RIGHT.keys())
def test_what_may_be_meant_is_taken(graph, root):
    define(root, graph)


LOST = (
    r"^std must leave steps in bytes, got .* with dtype {}, which makes {} of 256 values\. Use {}"
)


@pytest.mark.parametrize(
    ("dtype", "advice"), [("UINT8", "mean=0 and std=1"), ("INT8", "mean=128 and std=1")]
)
def test_bytes_that_lose_their_steps_are_refused(dtype, advice, root):
    kind = getattr(types, dtype)
    with pytest.raises(ValueError, match=LOST.format(dtype, 2, advice)):
        define(root, lambda _, x, y: dmix.mix(x, y, std=255, dtype=kind))
    with pytest.raises(ValueError, match=LOST.format(dtype, 5, advice)):
        define(root, lambda *_: recipes.imagefolder_train(root, dtype=kind))


@every_function
@pytest.mark.parametrize("swapped", [True, False])
def test_outputs_of_a_reader_are_no_images(function, swapped, root):
    sentence = (
        r"^images must be decoded, got an output of fn\.readers\.file\. Use fn\.decoders\.image, "
        r"and give images before labels\.$"
    )
    with pytest.raises(TypeError, match=sentence):
        define(root, lambda e, x, y: function(y, x) if swapped else function(e, y))


@pytest.mark.parametrize("function", [dmix.mixup, dmix.cutmix])
def test_a_number_in_the_place_of_the_labels_is_named(function, root):
    with pytest.raises(TypeError, match=r"^labels must be .*, got float: .* alpha=0\.4\.$"):
        define(root, lambda _, x, y: function(x, 0.4))


def test_a_tensor_of_torch_is_told_where_it_can_go():
    with pytest.raises(
        TypeError, match=r"got torch\.Tensor: .* fn\.external_source; dali_mix\.dynamic"
    ):
        dmix.mix(torch.zeros(4, 3, 8, 8), torch.arange(4))


def test_a_padded_crop_is_told_how(root):
    with pytest.raises(TypeError, match=r'fn\.crop\(.*out_of_bounds_policy="pad"\)'):
        define(root, lambda _, x, y: dmix.mix(x, y, crop=(40, 40), out_of_bounds_policy="pad"))

"""What people do who are used to a DataLoader, told in the first line of the error."""

import numbered
import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def

import dali_mix.fn as dmix
from dali_mix import MixLoader

TOLD = {
    "num_workers": "num_threads",
    "shuffle": "shuffle",
    "pin_memory": "where the pipeline puts",
    "drop_last": 'last_batch="drop"',
    "prefetch_factor": "prefetch_queue_depth",
    "transform": "augment",
    "train": "training",
}
each_name = pytest.mark.parametrize(("name", "advice"), TOLD.items(), ids=TOLD.keys())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("images"), 7, (32, 32))


@each_name
def test_arguments_of_a_data_loader_are_told_what_to_use(name, advice, root):
    with pytest.raises(TypeError, match=rf"^MixLoader\(\) has no argument '{name}': .*{advice}"):
        MixLoader(lambda: None, **{name: 1})
    with pytest.raises(TypeError, match=rf"^from_imagefolder\(\) .* argument '{name}': .*{advice}"):
        numbered.loader(root, **{name: 1})


def test_other_arguments_are_told_what_there_is():
    with pytest.raises(TypeError, match=r"^MixLoader\(\) has no argument 'speed'; it takes .*size"):
        MixLoader(lambda: None, speed=1)


def test_the_reason_comes_before_what_dali_says(root):
    @pipeline_def(batch_size=3, num_threads=1, device_id=None)
    def graph():
        encoded, labels = fn.readers.file(file_root=str(root), name="Reader", pad_last_batch=True)
        return dmix.mix(fn.decoders.image(encoded), labels, crop=(40, 40))

    loader = MixLoader(graph())
    with pytest.raises(ValueError, match=r"^crop must lie inside the image, got .* 40 x 40"):
        next(iter(loader))
    with pytest.raises(RuntimeError, match="crop must lie inside the image"):
        next(iter(loader))


@pytest.mark.parametrize("training", [True, False])
def test_images_of_the_size_are_seen_whole_in_validation(training, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    folder = tmp_path / "one"
    folder.mkdir()
    numbered.Image.fromarray(noise).save(folder / "0.png")
    plain = {"training": training, "batch_size": 1, "size": 32, "layout": "HWC"}
    x, _ = next(iter(numbered.loader(tmp_path, **plain)))
    same = np.array_equal(x[0].movedim(0, -1).numpy(), noise.astype(np.float32))
    assert same is not training

"""MixLoader: what goes wrong on the way, and what is refused."""

import subprocess
import sys

import bad_images
import numbered
import numpy as np
import pytest
import torch
from nvidia.dali import Pipeline, fn

import dali_mix
import dali_mix.fn as dmix
from dali_mix import MixLoader, MixUp

LABEL = np.arange(7, dtype=np.int32)


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return numbered.write(tmp_path_factory.mktemp("ten"), 10)


def read(loader, seen=None):
    for _ in range(5):
        for x, _ in loader:
            if seen is not None:
                seen.append(len(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("what", ["header", "pixels"])
def test_a_file_that_cannot_be_decoded_is_named(tmp_path, training, what):
    root = numbered.write(tmp_path, 12)
    bad = root / "005" / "005.jpg"
    content = bad_images.encoded()
    bad.write_bytes(content[:20] if what == "header" else content[:-300])
    loader, seen = numbered.loader(root, training=training), []
    with pytest.raises(RuntimeError, match=f"cannot decode {bad}; remove or repair it") as error:
        read(loader, seen)
    assert ("peek_image_shape" if what == "header" else "decoders.image") in str(error.value)
    if not training:
        assert seen == [4]  # what was good before arrived
    with pytest.raises(RuntimeError, match=f"has failed and cannot go on: cannot decode {bad}"):
        iter(loader)


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, what):
    root = numbered.write(tmp_path, 12)
    loader = numbered.loader(root, training=False)
    bad = root / "005" / "005.jpg"
    bad.unlink()
    if what == "empty":
        bad.touch()
    with pytest.raises(RuntimeError, match=f"^cannot open {bad}, which is missing, empty or not a"):
        read(loader)


def test_a_bad_file_of_a_later_epoch_and_of_a_shuffled_shard_is_named(tmp_path):
    root = numbered.write(tmp_path, 13)
    loader = numbered.loader(root, 2, shard=dali_mix.Shard(1, 2, 0))
    shown = {file for batch in numbered.files(loader) for file in batch}
    bad = root / f"{min(shown):03}" / f"{min(shown):03}.jpg"
    content = bad.read_bytes()
    bad.write_bytes(content[:20])
    with pytest.raises(RuntimeError, match=f"cannot decode {bad}"):
        read(loader)


def test_several_bad_files_of_a_batch_are_all_named(tmp_path):
    root = numbered.write(tmp_path, 4)
    bad = [root / f"{k:03}" / f"{k:03}.jpg" for k in (1, 2)]
    for path in bad:
        path.write_bytes(b"no image")
    with pytest.raises(
        RuntimeError, match=f"cannot decode {bad[0]}, {bad[1]}; remove or repair them"
    ):
        list(numbered.loader(root, training=False))


def test_a_failure_that_no_file_explains_names_the_batch(tmp_path):
    root = numbered.write(tmp_path, 4)
    pipeline = Pipeline(2, num_threads=1, device_id=None, enable_checkpointing=True)
    with pipeline:
        encoded, labels = fn.readers.file(file_root=str(root), pad_last_batch=True)
        x = fn.crop_mirror_normalize(fn.decoders.image(encoded), crop=(99, 99))
        pipeline.set_outputs(x, labels)
    with pytest.raises(
        RuntimeError, match=r"in the batch of 000/000.jpg, 001/001.jpg, each of which"
    ):
        list(MixLoader(pipeline))


def test_without_checkpoints_it_is_said_how_the_file_could_be_named(tmp_path):
    root = numbered.write(tmp_path, 4)
    (root / "001" / "001.jpg").write_bytes(b"no image")
    with pytest.raises(RuntimeError, match=r"not known .a pipeline with enable_checkpointing=True"):
        list(MixLoader(numbered.reading(root, 2)))


def test_an_exception_of_a_python_source_arrives():
    def source(k):
        raise KeyError("label of file 7")

    loader = MixLoader(numbered.feeding(source, 2), size=8)
    with pytest.raises(KeyError, match="label of file 7"):
        list(loader)
    with pytest.raises(RuntimeError, match="cannot go on: 'label of file 7'"):
        list(loader)


def test_with_closes(ten):
    with numbered.loader(ten) as loader:
        iteration = iter(loader)
        next(iteration)
    for use in (lambda: iter(loader), lambda: next(iteration), loader.state_dict):
        with pytest.raises(RuntimeError, match="the loader is closed; make a new one"):
            use()


def test_an_older_iteration_is_overtaken(ten):
    loader = numbered.loader(ten, 2)
    older = iter(loader)
    next(older)
    next(iter(loader))
    with pytest.raises(RuntimeError, match="overtaken by a newer iter"):
        next(older)


REFUSED = {
    "partial": (
        lambda root: MixLoader(numbered.reading(root), last_batch="partial"),
        "must be dropped when mixing, got last_batch='partial': samples would mix with copies",
    ),
    "fill": (
        lambda root: MixLoader(numbered.reading(root), last_batch="fill"),
        "got last_batch='fill'",
    ),
    "policy": (
        lambda root: MixLoader(numbered.reading(root), last_batch="keep"),
        "last_batch must be one of drop, partial, fill, got 'keep'",
    ),
    "unpadded": (
        lambda root: MixLoader(numbered.reading(root, reader={"pad_last_batch": False})),
        "reader 'Reader' must have pad_last_batch=True, got False",
    ),
    "name": (
        lambda root: MixLoader(numbered.reading(root), reader_name="Files"),
        "reader_name must be one of 'Reader', got 'Files'",
    ),
    "no reader": (
        lambda root: MixLoader(numbered.feeding(lambda k: [LABEL[:4]] * 2, 2)),
        "a pipeline without a reader needs size=",
    ),
    "size": (
        lambda root: MixLoader(numbered.reading(root), size=10),
        "size is for pipelines without",
    ),
    "size 0": (
        lambda root: MixLoader(numbered.feeding(lambda k: [LABEL[:4]] * 2, 2), size=0),
        "size must be at least 1, got 0",
    ),
    "outputs": (
        lambda root: MixLoader(numbered.feeding(lambda k: [LABEL[:4]] * 5, 5), size=8),
        r"\(x, y1, y2, lam\), \(x, ys, weights\) or \(x, y\), got 5 outputs",
    ),
    "mixed, two outputs": (
        lambda root: MixLoader(numbered.feeding(lambda k: [LABEL[:4]] * 2, 2), size=8, mixed=True),
        r"with mixed=True .* \(x, y1, y2, lam\) or \(x, ys, weights\) at least, got 2",
    ),
    "batch too large": (
        lambda root: numbered.loader(root, 11),
        "batch_size must be at most the 10 samples of a shard when the last batch is dropped",
    ),
    "batch": (
        lambda root: numbered.loader(root, 0),
        "batch_size must be a whole number, at least 1, got 0",
    ),
    "none": (lambda root: MixLoader([]), "pipelines must hold at least one"),
    "shards": (
        lambda root: MixLoader(
            [numbered.reading(root, 2, seed=i, reader={"num_shards": 2}) for i in range(2)]
        ),
        r"must read different shards, got shard_id \[0, 0\]",
    ),
    "seeds": (
        lambda root: MixLoader(
            [numbered.reading(root, 2, reader={"shard_id": i, "num_shards": 2}) for i in range(2)]
        ),
        r"must have different seeds, or they draw alike, got \[1, 1\]",
    ),
    "pairs": (
        lambda root: numbered.loader(root, last_batch="fill", partner="roll", per="pair"),
        'per="pair" needs partners that pair up, got \'roll\'. Use "derange"',
    ),
    "partner": (
        lambda root: numbered.loader(root, last_batch="partial", partner="best"),
        "partner must be one of derange, shuffle, reverse, roll, got 'best'",
    ),
    "dtype": (
        lambda root: numbered.loader(root, dtype=torch.float64),
        "dtype must be one of torch.float32, .*, got torch.float64",
    ),
    "device": (lambda root: numbered.loader(root, device="cuda"), "must be .cpu. or .gpu., got"),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_in_a_sentence(ten, make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(ten)


def test_two_readers_must_be_told_apart(ten):
    pipeline = Pipeline(2, num_threads=1, device_id=None)
    with pipeline:
        for name in ("A", "B"):
            files, labels = fn.readers.file(file_root=str(ten), name=name, pad_last_batch=True)
            if name == "A":
                first = fn.resize(fn.decoders.image(files), size=4)
        pipeline.set_outputs(first, labels)
    with pytest.raises(ValueError, match="reader_name must be one of 'A', 'B', got None"):
        MixLoader(lambda: pipeline)
    assert len(MixLoader(pipeline, reader_name="B")) == 5


def test_pipelines_must_be_pipelines_and_fresh(ten):
    with pytest.raises(TypeError, match=r"pipelines must be DALI pipelines, .* got int"):
        MixLoader(3)
    pipeline = numbered.reading(ten)
    pipeline.run()
    with pytest.raises(ValueError, match="the pipeline must be fresh, got one that has run"):
        MixLoader(pipeline)


def test_a_mixing_source_that_pads_by_itself_is_found_out():
    def source(k):
        return np.zeros((4, 5, 6, 3), np.uint8), LABEL[:4]

    loader = MixLoader(numbered.feeding(source, 2, graph=dmix.mixup), size=6, last_batch="partial")
    with pytest.raises(ValueError, match="must be dropped when mixing, got 2 of 4 samples"):
        list(loader)


def test_a_source_that_stops_early_is_found_out():
    def source(k):
        if k == 1:
            raise StopIteration
        return np.zeros((4, 5, 6, 3), np.uint8), LABEL[:4]

    with pytest.raises(RuntimeError, match="stopped after 1 batches of 4, but size=8 needs 2"):
        list(MixLoader(numbered.feeding(source, 2), size=8))


def test_images_of_several_sizes_are_refused(ten):
    def source(k):
        return [np.zeros((5, 6 + i, 3), np.uint8) for i in range(4)], LABEL[:4]

    with pytest.raises(ValueError, match=r"must have one shape, got \(5, 6, 3\), \(5, 7, 3\)"):
        list(MixLoader(numbered.feeding(source, 2), size=8))


def test_arguments_that_validation_does_not_have(ten):
    with pytest.raises(TypeError, match="with training=False has no argument 'methods'; of the"):
        numbered.loader(ten, training=False, methods=MixUp())
    with pytest.raises(TypeError, match="with training=True has no argument 'alpha'"):
        numbered.loader(ten, alpha=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(ten):
    with pytest.raises(RuntimeError, match="a GPU is asked for, and this PyTorch sees none"):
        numbered.loader(ten, device="gpu")


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("torch", "dali_mix.MixLoader needs PyTorch, which is not installed; run `pip install"),
        ("nvidia", "dali_mix needs NVIDIA DALI, which is not installed; run `pip install"),
    ],
)
def test_what_is_missing_is_named(module, sentence):
    code = f"""
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
import dali_mix
try:
    dali_mix.MixLoader
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sentence in ran.stdout

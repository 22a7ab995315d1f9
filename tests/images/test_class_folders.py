"""One listing of a folder with one folder of images for each class, at every door."""

import os
from pathlib import Path

import numbered
import numpy as np
import pytest
import torch
from nvidia.dali import Pipeline
from PIL import Image

from dali_mix import MixLoader, recipes
from dali_mix.commands import cli
from dali_mix.commands.check.folder import Folder
from dali_mix.commands.preview import command as preview

KINDS = {"JPG": "JPEG", "TIF": "TIFF"}


def write(root, *names):
    """Image k of the names is flat, with the value 8 k."""
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.full((20, 24, 3), k * numbered.STEP, np.uint8)
        ending = path.suffix[1:].upper()
        Image.fromarray(grey).save(path, KINDS.get(ending, ending))
    return root


def loaded(root, **options):
    """Label of each image, by its value."""
    found = {}
    if options["training"]:
        options |= {"methods": None}
    for x, target in numbered.loader(root, 1, last_batch="partial", **options):
        value = round(float(x.float().mean()) / numbered.STEP)
        assert value not in found
        found[value] = int(numbered.own(target))
    return found


def recipe_labels(root, recipe, count):
    with Pipeline(batch_size=count, num_threads=1, device_id=None, seed=1) as pipeline:
        x, y, *_ = recipe(root, size=8, **({} if recipe is recipes.imagefolder_val else NO_MIX))
        pipeline.set_outputs(x, y)
    return sorted(np.array(pipeline.run()[1].as_tensor()).ravel().tolist())


NO_MIX = {"methods": None}
RECIPES = [recipes.imagefolder_train, recipes.imagefolder_val]


def check_listed(root, expected):
    """expected: by class, the names of its images with their values."""
    classes = list(expected)
    label_of = {
        value: label for label, name in enumerate(classes) for value in expected[name].values()
    }
    names = {f"{name}/{file}" for name in classes for file in expected[name]}
    assert recipes.class_names(root) == classes
    for training in (True, False):
        for on_bad_file in ("raise", "substitute"):
            assert loaded(root, training=training, on_bad_file=on_bad_file) == label_of
    for recipe in RECIPES:
        assert recipe_labels(root, recipe, len(names)) == sorted(label_of.values())
    images = Folder(str(root)).images
    assert set(images.names) == names and len(images.names) == len(names)
    assert {name: classes[label] for name, label in zip(*images, strict=True)} == {
        name: name.partition("/")[0] for name in names
    }
    chosen = preview.choose_files(root, 99, 0)
    assert {str(path.relative_to(root)) for path in chosen} == names


def jupyter(root):
    write(root, "a/0.png", "b/1.png", ".ipynb_checkpoints/x.png", "b/.ipynb_checkpoints/x.png")
    (root / ".git").mkdir()
    return {"a": {"0.png": 0}, "b": {"1.png": 1}}


def macos(root):
    write(root, "a/0.jpg", "b/1.jpg")
    for name in ("a/._0.jpg", "b/._1.jpg", "b/.DS_Store", "._a", ".x.jpg"):
        (root / name).write_bytes(b"\0\5\x16\7")
    return {"a": {"0.jpg": 0}, "b": {"1.jpg": 1}}


def endings(root):
    names = ["a/0.JPG", "a/1.JPEG", "a/2.jpeg", "a/3.PNG", "a/4.Tif", "b/5.TIFF", "b/6.bmp"]
    names += ["b/7.ppm", "b/8.x.png"]
    write(root, *names)
    for name in ("a/notes.txt", "a/jpg", "a/x.jpg.bak", "b/labels.csv", "b/clip.gif", "b/x.npy"):
        (root / name).touch()
    return {
        "a": {name[2:]: k for k, name in enumerate(names) if name[0] == "a"},
        "b": {name[2:]: k for k, name in enumerate(names) if name[0] == "b"},
    }


def beside(root):
    write(root, "a/0.png", "b/1.png", "top.png", "b/deeper/2.png", "b/deeper/still/3.png")
    (root / "README.md").touch()
    (root / "b" / "folder.png").mkdir()
    os.mkfifo(root / "b" / "pipe.png")
    return {"a": {"0.png": 0}, "b": {"1.png": 1}}


def links(root):
    elsewhere = write(root.parent / "elsewhere", "0.png", "y.png", "x/2.png")
    write(root, "b/0.png")
    (root / "b" / "1.png").symlink_to(elsewhere / "y.png")
    (root / "a").symlink_to(elsewhere / "x")
    (root / "b" / "up").symlink_to("..")  # a circle
    (root / "b" / "up.png").symlink_to("..")
    (root / "notes").symlink_to(elsewhere / "y.png")
    (root / "gone.jpg").symlink_to("nothing")
    return {"a": {"2.png": 2}, "b": {"0.png": 0, "1.png": 1}}


def order(root):
    names = ["10", "9", "B", "a", "é", "z", "\U0001f600", " lead", "a b", "a.b", "-x"]
    write(root, *(f"{name}/{k}.png" for k, name in enumerate(names)))
    # As Python sorts text, and so torchvision: the same as by bytes in UTF-8.
    return {name: {f"{names.index(name)}.png": names.index(name)} for name in sorted(names)}


GOOD = [jupyter, macos, endings, beside, links, order]


@pytest.mark.parametrize("make", GOOD)
def test_every_door_reads_the_same_images_with_the_same_labels(tmp_path, make):
    root = tmp_path / "photos"
    root.mkdir()
    check_listed(root, make(root))


@pytest.mark.parametrize("make", [endings, order, links])
def test_the_labels_are_those_of_torchvision(tmp_path, make):
    datasets = pytest.importorskip("torchvision.datasets")
    root = tmp_path / "photos"
    root.mkdir()
    make(root)
    theirs = datasets.ImageFolder(root)
    assert theirs.classes == recipes.class_names(root)
    images = Folder(str(root)).images
    ours = {str(root / name): label for name, label in zip(*images, strict=True)}
    assert ours == {path: label for path, label in theirs.samples if path in ours}


def empty(root):
    (root / "b").mkdir()
    return "b holds no images"


def without_images(root):
    (root / "b" / "deeper").mkdir(parents=True)
    (root / "b" / "labels.csv").touch()
    write(root, "b/deeper/0.png", "b/._0.png")
    return "b holds no images"


def nowhere(root):
    (root / "b").symlink_to("/nowhere/b")
    return r"b cannot be listed \(No such file or directory, it is a link to /nowhere/b\)"


def circle(root):
    (root / "b").symlink_to("b")
    return r"b cannot be listed \(Too many levels of symbolic links, it is a link to b\)"


WRONG = [empty, without_images, nowhere, circle]


def run_preview(root):
    return cli.main(["preview", str(root), "-o", str(root.parent / "x.png"), "--size=16"])


def check_refused(root, sentence, capsys):
    """A class between two others, whose labels depend on it."""
    rule = rf"^root must hold images in each of its class folders, but {root}/{sentence}; mend or "
    for door in (
        recipes.class_names,
        lambda r: numbered.loader(r),
        lambda r: numbered.loader(r, training=False, on_bad_file="substitute"),
        lambda r: numbered.loader(r, files=["a/0.png"]),
        lambda r: recipe_labels(r, recipes.imagefolder_train, 2),
        lambda r: recipe_labels(r, recipes.imagefolder_val, 2),
    ):
        with pytest.raises(ValueError, match=rule):
            door(root)
    assert run_preview(root) == 2
    assert "but" in (told := capsys.readouterr().err) and told.count("\n") == 1
    assert cli.main(["check", str(root), "--device=cpu", "--jobs=1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    kind = "empty" if "holds no" in sentence else "unreadable"
    assert lines[0].startswith(f"{kind}: {root}/b: the class folder ")
    assert any(" images, 2 can be used, 0 cannot" in line for line in lines)


@pytest.mark.parametrize("make", WRONG)
def test_every_door_refuses_a_class_folder_that_would_move_labels(tmp_path, capsys, make):
    root = write(tmp_path / "photos", "a/0.png", "c/1.png")
    check_refused(root, make(root), capsys)


@pytest.fixture
def without_rights():
    """What is not allowed is not done, though tests may run as root."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_class_folder_that_may_not_be_read_is_named(tmp_path, request):
    root = write(tmp_path / "photos", "a/0.png", "b/1.png", "c/2.png")
    made = [path for path in tmp_path.parents if path.name.startswith(("pytest-", "popen-"))]
    for path in (*made, tmp_path, root):
        path.chmod(0o755)
    (root / "b").chmod(0)
    request.getfixturevalue("without_rights")
    with pytest.raises(ValueError, match=rf"but {root}/b cannot be listed \(Permission denied\)"):
        recipes.class_names(root)
    folder = Folder(str(root))
    assert folder.images.names == ["a/0.png", "c/2.png"] and folder.images.labels == [0, 2]
    assert [str(item.findings[0]) for item in folder if item.findings] == [
        "the class folder cannot be listed (Permission denied); mend its storage or permissions, "
        "or remove it"
    ]


def test_a_link_to_an_image_that_is_gone_is_told_by_whoever_reads_it(tmp_path, capsys):
    root = write(tmp_path / "photos", "a/0.png", "a/1.png", "b/2.png")
    (root / "a" / "1.png").unlink()
    (root / "a" / "1.png").symlink_to("/nowhere.png")
    with pytest.raises(RuntimeError, match=rf"cannot open {root}/a/1.png, which is missing"):
        list(numbered.loader(root, 1, training=False))
    loader = numbered.loader(root, 1, training=False, on_bad_file="substitute")
    assert [int(y) for _, y in loader] == [0, 1, 1]
    assert [one.path for one in loader.substituted] == [f"{root}/a/1.png"]
    assert run_preview(root) == 2
    assert f"{root}/a/1.png cannot be decoded as an image" in capsys.readouterr().err
    assert cli.main(["check", str(root), "--device=cpu", "--jobs=1"]) == 1
    assert f"unreadable: {root}/a/1.png: it cannot be read: No such" in capsys.readouterr().out


def test_validation_takes_the_labels_of_training_from_its_classes(tmp_path):
    train = write(tmp_path / "train", *(f"{name}/{k}.png" for k, name in enumerate("abcd")))
    val = write(tmp_path / "val", "b/0.png", "d/1.png")
    (val / "c").mkdir()
    (val / "notes").mkdir()
    trained = numbered.loader(train)
    assert trained.classes == ["a", "b", "c", "d"]
    loader = numbered.loader(val, training=False, classes=trained.classes)
    assert loader.classes == trained.classes
    assert loaded(val, training=False, classes=trained.classes) == {0: 1, 1: 3}
    assert loaded(val, training=False, classes=("d", "b")) == {0: 1, 1: 0}
    with pytest.raises(ValueError, match=rf"images of the 2 given classes alone, .* {val}/b; add"):
        numbered.loader(val, training=False, classes=["a", "d"])
    files = ["d/1.png"]
    assert loaded(val, training=False, classes=trained.classes, files=files) == {1: 3}
    state = loader.state_dict()
    loader.load_state_dict(numbered.through_json(state))
    assert [y.tolist() for _, y in loader] == [[1, 3]]


@pytest.mark.parametrize("classes", ["ab", [0, 1], [b"a"], ["a", "b", "a"]])
def test_classes_that_are_no_different_names_are_refused(tmp_path, classes):
    root = write(tmp_path / "photos", "a/0.png", "b/1.png")
    with pytest.raises((TypeError, ValueError), match=r"^classes must be "):
        numbered.loader(root, classes=classes)


def test_a_loader_of_ones_own_pipeline_knows_no_classes(tmp_path):
    root = write(tmp_path / "photos", "a/0.png", "b/1.png")
    assert MixLoader(numbered.reading(root, 1)).classes is None


def test_files_may_be_paths_and_are_read_in_their_order(tmp_path):
    root = write(tmp_path / "photos", "a/0.png", "b/1.png", "b/2.png")
    for files in (
        [Path("b/2.png"), Path("a/0.png")],
        (Path("b") / "2.png", "a/0.png"),
        np.array(["b/2.png", "a/0.png"]),
        [np.str_("b/2.png"), b"a/0.png"],
    ):
        loader = numbered.loader(root, 2, training=False, files=files)
        assert torch.cat([y for _, y in loader]).tolist() == [1, 0]
    for files in ([0], [None], ["a/0.png", 1.5]):
        with pytest.raises(TypeError, match=r"^files must be names of images, such as 'dog/1.jpg'"):
            numbered.loader(root, files=files)
    (root / "b" / ".x.png").touch()
    with pytest.raises(ValueError, match=r"but b/.x.png is hidden, because its name begins"):
        numbered.loader(root, files=["b/.x.png"])

"""Files from elsewhere: what is read back runs no code, and names of files may be any bytes."""

import ast
import hashlib
import importlib
import io
import os
import pickle
import re
from pathlib import Path

import numbered
import pytest
import tomllib
import torch
from programs import run_here

from dali_mix.commands import cli

HOUSE = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("dali_mix", "pipelines", "bench")
    for path in HOUSE.glob(f"{folder}/**/*.py")
)
SMALL = {"LOADER": {"batch_size": 2, "size": 16, "num_threads": 1}, "EVERY": 2}
CONTENT = [b"plain", b"with space", b"qu'o\"te", b"new\nline", "größe".encode(), b"\xff\xfe"]


@pytest.fixture
def photos(tmp_path):
    return numbered.write_noise(tmp_path / "photos", 6)


# what is read back


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(trap):
    return pickle.dumps(trap)


def saved_by_torch(trap):
    file = io.BytesIO()
    torch.save({"model": trap}, file)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [pickled, saved_by_torch])
@pytest.mark.parametrize("sum_is_right", [True, False])
def test_a_save_that_holds_code_is_refused_and_does_not_run(tmp_path, photos, write, sum_is_right):
    sprung, state = tmp_path / "sprung", tmp_path / "run.pt"
    pickle.loads(pickled(Trap(sprung)))
    assert sprung.exists()  # the trap works
    sprung.unlink()
    content = write(Trap(sprung))
    state.write_bytes(content + (hashlib.sha256(content).digest() if sum_is_right else b""))
    why = "Weights only load failed" if sum_is_right else "no save of .* is whole"
    with pytest.raises((ValueError, pickle.UnpicklingError), match=why):
        run_here(tmp_path, "resume", FOLDER=photos, STATE=state, **SMALL)
    assert not sprung.exists()


def imported(tree):
    """Names of packages."""
    names = [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def calls(tree):
    """Dotted names of what is called, with the call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_source_reads_code_as_data(path):
    tree = ast.parse(path.read_text())
    assert not imported(tree) & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    for name, call in calls(tree):
        assert name not in ("eval", "exec", "os.system", "os.popen"), ast.unparse(call)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name == "np.load":
            assert given.get("allow_pickle") == "False", ast.unparse(call)
        if name == "torch.load":
            assert given.get("weights_only") == "True", ast.unparse(call)
        assert given.get("shell", "False") == "False", ast.unparse(call)


# what `make` installs


def locked():
    """Of requirements.txt: version and hashes by name, and by what machine it is for."""
    text = (HOUSE / "requirements.txt").read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    entry = r"([a-z0-9-]+)==([^ ;]+) *(?:; ([^\\]*?))? *((?: +--hash=sha256:[0-9a-f]{64})+)"
    found = [re.fullmatch(entry, line) for line in entries]
    assert all(found), [line[:80] for line, hit in zip(entries, found, strict=True) if not hit]
    return [hit.groups() for hit in found]


def test_all_that_make_installs_is_pinned_with_hashes(monkeypatch):
    monkeypatch.chdir(HOUSE)
    monkeypatch.syspath_prepend(HOUSE)
    setup = importlib.import_module("setup")
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())
    cuda = [setup.cuda.HEADER_PACKAGES, setup.cuda.NVCC_PACKAGES]
    wanted = [package for packages in cuda for group in packages.values() for package in group]
    wanted += [f"nvidia-dali-cuda{major}0=={setup.DALI_RELEASES[-1]}" for major in (12, 13)]
    extras = project["project"]["optional-dependencies"]
    wanted += extras["test"] + extras["wheel"]
    versions = {}
    for name, version, _, _ in locked():
        versions.setdefault(name, set()).add(version)
    for requirement in wanted:
        name, _, version = requirement.partition("==")
        assert versions.get(name) == {version}, f"{requirement}: run .ci/lock"
    assert {"pip", "setuptools", "numpy"} <= set(versions)


def test_every_file_of_a_release_is_listed_once():
    seen = [(name, digest) for name, _, _, hashes in locked() for digest in hashes.split()]
    assert len(seen) == len(set(seen)) > 1000


# names of files


def folder_named(parent, content):
    """Class folders and files whose names are `content` and a number."""
    name, root = os.fsdecode(content), parent / "photos"
    originals = numbered.write_noise(parent / "originals", 6)
    for k, file in enumerate(sorted(originals.glob("*/*.jpg"))):
        there = root / f"{name}{k % 2}" / f"{name}{k}.jpg"
        there.parent.mkdir(parents=True, exist_ok=True)
        file.rename(there)
    return root


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize("training", [True, False])
def test_class_folders_and_files_may_have_any_name(tmp_path, content, training):
    root = folder_named(tmp_path, content)
    same = folder_named(tmp_path / "same", b"plain")
    batches = list(numbered.loader(root, 2, training=training))
    numbered.assert_same(batches, numbered.loader(same, 2, training=training))


@pytest.mark.parametrize("content", CONTENT)
def test_a_bad_file_of_any_name_is_named(tmp_path, content):
    root = folder_named(tmp_path, content)
    bad = max(root.glob("*/*.jpg"))
    bad.write_bytes(b"no image")
    with pytest.raises(RuntimeError, match="cannot decode") as error:
        list(numbered.loader(root, 2, training=False))
    name = str(bad) if str(bad).isprintable() else ascii(os.fsencode(bad))[1:]
    assert str(error.value).startswith(f"cannot decode {name}; remove or repair it")


@pytest.mark.parametrize("content", CONTENT)
def test_folders_of_any_name_in_utf_8_are_opened(tmp_path, content):
    root = numbered.write_noise(tmp_path / os.fsdecode(content), 6)
    if content == b"\xff\xfe":
        sentence = r"root must be a path in UTF-8, .*, got '.*/\\xff\\xfe'; rename the folder"
        with pytest.raises(ValueError, match=sentence):
            numbered.loader(root, 2)
        link = tmp_path / "link"
        link.symlink_to(root)
        root = link
    assert len(list(numbered.loader(root, 2))) == 3


@pytest.mark.parametrize("content", CONTENT)
def test_a_preview_of_any_name(tmp_path, content, capsys):
    root = folder_named(tmp_path / os.fsdecode(content), content)
    sheet = tmp_path / f"{os.fsdecode(content)}.png"
    assert cli.main(["preview", str(root), "-o", str(sheet), "--size", "16"]) == 0
    out, err = capsys.readouterr()
    assert ": 20 images" in out and out.count("\n") == 1 and not err
    assert sheet.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", CONTENT)
def test_a_run_whose_files_have_any_name_goes_on(tmp_path, content):
    root = folder_named(tmp_path, content)
    place = tmp_path / os.fsdecode(content)
    place.mkdir()
    run = {"FOLDER": root, "STATE": place / "run.pt", **SMALL}
    for epochs in (1, 2):
        out, err = run_here(tmp_path, "resume", **run, EPOCHS=epochs)
    assert out.startswith("begins in epoch 1 after 0 of 3 batches") and not err
    (place / "run.pt").write_bytes(b"half")
    _, err = run_here(tmp_path, "resume", **run, EPOCHS=2)
    assert "run.pt is half-written or damaged" in err


def test_a_state_does_not_tell_where_the_files_lie(photos):
    loader = numbered.loader(photos, 2)
    assert str(photos) not in str(loader.state_dict())

"""The programs in pipelines/: what holds for all of them, and the one for image folders."""

import ast
import re

import numpy as np
import pytest
from programs import FOLDER, namespace, photos_in, run_here

pytest.importorskip("torch")

PROGRAMS = sorted(FOLDER.glob("*.py"))
SMALL = {"SIZE": 16, "BATCH_SIZE": 4, "EPOCHS": 2, "THREADS": 1}


@pytest.fixture
def photos(tmp_path):
    return photos_in(tmp_path / "photos")


def test_there_are_at_most_ten_besides_the_demo():
    assert len([path for path in PROGRAMS if path.stem != "demo"]) <= 10


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_fits_on_two_screens_and_says_how_it_is_started(path):
    source = path.read_text()
    assert 60 <= len(source.splitlines()) <= 90
    said = ast.get_docstring(ast.parse(source))
    assert f"pipelines/{path.name}" in said or f"make {path.stem}" in said


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_has_constants_and_no_options(path):
    tree = ast.parse(path.read_text())
    assert not re.search(r"argparse|sys\.argv|environ\.get", path.read_text())
    assert any(isinstance(node, ast.Assign) for node in tree.body)
    assert tree.body[-2].name == "main"  # which tests, and others, may call


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_uses_nothing_that_limits_warn_of(path):
    source = path.read_text()
    # Decoders end the process on some broken headers, if these are not read before.
    assert ("fn.decoders" in source) == ("recipes.header_checked(encoded)" in source)
    # DALI's own iterators may hand out a batch of copies where there are several shards.
    assert "DALIGenericIterator" not in source and "DALIClassificationIterator" not in source
    # Erased after mixing, an image has another share than lam says.
    assert "random_erasing(x" not in source


def test_imagefolder_trains_and_validates(photos, tmp_path):
    out, err = run_here(tmp_path, "imagefolder", FOLDER=photos, **SMALL)
    line = r"epoch {}: loss \d\.\d{{4}}, validation accuracy [01]\.\d{{4}}\n"
    assert re.fullmatch(line.format(0) + line.format(1), out) and not err


def test_imagefolder_names_a_file_that_cannot_be_decoded(photos, tmp_path):
    (photos / "train" / "dark" / "broken.jpg").write_bytes(b"no image")
    sentence = "cannot decode .*/dark/broken.jpg; remove or repair it"
    with pytest.raises(RuntimeError, match=sentence):
        run_here(tmp_path, "imagefolder", FOLDER=photos, **(SMALL | {"BATCH_SIZE": 13}))


def test_imagefolder_draws_mixup_or_cutmix_for_a_batch(photos, tmp_path):
    small = SMALL | {"BATCH_SIZE": 12}
    training, _ = namespace(tmp_path, "imagefolder", FOLDER=photos, **small)["loaders"]()
    with training:
        lam = np.stack([target.lam.numpy() for _ in range(60) for _, target in training])
    assert lam.shape[1] == 12 and (lam == lam[:, :1]).all()
    # Cutmix counts pixels, mixup's lam is any number: half and half.
    lam = lam[:, 0]
    counted = np.isclose(lam * 256, np.round(lam * 256), atol=1e-4)
    assert abs(counted.mean() - 0.5) < 0.25  # four standard deviations
    assert (lam[~counted] < 0.5).any()  # not folded, as in timm

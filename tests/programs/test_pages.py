"""README and docs/: every block of code and every command runs as it stands there, what their
comments say of shapes is so, links lead somewhere, and numbers are right."""

import functools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dali_mix import reference
from dali_mix.commands import cli
from dali_mix.methods import METHODS

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FILES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
CARDS = PAGES["docs/methods.md"]
ABOVE, FIRST = "# goes on from the block above", "# goes on from the first block"
"""The first line of a block that needs another one of its page. Others run alone."""


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


WITH_CODE = [page for page, text in PAGES.items() if blocks(text)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The folder that the examples read, in the working directory: noisy images in 4 classes, 40
    to train on and 12 to validate with. Beside it, a box in each, in COCO's format."""
    place, chance = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    told: dict[str, list[dict]] = {"images": [], "annotations": []}
    for part, count in (("train", 40), ("val", 12)):
        for index in range(count):
            folder = place / "photos" / part / f"class{index % 4}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = chance.integers(0, 256, (40, 48 + index, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.jpg")
            file = (folder / f"{index}.jpg").relative_to(place / "photos")
            image = {"id": str(file), "file_name": str(file), "height": 40, "width": 48 + index}
            told["images"].append(image)
            told["annotations"].append({"image_id": str(file), "bbox": [20, 10, 25, 20]})
    (place / "annotations.json").write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place / "photos"


@pytest.fixture(scope="module")
def after(photos):
    """after(page): the names that there are after each block of the page. Each page runs once."""
    return functools.cache(names_after_each_block)


def names_after_each_block(page):
    found = []
    for number, code in enumerate(blocks(PAGES[page])):
        above = code.startswith(ABOVE) or code.startswith(FIRST)
        names = dict(found[0 if code.startswith(FIRST) else -1]) if above else {}
        if "import jax" in code:
            pytest.importorskip("jax")
        exec(compile(code, f"{page}, block {number}", "exec"), names)
        check_comments(code, names)
        found.append(names)
    return found


def check_comments(code, names):
    """`# x (32, 3, 224, 224) float32, lam (32,) float32`"""
    comments = " ".join(re.findall(r"# (.*)$", code, re.MULTILINE))
    for name, shape, kind in re.findall(r"([\w.]+) (\([\d, ]+\)) ([a-z]+\d+)", comments):
        value = eval(name, names)
        array = value.as_array() if hasattr(value, "as_array") else value
        assert tuple(array.shape) == tuple(map(int, re.findall(r"\d+", shape))), name
        assert str(array.dtype).removeprefix("torch.") == kind, name


@pytest.mark.parametrize("page", WITH_CODE)
def test_every_block_of_code_runs_and_gives_what_its_comments_say(after, page):
    assert len(after(page)) == len(blocks(PAGES[page]))


def test_comments_are_checked():
    with pytest.raises(AssertionError, match="x"):
        check_comments("y = x  # x (2, 3) float32", {"x": np.zeros((3, 2), np.float32)})
    with pytest.raises(AssertionError, match="x"):
        check_comments("y = x  # so x (3, 2) int64, y1 (1,) int8", {"x": np.zeros((3, 2))})


def test_most_blocks_run_alone():
    codes = [code for text in PAGES.values() for code in blocks(text)]
    assert len(codes) > 30
    assert sum(code.startswith("# goes on") for code in codes) < len(codes) / 2


def lam_of(names):
    return np.asarray(names["lam"].as_array())


def named(pages, key):
    """The only block after which there is this name, of those that bind it first."""
    return next(names for names in pages if key in names)


def test_what_the_examples_of_pipelines_say(after):
    varied = named(after("docs/recipes.md"), "varied")
    lam = np.asarray(varied["varied"](seed=1).run()[3].as_array())
    assert 0 < np.isclose(lam, 1).sum() < 10 and (lam < 1).any()
    salient = named(after("docs/travel.md"), "salient")
    assert (lam_of(salient) > 0.1).all() and (lam_of(salient) < 0.9).all()
    maps = named(after("docs/travel.md"), "segmented")
    assert (maps["y1"].as_array() == maps["y2"].as_array()).all()
    pasted = named(after("docs/travel.md"), "copy_paste")
    shown = (pasted["ids"].as_array() >= 1000).mean((1, 2, 3))
    np.testing.assert_allclose(1 - shown, lam_of(pasted), atol=1e-6)
    assert (shown > 0).any()
    blended = named(after("docs/travel.md"), "copy_blend")
    assert {0.5, 1.0} >= {float(w) for kept in blended["weights"] for w in np.asarray(kept)}
    assert len(np.unique(lam_of(named(after("docs/migration.md"), "as_timm")))) > 16


def test_what_the_examples_of_training_say(after):
    readme = after("README.md")[0]
    assert readme["loss"].isfinite() and len(readme["training"]) == 1  # 40 images, less 8
    assert 0 <= readme["right"] / 12 <= 1
    partial = named(after("docs/resume.md"), "again")
    assert len(partial["again"]) == 2 and partial["target"].batch_size == 8  # of the second batch
    assert named(after("docs/travel.md"), "manifold_mixup")["target"].partner.shape == (32,)
    for name in ("manifold_mixup", "Scheduled"):
        assert named(after("docs/travel.md"), name)["loss"].isfinite()


def test_every_card_gives_what_its_comment_says(after):
    _, *cards, several = after("docs/methods.md")
    assert len(cards) == len(METHODS)
    for kind, names in zip(METHODS, cards, strict=True):
        images = kind().images
        shares = names["weights" if images > 2 else "lam"].as_array()
        assert ((shares >= 0) & (shares <= 1)).all() and (shares.reshape(32, -1)[:, 0] < 1).any()
        assert shares.shape == ((32, images) if images > 2 else (32,))
        labels = names["ys" if images > 2 else "y2"].as_array()
        assert labels.shape == ((32, images, 1) if images > 2 else (32, 1))
        assert names["x"].as_array().shape == (32, 3, 224, 224)
    assert several["weights"].as_array().shape == (32, 4)


def test_every_method_has_a_card_with_a_picture_and_a_row():
    names = [kind.__name__ for kind in METHODS]
    assert re.findall(r"^## (\w+)$", CARDS, re.MULTILINE) == names
    assert re.findall(r"^\| \[(\w+)\]\(#\w+\) \|", CARDS, re.MULTILINE) == names
    pictures = re.findall(r"^!\[.*\]\(pictures/(\w+)\.jpg\)$", CARDS, re.MULTILINE)
    assert pictures == [kind.name for kind in METHODS]


EVERYTHING = "\n".join(PAGES.values())
COMMANDS = re.findall(r"^    dali-mix ((?:preview|check|doctor).*?)(?: *#.*)?$", EVERYTHING, re.M)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_works(photos, command):
    words = shlex.split(command)
    small = ["--size", "32"] if words[0] == "preview" else []
    assert cli.main([*words, *small]) == 0
    if words[0] == "preview":
        with Image.open(words[words.index("-o") + 1]) as picture:
            assert picture.width > 500


def test_every_link_leads_to_a_file_and_every_picture_is_shown():
    shown = set()
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not link.startswith("http"):
                assert (ROOT / page).parent.joinpath(link).exists(), f"{link} in {page}"
                shown.add((ROOT / page).parent.joinpath(link).resolve())
    assert {path for path in shown if path.parent.name == "pictures"} == {
        *(DOCS / "pictures").iterdir()
    }


def test_every_anchor_is_a_heading():
    def anchors(text):
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        headings = re.findall(r"^#+ (.*)$", prose, re.M)
        return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}

    for page, text in PAGES.items():
        for link, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
            if not link.startswith("http"):
                name = (ROOT / page).parent.joinpath(link).resolve() if link else ROOT / page
                assert anchor in anchors(name.read_text()), f"{link}#{anchor} in {page}"


def test_pictures_are_small():
    sizes = [path.stat().st_size for path in (DOCS / "pictures").iterdir()]
    assert max(sizes) <= 60_000 and sum(sizes) <= 1_000_000


def test_drawings_are_what_the_script_draws(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(DOCS)
    import drawings

    for name, svg in drawings.all_of_them().items():
        assert (DOCS / "pictures" / name).read_text() == svg, f"run docs/pictures.py: {name}"


def test_every_sentence_that_is_explained_is_one_of_ours():
    terms = re.findall(r"^`(.*)`\n:   ", PAGES["docs/troubleshooting.md"], re.MULTILINE)
    assert len(terms) > 30
    native = [path for path in (ROOT / "dali_mix/native").rglob("*") if path.is_file()]
    sources = [*(ROOT / "dali_mix").rglob("*.py"), *native]
    # A sentence goes on in the next literal.
    text = re.sub(r'"\s+f?"', "", "\n".join(path.read_text() for path in sources))
    assert [term for term in terms if term not in text] == []


def test_every_page_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = re.findall(r"([\w/-]+\.md)$", contents, re.MULTILINE)
    own = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    outside = ["index.md", "bench/README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
    assert sorted(listed) == sorted([*own, *outside])


def test_the_readme_is_one_page():
    assert (ROOT / "README.md").stat().st_size <= 8192


def test_every_program_is_in_the_table_and_none_else():
    listed = re.findall(r"^\| \[`(\w+\.py)`\]", PAGES["docs/recipes.md"], re.MULTILINE)
    there = [path.name for path in (ROOT / "pipelines").glob("*.py")]
    assert sorted(listed) == sorted(there)


def test_the_mean_of_folded_lam_is_as_the_table_says():
    text = PAGES["docs/tutorial.md"]
    rows = re.search(r"^\| alpha \|(.*)\|$\n.*\n^\| mean of .*? \|(.*)\|$", text, re.MULTILINE)
    alphas, means = ([float(cell) for cell in row.split("|")] for row in rows.groups())
    assert len(alphas) == 6
    chance = np.random.default_rng(0)
    for alpha, mean in zip(alphas, means, strict=True):
        measured = reference.fold(chance.beta(alpha, alpha, 500_000)).mean()
        assert measured == pytest.approx(mean, abs=1e-3)


def test_the_box_law_is_as_it_is_said():
    text = PAGES["docs/how-it-works.md"]
    stated = re.search(r"32 by 32 pixels, at alpha 1,\s+(\d+) %\s+against\s+(\d+) %", text)
    assert stated
    covered = np.zeros((2, 1000))
    for place, t in enumerate((np.arange(1000) + 0.5) / 1000):  # Beta(1, 1) is uniform
        for center in range(32):
            y0, _, y1, _ = reference.cut_box(t, (center, 0), (32, 32))
            covered[:, place] += [y0 <= 16 < y1, y0 <= 0 < y1]
    # Rows and columns are drawn apart, from one t.
    middle, corner = 100 * ((covered / 32) ** 2).mean(1)
    assert (round(middle), round(corner)) == tuple(int(number) for number in stated.groups())

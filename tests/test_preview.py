"""`dali-mix preview`: what the sheet shows, and what is said when it cannot be drawn."""

import builtins
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from dali_mix import CutMix, MixUp, cli, preview, sheet  # noqa: E402

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One plain image in each class."""
    for name, color in COLORS.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (60, 40), color).save(tmp_path / "images" / name / "a.jpg", quality=95)
    return tmp_path / "images"


def rows_of(folder: Path, *methods, size=24, seed=0):
    files = preview.choose_files(folder, 3, seed)
    labels = [file.parent.name for file in files]
    return preview.mixed_rows(files, labels, methods, size=size, seed=seed)


def test_the_sheet_is_written_and_named(folder, tmp_path, capsys):
    target = tmp_path / "sheet.png"
    assert cli.main(["preview", str(folder), "-o", str(target), "--size", "32"]) == 0
    assert capsys.readouterr().out == f"{target}: 3 images\n"
    with Image.open(target) as image:
        assert image.width > 3 * 160 and image.height > 3 * 160


def test_rows_show_own_partner_and_their_blend(folder):
    for row in rows_of(folder, MixUp(alpha=2.0)):
        np.testing.assert_allclose(row.own.mean((0, 1)), COLORS[row.own_label], atol=5)
        np.testing.assert_allclose(row.partner.mean((0, 1)), COLORS[row.partner_label], atol=5)
        blend = row.lam * row.own.astype(float) + (1 - row.lam) * row.partner
        np.testing.assert_allclose(row.mixed, blend, atol=0.51)
        assert row.own_label != row.partner_label and row.method == "mixup"


def test_rows_show_the_box_of_cutmix_and_its_counted_share(folder):
    rows = [row for seed in range(4) for row in rows_of(folder, CutMix(), seed=seed)]
    boxed = [row for row in rows if any(row.box)]
    assert len(boxed) > 6 and all(row.method == "cutmix" for row in boxed)
    for row in boxed:
        y0, x0, y1, x1 = row.box
        expected = row.own.copy()
        expected[y0:y1, x0:x1] = row.partner[y0:y1, x0:x1]
        assert (row.mixed == expected).all()
        assert row.lam == pytest.approx(1 - (y1 - y0) * (x1 - x0) / 24**2)


def test_alpha_zero_leaves_the_images_unmixed(folder):
    for row in rows_of(folder, MixUp(alpha=0)):
        assert row.method == "unmixed" and row.lam == 1 and (row.mixed == row.own).all()


def test_the_same_seed_draws_the_same_sheet(folder, tmp_path):
    def draw(name: str, seed: int) -> bytes:
        arguments = ["-o", str(tmp_path / name), "--size", "16", "--seed", str(seed)]
        assert cli.main(["preview", str(folder), *arguments]) == 0
        return (tmp_path / name).read_bytes()

    assert draw("a.png", 1) == draw("b.png", 1) != draw("c.png", 2)


def test_files_come_from_as_many_classes_as_there_are(folder):
    for index in range(5):
        Image.new("RGB", (8, 8)).save(folder / "red" / f"more{index}.jpg")
    names = [file.parent.name for file in preview.choose_files(folder, 3, seed=0)]
    assert sorted(names) == ["blue", "green", "red"]
    assert len(preview.choose_files(folder, 50, seed=0)) == 8
    assert len(preview.choose_files(folder, 7, seed=0)) == 7


def test_files_of_a_flat_folder_are_labelled_by_their_names(tmp_path):
    for name in ("one.jpg", "two.JPEG"):
        Image.new("L", (8, 8)).save(tmp_path / name, format="JPEG")
    (tmp_path / "notes.txt").write_text("no image")
    files = preview.choose_files(tmp_path, 6, seed=0)
    assert sorted(preview._labels(files, tmp_path)) == ["one", "two"]


def test_the_bar_and_the_box_are_drawn_to_scale():
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    row = sheet.Row(black, white, black, 0.25, "a", "b", box=(10, 0, 40, 40))
    pixels = np.asarray(sheet.contact_sheet([row], "title")).astype(int)
    own, partner = ((pixels == color).all(-1) for color in ((9, 105, 218), (209, 87, 10)))
    bars = np.flatnonzero(own.sum(1) > 160)
    assert len(bars) == 8  # below the pictures, of 160 pixels: one is all own, one a quarter
    assert (own[bars].sum(1) == 160 + 40).all() and (partner[bars].sum(1) == 160 + 120).all()


@pytest.mark.parametrize("label", ["a very long name of a class " * 9, "Größe 猫", "", "a\nb"])
def test_any_label_can_be_drawn(label):
    black = np.zeros((20, 30, 3), np.uint8)
    drawn = sheet.contact_sheet([sheet.Row(black, black, black, 1.0, label, label)] * 7, label)
    assert drawn.width > drawn.height / 2


def test_images_larger_than_the_sheet_shows_are_reduced():
    large = np.zeros((100, 2000, 3), np.uint8)
    assert sheet.contact_sheet([sheet.Row(large, large, large, 0.5, "a", "b")], "").width < 1100


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none"], "none does not exist; name a folder of images."),
        (["empty"], "empty must hold at least two images"),
        (["file.txt"], "file.txt is not a folder; name a folder of images."),
        (["images", "--alpha", "-1"], "alpha of MixUp must be finite and not negative"),
        (["images", "--alpha", "nan"], "alpha of MixUp must be finite and not negative"),
        (["images", "--count", "1"], "--count must be at least 2"),
        (["images", "--size", "0"], "--size must be at least 1 pixel, got 0."),
        (["images", "-o", "none/a.png"], "--output none/a.png cannot be written: none is not"),
        (["images", "-o", "a.txt"], "--output must end in .png, .jpg or the like, got 'a.txt'"),
        (["images", "-o", "dir.png"], "--output dir.png cannot be written: Is a directory."),
        (["broken"], "broken/red/b.jpg cannot be decoded as an image; mend it or take it out"),
    ],
)
def test_errors_are_one_sentence_and_status_2(
    folder, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "file.txt").touch()
    if arguments == ["broken"]:
        folder.rename("broken")
        Path("broken/red/b.jpg").write_text("no image")
    assert cli.main(["preview", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"dali-mix preview: {sentence}")
    assert message.count("\n") == 1


def test_a_missing_pillow_is_named_with_the_command_that_mends_it(folder, monkeypatch, capsys):
    ordinary = builtins.__import__

    def without_pillow(name, *arguments, **named):
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError(f"No module named {name!r}", name="PIL")
        return ordinary(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "dali_mix.sheet")
    monkeypatch.setattr(builtins, "__import__", without_pillow)
    assert cli.main(["preview", str(folder)]) == 2
    expected = "preview needs Pillow, which is not installed; run `pip install pillow`."
    assert capsys.readouterr().err == f"dali-mix preview: {expected}\n"


def test_wrong_options_end_the_process_with_one_sentence(tmp_path):
    command = [sys.executable, "-m", "dali_mix", "preview", ".", "--method", "fmix"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "invalid choice: 'fmix'" in done.stderr

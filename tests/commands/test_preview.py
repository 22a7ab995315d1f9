"""`dali-mix preview`: what the sheet shows, and what is said when it cannot be drawn."""

import builtins
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from dali_mix.commands import cli  # noqa: E402
from dali_mix.commands.preview import batch as _preview_batch  # noqa: E402
from dali_mix.commands.preview import command as preview  # noqa: E402
from dali_mix.commands.preview import sheet  # noqa: E402
from dali_mix.methods import (  # noqa: E402
    METHODS,
    RICAP,
    CutMix,
    MixUp,
    MultiMix,
    ResizeMix,
)
from dali_mix.methods.words import method_of  # noqa: E402

COLORS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


CUT = ["images", "--method", "cutmix", "--option"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One plain image in each class."""
    for name, color in COLORS.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (60, 40), color).save(tmp_path / "images" / name / "a.jpg", quality=95)
    return tmp_path / "images"


def rows_of(folder: Path, method, size=24, seed=0):
    files = preview.choose_files(folder, 3, seed)
    labels = [file.parent.name for file in files]
    return _preview_batch.rows_of(files, labels, method, size=size, seed=seed)


def test_the_sheet_is_written_and_named(folder, tmp_path, capsys):
    target = tmp_path / "sheet.png"
    arguments = ["-o", str(target), "--size", "32", "--method", "mixup"]
    assert cli.main(["preview", str(folder), *arguments]) == 0
    told = re.fullmatch(
        r"(.*): 3 images, whose lam is off the counted share by (\S+)\n", capsys.readouterr().out
    )
    assert told[1] == str(target) and float(told[2]) < 1e-6
    with Image.open(target) as image:
        assert image.width > 3 * 160 and image.height > 3 * 160


@pytest.mark.parametrize("ending", ["jpg", "webp", "tga", "gif", "sgi", "ico"])
def test_a_sheet_that_its_format_cannot_hold_is_told(folder, monkeypatch, capsys, ending):
    monkeypatch.setattr(sheet, "contact_sheet", lambda *_: Image.new("RGB", (3, 70_000)))
    target = folder / f"tall.{ending}"
    assert cli.main(["preview", str(folder), "-o", str(target), "--method", "mixup"]) == 2
    told = f"--output {target} cannot be written: the sheet has 3 x 70000 pixels; try a .png.\n"
    assert capsys.readouterr().err.endswith(told)


@pytest.mark.parametrize("ending", ["JPG", "webp", "tif", "pdf", "gif", "ico"])
def test_the_sheet_may_have_any_ending_that_pillow_writes(folder, tmp_path, ending):
    target = tmp_path / f"sheet.{ending}"
    assert cli.main(["preview", str(folder), "-o", str(target), "--size", "16"]) == 0
    assert target.stat().st_size > 0


def test_all_methods_are_shown_on_two_images_each(folder, tmp_path, monkeypatch, capsys):
    drawn = []
    ordinary = sheet.contact_sheet
    monkeypatch.setattr(sheet, "contact_sheet", lambda *a: drawn.extend(a[0]) or ordinary(*a))
    arguments = ["-o", str(tmp_path / "all.png"), "--size", "30"]  # that 16 does not divide
    assert cli.main(["preview", str(folder), *arguments]) == 0
    names = [kind.name for kind in METHODS]
    assert len(drawn) == 2 * len(names) == 20
    for k, row in enumerate(drawn):
        assert row.method in (names[k // 2], "unmixed") and row.labels[0] == drawn[k % 2].labels[0]


@pytest.mark.parametrize("kind", METHODS)
def test_what_is_counted_is_what_the_pixels_show(folder, kind):
    """Plain images of three colors: where one channel alone is bright, its mean is a share."""
    method = method_of(kind.name, [], 24)
    mixed = 0
    for row in rows_of(folder, method):
        pixels = np.stack(row.pictures).astype(float).mean((1, 2)).T
        by_image = dict(zip(row.labels, pixels.T, strict=True))
        shares, *_ = np.linalg.lstsq(
            np.stack(list(by_image.values()), 1), row.mixed.mean((0, 1)), rcond=None
        )
        counted = dict.fromkeys(by_image, 0.0)
        told = dict(counted)
        for label, one, other in zip(row.labels, row.counted, row.shares, strict=True):
            counted[label] += one
            told[label] += other
        np.testing.assert_allclose(list(counted.values()), shares, atol=0.01)
        np.testing.assert_allclose(list(told.values()), list(counted.values()), atol=1e-6)
        assert len(row.labels) == method.images and sum(row.shares) == pytest.approx(1)
        mixed += row.method == kind.name
    assert mixed >= 2


def test_a_wrong_lam_shows(folder, monkeypatch, capsys, tmp_path):
    ordinary = _preview_batch._row

    def wrong(*arguments):
        row = ordinary(*arguments)
        return dataclasses.replace(row, shares=[row.shares[0] - 0.25, row.shares[1] + 0.25])

    monkeypatch.setattr(_preview_batch, "_row", wrong)
    arguments = ["-o", str(tmp_path / "a.png"), "--size", "32", "--method", "cutmix"]
    assert cli.main(["preview", str(folder), *arguments]) == 0
    assert "off the counted share by 0.2" in capsys.readouterr().out


def test_rows_show_own_partner_and_their_blend(folder):
    for row in rows_of(folder, MixUp(alpha=2.0)):
        for picture, label in zip(row.pictures, row.labels, strict=True):
            np.testing.assert_allclose(picture.mean((0, 1)), COLORS[label], atol=5)
        own, partner = (picture.astype(float) for picture in row.pictures)
        blend = row.shares[0] * own + row.shares[1] * partner
        np.testing.assert_allclose(row.mixed, blend, atol=0.51)
        assert row.labels[0] != row.labels[1] and row.method == "mixup" and not row.boxes


@pytest.mark.parametrize("method", [MixUp(0.1), CutMix(), CutMix(0.3), ResizeMix()])
def test_every_row_shows_both_images_and_another_partner(folder, method):
    for name in ("white", "black", "gray"):
        (folder / name).mkdir()
        Image.new("RGB", (30, 30), name).save(folder / name / "a.jpg")
    files = preview.choose_files(folder, 6, 0)
    labels = [file.parent.name for file in files]
    for seed in range(3):
        rows = _preview_batch.rows_of(files, labels, method, size=24, seed=seed)
        assert all(0.1 < row.shares[0] < 0.95 for row in rows)
        assert len({row.labels[1] for row in rows}) >= 4  # of 6: a dull draw would be worse


def test_of_many_images_none_is_a_sliver(folder):
    shares = [row.shares for seed in range(4) for row in rows_of(folder, MultiMix(), seed=seed)]
    assert np.min(shares) > 0.02


def test_a_wide_picture_is_one_row_for_each_method_without_a_title(folder, tmp_path, monkeypatch):
    drawn = []
    ordinary = sheet.contact_sheet
    monkeypatch.setattr(sheet, "contact_sheet", lambda *a: drawn.append(a) or ordinary(*a))
    arguments = ["preview", str(folder), "--wide", "--size", "32", "-o", str(tmp_path / "a.png")]
    assert cli.main([*arguments, "--method", "cutmix"]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 1.5 * picture.height
    assert cli.main(arguments) == 0
    (one, no_title), (each, _) = drawn
    assert no_title == "" and [row.method for row in one] == ["cutmix"]
    assert [row.method for row in each] == [kind.name for kind in METHODS]


@pytest.mark.parametrize("method", [CutMix(), CutMix(boxes=2), RICAP(alpha=1.0)])
def test_boxes_show_where_the_partners_are_and_what_of_them(folder, method):
    boxed = 0
    for row in [row for seed in range(4) for row in rows_of(folder, method, seed=seed)]:
        expected = row.pictures[0].copy()
        for image, (y0, x0, y1, x1), (v0, u0, v1, u1) in row.boxes:
            expected[y0:y1, x0:x1] = row.pictures[image][v0:v1, u0:u1]
        np.testing.assert_array_equal(row.mixed, expected)
        boxed += row.method == method.name and bool(row.boxes)
    assert boxed > 6


def test_the_box_of_resizemix_shows_the_whole_partner(folder):
    for row in rows_of(folder, ResizeMix()):
        ((image, (y0, x0, y1, x1), source),) = row.boxes
        assert image == 1 and source == (0, 0, 24, 24)
        partner = COLORS[row.labels[1]]
        np.testing.assert_allclose(row.mixed[y0:y1, x0:x1].mean((0, 1)), partner, atol=5)
        assert row.shares[0] == pytest.approx(1 - (y1 - y0) * (x1 - x0) / 24**2)


def test_alpha_zero_leaves_the_images_unmixed(folder):
    for row in rows_of(folder, MixUp(alpha=0)):
        assert row.method == "unmixed" and row.shares == [1, 0]
        assert (row.mixed == row.pictures[0]).all()


def test_the_same_seed_draws_the_same_sheet(folder, tmp_path):
    def draw(name: str, seed: int) -> bytes:
        arguments = ["-o", str(tmp_path / name), "--size", "16", "--seed", str(seed)]
        arguments += ["--method", "cutmix"]
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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none"], "none does not exist; name a folder of images."),
        (["empty"], "empty must hold at least two images"),
        (["file.txt"], "file.txt is not a folder; name a folder of images."),
        (
            ["images", "--method", "mixup", "--alpha", "-1"],
            "alpha of MixUp must be finite and not negative",
        ),
        (
            ["images", "--method", "mixup", "--alpha", "nan"],
            "alpha of MixUp must be finite and not negative",
        ),
        (["images", "--method", "mixup", "--alpha", "x"], "alpha of MixUp must be a number, got"),
        (["images", "--alpha", "1"], "--alpha and --option are of one method: add --method."),
        ([*CUT, "boxes"], "--option must be name=value, got 'boxes'."),
        ([*CUT, "sigma=1"], "CutMix has no option 'sigma'; it takes alpha, fold, place, minmax"),
        ([*CUT, "boxes=9"], "boxes of CutMix must be a whole number from 1 to 8, got 9."),
        ([*CUT, "boxes=1,2"], "boxes of CutMix must be a number, got '1,2'."),
        ([*CUT, "boxes=many"], "boxes of CutMix must be a number, got 'many'."),
        ([*CUT, "place=left"], "place of CutMix must be one of 'center', 'inside'"),
        ([*CUT, "fold=1"], "fold of CutMix must be true or false, got '1'."),
        (
            ["images", "--method", "patchmix", "--option", "patch=15"],
            "patch must divide the output of 224 x 224, got 15 x 15 for sample 0.\n",
        ),
        ([*CUT, "aspect=a,b"], "aspect of CutMix must be numbers with commas between them, got"),
        (["images", "--count", "1"], "--count must be at least 2"),
        (["images", "--size", "0"], "--size must be at least 1 pixel, got 0."),
        (
            ["none", "--count", "1000000"],  # before the folder is looked at
            "--count and --size must make at most 100,000,000 pixels, got 1,000,000 images of "
            "224 x 224; take less.\n",
        ),
        (["none", "--size", "100000"], "--count and --size must make at most 100,000,000 pixels"),
        (["images", "-o", "none/a.png"], "--output none/a.png cannot be written: none is not"),
        *(
            (
                ["none", "-o", name],  # before the folder is looked at
                "--output must end in .png, .jpg or another ending that Pillow writes in color, "
                f"got '{name}'; take preview.png.\n",
            )
            # Of no format; of one that Pillow only reads, one without a writer, one in two colors.
            for name in ("a.txt", "a", "sheet.psd", "a.h5", "a.xbm")
        ),
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

    monkeypatch.delitem(sys.modules, "dali_mix.commands.preview.sheet")
    monkeypatch.setattr(builtins, "__import__", without_pillow)
    assert cli.main(["preview", str(folder)]) == 2
    expected = "preview needs Pillow, which is not installed; run `pip install pillow`."
    assert capsys.readouterr().err == f"dali-mix preview: {expected}\n"


def test_wrong_options_end_the_process_with_one_sentence(tmp_path):
    command = [sys.executable, "-m", "dali_mix", "preview", ".", "--method", "xmix"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "invalid choice: 'xmix'" in done.stderr

"""`dali-mix preview --boxes`: bounding boxes of an annotations file, drawn on the sheet."""

import json

import numpy as np
import pytest
from canvases import move_boxes
from helpers import said

pytest.importorskip("PIL")

from PIL import Image

from dali_mix import CutMix, MixUp, Mosaic
from dali_mix.commands import cli
from dali_mix.commands.preview import annotations, sheet
from dali_mix.commands.preview.batch import rows_of

SIZES = {"a": (60, 40), "b": (40, 60), "c": (48, 48), "d": (50, 70)}  # width, height
BOXES = {
    "a": [(15, 10, 20, 20), (0, 0, 5, 40)],  # the second one lies outside the middle
    "b": [(10, 20, 30, 10)],
    "c": [],
    "d": [(0, 0, 50, 70), (20, 30, 10, 10)],
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    for k, (name, size) in enumerate(SIZES.items()):
        Image.new("RGB", size, (60 * k, 200 - 50 * k, 90)).save(root / f"{name}.png")
    return root


@pytest.fixture
def told(tmp_path):
    images = [
        {"id": 7 * k, "file_name": f"{name}.png", "width": w, "height": h}
        for k, (name, (w, h)) in enumerate(SIZES.items())
    ]
    boxes = [
        {"image_id": 7 * k, "bbox": box, "category_id": 1}
        for k, rows in enumerate(BOXES.values())
        for box in rows
    ]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": []}))
    return path


def read(folder, told):
    return annotations.boxes_of(told, [folder / f"{name}.png" for name in SIZES])


def test_boxes_are_relative_to_the_square_in_the_middle(folder, told):
    a, b, c, d = read(folder, told)
    np.testing.assert_allclose(a, [(0.125, 0.25, 0.625, 0.75)])
    np.testing.assert_allclose(b, [(0.25, 0.25, 1, 0.5)])
    assert c.shape == (0, 4)
    np.testing.assert_allclose(d, [(0, 0, 1, 1), (0.4, 0.4, 0.6, 0.6)])


@pytest.mark.parametrize("method", [Mosaic(canvas=16), Mosaic(canvas=16, cropped=True)])
def test_rows_have_the_boxes_that_a_mosaic_leaves(folder, told, method):
    files, boxes = [folder / f"{name}.png" for name in SIZES], read(folder, told)
    for i, row in enumerate(rows_of(files, "abcd", method, size=32, seed=1, boxes=boxes)):
        everyone = ["abcd".index(label) for label in row.labels]
        assert everyone[0] == i
        for j, objects in zip(everyone, row.objects, strict=True):
            right = np.rint(boxes[j][:, [1, 0, 3, 2]] * 32)
            np.testing.assert_array_equal(np.reshape(objects, (-1, 4)), right)
        # The own image's box and what of it shows tell where the point lies.
        own = next(box for box in row.boxes if box.image == 0)
        point = [own.edges[k] - own.source[k] + 32 for k in (0, 1)]
        size = row.mixed.shape[:2]
        moved, owners, _ = move_boxes(
            [boxes[j] for j in everyone],
            [np.full(len(boxes[j]), k) for k, j in enumerate(everyone)],
            [(32, 32)] * 4,
            point,
            size,
        )
        expected = np.rint(moved[:, [1, 0, 3, 2]] * [*size, *size])
        assert [k for k, _ in row.kept] == owners.tolist()
        np.testing.assert_array_equal([edges for _, edges in row.kept], expected)


def test_mixup_keeps_the_boxes_of_both(folder, told):
    files, boxes = [folder / f"{name}.png" for name in SIZES], read(folder, told)
    for row in rows_of(files, "abcd", MixUp(1.0), size=32, seed=1, boxes=boxes):
        assert [edges for _, edges in row.kept] == [*row.objects[0], *row.objects[1]]


def test_the_sheet_shows_them(folder, told, tmp_path, capsys):
    """Without boxes no pixel has their colour."""
    arguments = ["preview", str(folder), "--size", "48", "--method", "mixup", "--count", "4"]
    yellow = []
    for name, more in (("plain", []), ("boxes", ["--boxes", str(told)])):
        target = tmp_path / f"{name}.png"
        assert cli.main([*arguments, *more, "-o", str(target)]) == 0
        pixels = np.array(Image.open(target))
        color = [int(sheet._OBJECT[k : k + 2], 16) for k in (1, 3, 5)]
        yellow.append((pixels == color).all(2).sum())
    assert yellow[0] == 0 and yellow[1] > 300


def test_every_method_takes_boxes(folder, told, tmp_path, capsys):
    target = tmp_path / "all.png"
    arguments = ["preview", str(folder), "--size", "30", "--boxes", str(told), "-o", str(target)]
    assert cli.main(arguments) == 0 and target.exists()


def test_files_of_one_name_are_told_apart(tmp_path):
    images = [
        {"id": k, "file_name": f"{k}/x.png", "width": 10, "height": 10} for k in ("one", "two")
    ]
    boxes = [{"image_id": "two", "bbox": [0, 0, 5, 5]}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes}))
    files = [tmp_path / "one" / "x.png", tmp_path / "two" / "x.png"]
    assert [len(rows) for rows in annotations.boxes_of(path, files)] == [0, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory."),
        ("{", "must be a JSON file in COCO's format, with images and annotations."),
        ("[]", "must be a JSON file in COCO's format, with images and annotations."),
        ('{"images": [], "annotations": [{"image_id": 3, "bbox": [1, 2, 3, 4]}]}',
         "must be a JSON file in COCO's format, with images and annotations."),
        ('{"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}], "annotations": []}',
         "must be a JSON file in COCO's format, with images and annotations."),
        ('{"images": [], "annotations": []}', "must have boxes of the images, got none for a.png "
         "and the others; names of files are compared with file_name."),
    ],
)  # fmt: skip
def test_wrong_annotations_get_a_sentence(folder, tmp_path, content, sentence):
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    said_ = said(ValueError, annotations.boxes_of, path, [folder / "a.png"])
    assert said_ == f"--boxes {path} {sentence}"


def test_a_box_that_is_covered_is_not_drawn(folder, told):
    files, boxes = [folder / f"{name}.png" for name in SIZES], read(folder, told)
    rows = rows_of(files, "abcd", CutMix(), size=32, seed=1, boxes=boxes)
    assert any(len(row.kept) < sum(map(len, row.objects)) for row in rows)

"""Lists of images: the order of DALI's reader, the file of good ones, and what is refused."""

import os

import bad_images
import numbered
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn

from dali_mix.images.class_folders import IMAGE_FILES, ImageList, listed
from dali_mix.images.image_list import read_list, write_list


def read_by_dali(root):
    """Names and labels, one epoch in DALI's own order."""
    pipeline = Pipeline(1, num_threads=1, device_id=None)
    with pipeline:
        pipeline.set_outputs(
            *fn.readers.file(name="R", file_root=str(root), file_filters=list(IMAGE_FILES))
        )
    count = pipeline.reader_meta("R")["epoch_size"]
    runs = [pipeline.run() for _ in range(count)]
    names = [name_of(files[0]) for files, _ in runs]
    return names, [int(np.array(labels[0])[0]) for _, labels in runs]


def name_of(file):
    try:
        return file.source_info()
    except UnicodeDecodeError as error:
        return os.fsdecode(error.object)


def test_it_lists_what_dali_would_read_in_the_same_order(tmp_path):
    names = ["b.jpg", "B.JPG", "é.png", "e.png", "a b.webp", "~.bmp", "n\n.jpg", "t.txt"]
    for folder in ("z", "Z", "é", "10", "9", os.fsdecode(b"\xff")):
        bad_images.write(tmp_path / folder, dict.fromkeys(names, b"x"))
    bad_images.write(tmp_path / "z" / "deeper", {"1.jpg": b"x"})
    bad_images.write(tmp_path, {"1.jpg": b"x"})
    (tmp_path / "z" / "folder.jpg").mkdir()
    (tmp_path / "z" / "link.jpg").symlink_to("b.jpg")
    (tmp_path / "linked").symlink_to("z")
    assert tuple(listed(tmp_path)) == read_by_dali(tmp_path)
    assert len(listed(tmp_path).names) == 7 * 7 + 2  # with two links


def test_a_list_is_read_back_exactly(tmp_path):
    names = ["a/b.jpg", "a/ b .jpg", " ", '"', '"a"', "a\nb", "a\r", "a\u00a0", "é", "\\n", "b 3"]
    images = ImageList([*names, os.fsdecode(b"\xff\n\xfe")], [*range(len(names)), 10**6])
    write_list(tmp_path / "list", images)
    assert read_list(tmp_path / "list") == images
    assert list(tmp_path.iterdir()) == [tmp_path / "list"]


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg x", "3", '"a 3', "a.jpg -1", "a.jpg ³"])
def test_other_lines_are_refused(tmp_path, line):
    (tmp_path / "list").write_text(f"b/1.jpg 0\n\n{line}\n")
    with pytest.raises(ValueError, match=r"line 3 of the list .*/list must be a name and a label"):
        read_list(tmp_path / "list")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = numbered.write(tmp_path_factory.mktemp("photos"), 7)
    (root / "003" / "notes.txt").touch()
    (root / "loose.png").touch()
    return root


@pytest.mark.parametrize("kind", ["list", "names"])
@pytest.mark.parametrize("training", [True, False])
def test_the_loader_keeps_to_the_list(photos, tmp_path, kind, training):
    files = [f"{k:03}/{k:03}.jpg" for k in (5, 2, 6, 0)]
    if kind == "list":
        write_list(tmp_path / "list", ImageList(files, [5, 2, 6, 0]))
        files = tmp_path / "list"
    loader = numbered.loader(photos, 2, training=training, files=files)
    batches = numbered.files(loader)
    if training:
        assert sorted(k for batch in batches for k in batch) == [0, 2, 5, 6]
    else:
        assert batches == [[5, 2], [6, 0]]


WRONG = {
    "missing": (["000/001.jpg"], "but 000/001.jpg does not exist; write the list anew, or leave"),
    "absolute": (["/etc/passwd"], "but /etc/passwd lies outside; names are relative to the folder"),
    "above": (["../a/1.png"], r"but \.\./a/1.png lies outside"),
    "loose": (["000/000.jpg", "loose.png"], "but loose.png lies in no class folder; names are cl"),
    "kind": (["003/notes.txt"], "but 003/notes.txt is no file with the name of an image"),
    "none": ([], "files must name at least one image, got none"),
}


@pytest.mark.parametrize(("files", "sentence"), WRONG.values(), ids=WRONG)
def test_names_that_are_not_there_are_refused(photos, files, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbered.loader(photos, 1, files=files)


def test_lists_that_do_not_fit_the_folder_are_refused(photos, tmp_path):
    write_list(tmp_path / "list", ImageList(["003/003.jpg"], [2]))
    with pytest.raises(ValueError, match=r"gives 003/003.jpg label 2, where 003 is class 3; write"):
        numbered.loader(photos, 1, files=tmp_path / "list")
    with pytest.raises(FileNotFoundError, match="nothing"):
        numbered.loader(photos, 1, files=tmp_path / "nothing")


ODD = [
    os.fsdecode(b"\xff.jpg"),
    "new\nline.jpg",
    " lead.jpg",
    '"quote.jpg',
    "#.jpg",
    "\\.jpg",
    "1 2.jpg",
]


@pytest.mark.parametrize("odd", ODD)
def test_a_list_may_hold_any_name_also_where_a_file_is_substituted(tmp_path, odd):
    root = bad_images.write(tmp_path / "in" / "a", {odd: bad_images.JPEG, "z.jpg": b"bad"}).parent
    for files in (None, [f"a/{odd}", "a/z.jpg"]):
        loader = numbered.loader(
            root, 1, training=False, on_bad_file="substitute", **({"files": files} if files else {})
        )
        assert len(list(loader)) == 2 and len(list(loader)) == 2
        assert [one.path for one in loader.substituted] == [f"{root}/a/z.jpg"]
        loader.load_state_dict(loader.state_dict())
        assert len(list(loader)) == 2


def test_names_that_dali_cannot_take_in_one_list_are_told(tmp_path):
    names = [os.fsdecode(b"\xff.jpg"), "new\nline.jpg"]
    root = bad_images.write(tmp_path / "in" / "a", dict.fromkeys(names, bad_images.JPEG)).parent
    with pytest.raises(
        ValueError, match=r"in one list: .* got 'a/\\xff.jpg' and 'a/new\\nline.jpg'"
    ):
        numbered.loader(root, 1)

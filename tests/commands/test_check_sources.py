"""`dali-mix check`: what it says of tars, archives, single images and several folders."""

import bz2
import errno
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile

import bad_images
import numpy as np
from test_check import check, tar_of

JPEG = bad_images.JPEG


def packed(pack):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("1.jpg")
        member.size = len(JPEG)
        tar.addfile(member, io.BytesIO(JPEG))
    return pack(file.getvalue())


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.jpg", JPEG)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


# A record of no bytes: its length, 0, and the masked CRC-32C of that; then those of the content.
TFRECORD = struct.pack("<Q", 0) + b"\x29\x03\x98\x07" + b"\xd8\xea\x82\xa2"
ARCHIVES = {
    "a.tar.gz": (packed(gzip.compress), "a file compressed with gzip; "),
    "a.tgz": (packed(gzip.compress), "which gunzip makes of a .tar.gz"),
    "a.tar": (packed(bz2.compress), "a file compressed with bzip2"),
    "a.tar.xz": (packed(lzma.compress), "a file compressed with xz"),
    "a.tar.zst": (b"\x28\xb5\x2f\xfd" + bytes(99), "a file compressed with Zstandard"),
    "a.zip": (zipped(), "a ZIP archive, which no reader of DALI takes"),
    "train-00000-of-01024": (TFRECORD, "a TFRecord file, which fn.readers.tfrecord reads"),
    "a.tfrecord": (TFRECORD + bytes(99), "a TFRecord file"),
    "a.rec": (
        struct.pack("<II", 0xCED7230A, 8) + bytes(8),
        "a RecordIO file of MXNet, which fn.re",
    ),
    "a.parquet": (b"PAR1" + bytes(99), "a Parquet table"),
    "a.arrow": (b"ARROW1\0\0" + bytes(99), "an Arrow table"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    "a.npy": (npy(), "a NumPy array, which fn.readers.numpy reads"),
    "data.mdb": (
        bytes(16) + b"\xde\xc0\xef\xbe" + bytes(99),
        "an LMDB database, which fn.readers.c",
    ),
    "a.beton": (struct.pack("<HHIQQ", 2, 2, 8388608, 10, 0), "a dataset of FFCV"),
    "a.mds": (struct.pack("<I", 10) + bytes(99), "a shard of MosaicML Streaming"),
}


def test_archives_of_other_kinds_are_called_by_their_names(tmp_path, capsys):
    for name, (content, _) in ARCHIVES.items():
        (tmp_path / name).write_bytes(content)
    status, lines = check(capsys, *(tmp_path / name for name in ARCHIVES))
    assert status == 1
    for name, (_, what) in ARCHIVES.items():
        start = f"archive: {tmp_path}/{name}: it is "
        (line,) = [line for line in lines if line.startswith(start)]
        assert what in line
        assert line.endswith("; unpack it into a folder or a plain tar to have its images checked")


def test_what_is_none_of_them_is_no_whole_tar(tmp_path, capsys):
    paths = [tmp_path / f"{k}.bin" for k in range(5)]
    for path, content in zip(paths, [b"", b"text", bytes(9), JPEG, TFRECORD[:11]], strict=True):
        path.write_bytes(content)
    status, lines = check(capsys, *paths)
    assert status == 1
    for path in paths:
        assert any(line.startswith(f"unreadable: {path}: it is no whole tar") for line in lines)


def test_a_folder_that_is_a_database_is_called_so(tmp_path, capsys):
    bad_images.write(tmp_path / "lmdb", {"data.mdb": b"x", "lock.mdb": b"x"})
    status, (line,) = check(capsys, tmp_path / "lmdb")
    assert status == 2 and "it is an LMDB database, which fn.readers.caffe or" in line


def in_turn(*names):
    """Members of a tar: images are images, all else is a letter."""
    images = {"jpg": JPEG, "png": bad_images.encoded("PNG")}
    return [(name, images.get(name[-3:], b"1")) for name in names]


def shard(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


WHOLE = in_turn("1.jpg", "1.cls", "2.cls", "2.png", "d/3.jpg", "d/3.cls", "._1.jpg", "__meta__")
SAMPLES = {
    "whole": (WHOLE, []),
    "no label": (
        [*WHOLE, *in_turn("4.jpg")],
        ["incomplete: {}:4.jpg: the sample 4 has no .cls, as others have; write the tar anew with"],
    ),
    "most have no label": (
        in_turn("1.jpg", "2.jpg", "3.jpg", "3.cls"),
        [f"incomplete: {{}}:{k}.jpg: the sample {k} has no .cls" for k in (1, 2)],
    ),
    "no image": (
        [*WHOLE, *in_turn("4.cls", "5.jpg", "5.cls")],
        ["incomplete: {}:4: the sample 4 has no image"],
    ),
    "no json": (
        in_turn("1.jpg", "1.json", "2.jpg", "2.json", "3.jpg"),
        ["incomplete: {}:3.jpg: the sample 3 has no .json"],
    ),
    "something that few have": (in_turn("1.jpg", "1.seg", "2.jpg", "3.jpg"), []),
    "two images that belong together": (in_turn("1.l.jpg", "1.r.jpg", "2.l.jpg", "2.r.jpg"), []),
    "an image and its mask": (in_turn("1.jpg", "1.png", "2.jpg", "2.png"), []),
    "a file twice": (
        in_turn("1.jpg", "1.cls", "1.cls", "2.jpg", "2.cls"),
        ["duplicate: {}:1.jpg: the sample 1 has 2 files .cls; write the tar anew with one of ea"],
    ),
    "two samples of one name": (
        in_turn("1.jpg", "1.cls", "2.jpg", "2.cls", "1.jpg", "1.cls"),
        ["duplicate: {}:1.jpg: the sample 1 comes a second time, after others"],
    ),
    "a sample in two pieces": (
        in_turn("1.jpg", "2.jpg", "2.cls", "1.cls", "3.jpg", "3.cls"),
        [
            "incomplete: {}:1.jpg: the sample 1 has no .cls",
            "incomplete: {}:1: the sample 1 has no image",
            "duplicate: {}:1: the sample 1 comes a second time, after others",
        ],
    ),
}


def test_samples_of_a_shard_are_whole_or_named(tmp_path, capsys):
    paths = {name: shard(tmp_path / f"{name}.tar", SAMPLES[name][0]) for name in SAMPLES}
    whole = [path for name, path in paths.items() if not SAMPLES[name][1]]
    assert len(whole) == 4 and check(capsys, *whole)[0] == 0
    status, lines = check(capsys, *paths.values())
    assert status == 1
    for name, path in paths.items():
        findings, expected = [line for line in lines if str(path) in line], SAMPLES[name][1]
        assert len(findings) == len(expected), findings
        for line, start in zip(findings, expected, strict=True):
            assert line.startswith(start.format(path))


def test_an_empty_shard_is_named_beside_others(tmp_path, capsys):
    good = shard(tmp_path / "good.tar", WHOLE)
    empty, labels = tar_of(tmp_path / "empty.tar", {}), shard(tmp_path / "l.tar", in_turn("1.cls"))
    status, lines = check(capsys, good, empty, labels)
    assert status == 1
    assert lines[:2] == [
        f"empty: {empty}: the tar holds no samples; fill or remove it",
        f"empty: {labels}: the tar holds no images; fill or remove it",
    ]
    status, (line,) = check(capsys, empty)
    assert (status, line[:42]) == (2, "dali-mix check: the tar files hold no imag")


def test_one_image_is_checked(tmp_path, capsys):
    bad_images.write(tmp_path, {"1.JPG": JPEG, ".hidden.jpg": JPEG, "2.jpg": JPEG[:-300]})
    good = ["1 images, 1 can be used, 0 cannot"]
    assert check(capsys, tmp_path / "1.JPG") == check(capsys, tmp_path / ".hidden.jpg") == (0, good)
    status, lines = check(capsys, tmp_path / "1.JPG", tmp_path / "2.jpg")
    assert status == 1 and lines[0].startswith(f"undecodable: {tmp_path}/2.jpg: its pixels")
    assert lines[1] == "2 images, 1 can be used, 1 cannot"


def folders(root, **classes):
    for name in classes:
        for label in classes[name]:
            bad_images.write(root / name / label, {"1.jpg": JPEG})
    return [root / name for name in classes]


def test_the_classes_of_several_folders_are_compared(tmp_path, capsys):
    same = folders(tmp_path / "same", train="abc", val="abc")
    assert check(capsys, *same) == (0, ["6 images, 6 can be used, 0 cannot"])
    fewer = folders(tmp_path / "fewer", train="abcd", val="ab")
    status, lines = check(capsys, *fewer)
    assert status == 0 and lines[0] == (
        f"fewer: {fewer[1]}: it has no folder for c and 1 more, which {fewer[0]} has; the labels "
        "of its own classes are the same"
    )
    for name, (train, val), what in (
        ("moved", ("abc", "ac"), "its class c has label 1, and {} has label 2"),
        ("new", ("ab", "abz"), "its class z has label 2, and {} has no such class"),
        ("other", ("ab", "AB"), "its class A has label 0, and {} has no such class"),
    ):
        two = folders(tmp_path / name, train=train, val=val)
        status, lines = check(capsys, *two)
        assert status == 1
        assert lines[0].startswith(f"classes: {two[1]}: {what.format(two[0])}; name the classes")
        assert f"{len(train + val)} images, {len(train + val)} can be used, 0 cannot" in lines


def test_hidden_and_unusual_files_of_a_folder_are_told(tmp_path, capsys):
    root = tmp_path / "in"
    bad_images.write(root / "a", {"1.jpg": JPEG, "._1.jpg": b"", "2.gif": b"", "3.jfif": JPEG})
    bad_images.write(root / ".ipynb_checkpoints", {"1.jpg": JPEG})
    status, lines = check(capsys, root)
    assert status == 0
    assert [line.replace(f"{root}/", "").partition(";")[0] for line in lines] == [
        "hidden: .ipynb_checkpoints: it is no class, because its name begins with a dot",
        "unread: a/._1.jpg: it is hidden, because its name begins with a dot",
        "unread: a/2.gif: its ending is none that readers of images take",
        "unread: a/3.jfif: its ending is none that readers of images take",
        "4 images, 1 can be used, 0 cannot, 3 were not looked at",
        "  hidden            1  can be used",
        "  unread            3  not looked at",
    ]


def test_a_folder_that_cannot_be_listed_is_one_finding(tmp_path, capsys, monkeypatch):
    good, closed = tmp_path / "good", tmp_path / "closed"
    for folder in (good, closed):
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "1.jpg").write_bytes(JPEG)
    scandir = os.scandir

    def refusing(path="."):
        if os.fspath(path) in (str(closed), str(good / "b")):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (good / "b").mkdir()
    status, lines = check(capsys, good, closed)
    assert status == 1
    why = "cannot be listed (Permission denied); mend its storage or permissions, or remove it"
    assert lines[:3] == [
        f"unreadable: {good}/b: the class folder {why}",
        f"unreadable: {closed}: the folder {why}",
        "1 images, 1 can be used, 0 cannot",
    ]

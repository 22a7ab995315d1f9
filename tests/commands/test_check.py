"""`dali-mix check`: what it finds in folders and tars, what it prints, and its good list."""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import bad_images
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn
from PIL import Image

from dali_mix import MixLoader
from dali_mix.commands import cli
from dali_mix.commands.check.image import is_cut_off
from dali_mix.images.image_list import read_list


def check(capsys, *arguments, jobs=1):
    """Exit status, and the lines that were printed."""
    status = cli.main(["check", *map(str, arguments), "--device=cpu", f"--jobs={jobs}"])
    captured = capsys.readouterr()
    return status, (captured.out or captured.err).splitlines()


def test_everything_that_is_wrong_is_found_and_the_rest_is_listed(tmp_path, capsys):
    root = tmp_path / "photos"
    bad_images.write(root / "bad", bad_images.BAD)
    bad_images.write(root / "good", bad_images.GOOD)
    bad_images.write(root / "odd", bad_images.UNUSUAL)
    target = tmp_path / "good list.txt"
    status, lines = check(capsys, root, "--fix-list", target, jobs=2)
    assert status == 1
    findings = [line for line in lines if str(root) in line]
    expected = [("bad", name, *rest) for name, (_, *rest) in sorted(bad_images.BAD.items())]
    expected += [("odd", name, *rest) for name, (_, *rest) in sorted(bad_images.UNUSUAL.items())]
    assert len(findings) == len(expected)
    for line, (folder, name, kind, what) in zip(findings, expected, strict=True):
        assert line.startswith(f"{kind}: {root}/{folder}/{name}: ") and what in line
        assert line.count("; ") >= 1  # what to do
    count, bad = len(expected) + len(bad_images.GOOD), len(bad_images.BAD)
    assert f"{count} images, {count - bad} can be used, {bad} cannot" in lines
    assert "  undecodable       7  cannot be used" in lines
    listed = read_list(target)
    assert listed.names == [f"good/{name}" for name in sorted(bad_images.GOOD)] + [
        f"odd/{name}" for name in sorted(bad_images.UNUSUAL)
    ]
    assert listed.labels == [1] * len(bad_images.GOOD) + [2] * len(bad_images.UNUSUAL)
    options = {"batch_size": 4, "device": "cpu", "num_threads": 1, "size": 16}
    loader = MixLoader.from_imagefolder(root, training=False, files=target, **options)
    assert [y.tolist() for _, y in loader] == [[1, 1, 1, 1], [2, 2, 2, 2], [2]]


def test_if_all_is_well_the_status_is_0(tmp_path, capsys):
    root = bad_images.write(tmp_path / "flat", bad_images.GOOD)  # without classes
    status, lines = check(capsys, root, "--fix-list", root / "list.txt")
    assert status == 0
    assert lines == ["4 images, 4 can be used, 0 cannot", f"{root / 'list.txt'}: 4 good files"]
    assert read_list(root / "list.txt").names == sorted(bad_images.GOOD)


def test_names_of_any_kind_are_printed_safely_and_listed_exactly(tmp_path, capsys):
    good = ["a b.jpg", "quote'\".jpg", '"x.jpg', "new\nline.jpg", "é.jpg", " a.jpg", "t\tb.jpg"]
    folder = bad_images.write(tmp_path / "in" / "class 1", dict.fromkeys(good, bad_images.JPEG))
    foreign = os.fsdecode(b"\xff.jpg")
    bad_images.write(folder, {foreign: bad_images.JPEG, "bad\n\x1b[1m.jpg": b""})
    target = tmp_path / "list"
    status, lines = check(capsys, tmp_path / "in", "--fix-list", target)
    assert status == 1
    assert f"undecodable: '{folder}/bad\\n\\x1b[1m.jpg': it is empty; repair, convert" in lines[0]
    assert lines[1].startswith(f"name: '{folder}/\\xff.jpg': its name is not UTF-8; rename it for")
    assert len(lines) == 6
    listed = read_list(target)
    assert listed.names == sorted((f"class 1/{name}" for name in [*good, foreign]), key=os.fsencode)
    (folder / "new\nline.jpg").unlink()  # DALI takes it in no list with that which is not UTF-8
    assert check(capsys, tmp_path / "in", "--fix-list", target)[0] == 1
    loader = MixLoader.from_imagefolder(
        tmp_path / "in", training=False, files=target, batch_size=7, device="cpu", num_threads=1
    )
    assert [len(x) for x, _ in loader] == [7]


def test_dalis_reader_takes_the_list_as_well(tmp_path, capsys):
    for name, class_name in ((" lead.jpg", "a b"), ("é.jpg", " c"), ('it"s.jpg', "d")):
        bad_images.write(tmp_path / "in" / class_name, {name: bad_images.JPEG})
    assert check(capsys, tmp_path / "in", "--fix-list", tmp_path / "list")[0] == 0
    pipeline = Pipeline(3, num_threads=1, device_id=None)
    with pipeline:
        pipeline.set_outputs(
            *fn.readers.file(file_root=str(tmp_path / "in"), file_list=str(tmp_path / "list"))
        )
    files, labels = pipeline.run()
    listed = read_list(tmp_path / "list")
    assert listed.names == [" c/é.jpg", "a b/ lead.jpg", 'd/it"s.jpg']
    assert [file.source_info() for file in files] == listed.names
    assert np.array(labels.as_tensor()).ravel().tolist() == listed.labels == [0, 1, 2]


def test_links_out_of_the_folder_and_images_that_nothing_reads(tmp_path, capsys):
    outside = bad_images.write(tmp_path / "outside", {"far.jpg": bad_images.JPEG})
    root = tmp_path / "in"
    bad_images.write(root / "a", {"one.jpg": bad_images.JPEG})
    bad_images.write(root / "a" / "deeper", {"two.jpg": b""})
    bad_images.write(root, {"three.jpg": b""})
    (root / "a" / "inside.jpg").symlink_to("one.jpg")
    (root / "a" / "gone.jpg").symlink_to("nothing")
    (root / "a" / "link.jpg").symlink_to(outside / "far.jpg")
    (root / "b").symlink_to(outside)
    status, lines = check(capsys, root)
    assert status == 1
    assert [line.partition(";")[0].replace(str(tmp_path), "") for line in lines[:5]] == [
        "unreadable: /in/a/gone.jpg: it cannot be read: No such file or directory",
        "link: /in/a/link.jpg: it is a link that leads out of the folder, to /outside/far.jpg",
        "link: /in/b/far.jpg: it is a link that leads out of the folder, to /outside/far.jpg",
        "unread: /in/three.jpg: it lies in no class folder, where nothing reads it",
        "unread: /in/a/deeper/two.jpg: it lies in no class folder, where nothing reads it",
    ]
    # Nothing is known of the two that were not opened.
    assert lines[5] == "7 images, 4 can be used, 1 cannot, 2 were not looked at"
    assert lines[6:] == [
        "  unreadable        1  cannot be used",
        "  link              2  can be used",
        "  unread            2  not looked at",
    ]


def tar_of(path, files, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_tar_shards(tmp_path, capsys):
    files = {"0001.jpg": bad_images.JPEG, "0001.cls": b"3", "0002.jpg": bad_images.JPEG[:-300]}
    files |= {"0002.cls": b"1", "0003.jpg": b"", "0003.cls": b"2", "4.png": bad_images.JPEG}
    shard = tar_of(tmp_path / "one.tar", files | {"4.cls": b"0"})
    cut = tmp_path / "cut.tar"
    cut.write_bytes(tar_of(tmp_path / "two.tar", {"1.jpg": bad_images.JPEG}).read_bytes()[:2000])
    packed = tar_of(tmp_path / "packed.tar.gz", files, "w:gz")
    status, lines = check(capsys, shard, cut, packed)
    assert status == 1
    starts = [
        "undecodable: one.tar:0002.jpg: its pixels cannot be decoded (",
        "undecodable: one.tar:0003.jpg: it is empty",
        "misnamed: one.tar:4.png: it is a JPEG",
        "undecodable: cut.tar:1.jpg: ",
        "unreadable: cut.tar: it is no whole tar file: unexpected end of data",
        "archive: packed.tar.gz: it is a file compressed with gzip; `dali-mix check` and DALI's ",
        "7 images, 2 can be used, 5 cannot",
    ]
    for line, start in zip(lines, starts, strict=False):
        assert line.replace(f"{tmp_path}/", "").startswith(start)
    status, lines = check(capsys, tar_of(tmp_path / "none.tar", {"0001.cls": b"3"}))
    assert (status, lines) == (
        2,
        ["dali-mix check: the tar files hold no images; their names must end in .jpg or the like."],
    )


def test_the_end_of_a_jpeg_is_looked_for_behind_the_thumbnail():
    whole = np.frombuffer(bad_images.JPEG, np.uint8)
    assert not is_cut_off(whole)
    assert not is_cut_off(np.append(whole, np.uint8(0)))
    assert is_cut_off(whole[:-2])
    end = np.frombuffer(b"\xff\xe1\x00\x08EX\xff\xd9\x00\x00", np.uint8)
    thumbnail = np.concatenate([whole[:2], end, whole[2:-2]])
    assert is_cut_off(thumbnail)


def with_fill_bytes(data, count):
    """A JPEG with so many bytes 0xFF before each marker up to the pixels (T.81, B.1.1.2)."""
    out, at = data[:2], 2
    while at < data.index(b"\xff\xda"):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        out += b"\xff" * count + data[at:end]
        at = end
    return out + b"\xff" * count + data[at:]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_jpeg_with_fill_bytes_before_its_markers_is_whole(count, tmp_path, capsys):
    data = with_fill_bytes(bad_images.JPEG, count)
    assert is_cut_off(np.frombuffer(data[:-2], np.uint8))
    status, lines = check(capsys, bad_images.write(tmp_path / "flat", {"1.jpg": data}))
    assert (status, lines) == (0, ["1 images, 1 can be used, 0 cannot"])


def test_a_file_that_is_fill_bytes_to_its_end_is_cut_off():
    assert is_cut_off(np.frombuffer(b"\xff\xd8" + b"\xff" * 99, np.uint8))


def test_what_decoders_print_as_they_start_again_is_of_no_image(tmp_path):
    """Without the one for PNG they start again after it, and the GPU's miss their libraries."""
    [package] = importlib.util.find_spec("nvidia.nvimgcodec").submodule_search_locations
    others = tmp_path / "extensions"
    others.mkdir()
    for path in (Path(package) / "extensions").iterdir():
        if "opencv" not in path.name:
            (others / path.name).symlink_to(path)
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    for name in ("1.jpg", "2.png", "3.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "dali_mix", "check", tmp_path, "--device=cpu", "--jobs=1"],
        env=os.environ | {"NVIMGCODEC_EXTENSIONS_PATH": str(others)},
        capture_output=True,
        text=True,
    )
    finding, *counts = done.stdout.splitlines()
    assert finding.startswith(f"undecodable: {tmp_path}/2.png: its pixels cannot be decoded")
    assert counts == [
        "3 images, 2 can be used, 1 cannot",
        "  undecodable       1  cannot be used",
    ]


REFUSED = {
    "nothing": (["nothing"], "nothing does not exist; name a folder of images, or tar files."),
    "no images": (["."], ". holds no images, neither in itself nor in one folder per class"),
    "jobs": (["a", "--jobs", "0"], "--jobs must be at least 1, got 0."),
    "pixels": (["a", "--max-pixels", "0"], "--max-pixels must be at least 1, got 0."),
    "two": (["a", "a", "--fix-list", "x"], "--fix-list is for one folder, whose files it lists"),
    "where": (["a", "--fix-list", "b/x"], "--fix-list b/x cannot be written: b is not a folder."),
    "number": (["a", "--jobs", "two"], "argument --jobs: invalid int value: 'two'"),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED.values(), ids=REFUSED)
def test_wrong_arguments_are_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "a":
        bad_images.write(tmp_path / "a", {"1.jpg": bad_images.JPEG})
    try:
        status = cli.main(["check", *arguments])
    except SystemExit as error:
        status = error.code
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and sentence in captured.err


def test_as_a_command_it_keeps_findings_apart_from_the_progress(tmp_path):
    bad_images.write(tmp_path / "a", {"é.jpg": b"", "1.jpg": bad_images.JPEG})
    ran = subprocess.run(
        [sys.executable, "-m", "dali_mix", "check", "a", "--device=cpu"],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert ran.returncode == 1
    assert ran.stdout.startswith(b"undecodable: a/\\xe9.jpg: it is empty; ")
    # No terminal, no bar. Decoders may tell of libraries that they do not find.
    assert b"image/s" not in ran.stderr and b"undecodable" not in ran.stderr


def test_ctrl_c_ends_it_with_its_processes_and_no_word(tmp_path):
    bad_images.write(tmp_path / "a", {"1.jpg": b""})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a" / "2.jpg").symlink_to("../pipe")  # whoever opens it waits for ever
    # A shell's background jobs, and so perhaps these tests, ignore Ctrl-C and hand that on.
    listens = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    command = [sys.executable, "-m", "dali_mix", "check", "a", "--device=cpu"]
    run = subprocess.Popen(command, cwd=tmp_path, **pipes, **listens)
    assert run.stdout.readline().startswith(b"undecodable: a/1.jpg: ")
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does
    rest = run.communicate(timeout=180)  # until the last process has let go of the pipes
    assert (run.returncode, rest[0]) == (130, b"")
    assert b"Traceback" not in rest[1] and b"dali-mix" not in rest[1]  # of decoders there may be


@pytest.mark.gpu
def test_on_the_gpu(tmp_path, capsys):
    # Named as JPEGs: not every machine with a GPU has decoders for the rest.
    bad, good = (
        {name: content for name, content in files.items() if name.endswith(".jpg")}
        for files in (bad_images.BAD, bad_images.GOOD)
    )
    del bad["too tall.jpg"]  # found by a warning of libjpeg, which nvJPEG need not give
    bad_images.write(tmp_path / "in", bad | good)
    assert cli.main(["check", str(tmp_path / "in"), "--device=gpu", "--jobs=2"]) == 1
    out = capsys.readouterr().out
    for name in bad:
        assert f"{tmp_path}/in/{name}: " in out
    for name in good:
        assert f"{tmp_path}/in/{name}: " not in out

"""What cannot be written at the end is told at the start, before anything is read."""

import errno
import os
import re

import bad_images
import pytest

from dali_mix.commands import cli
from dali_mix.commands import output_file as _output_file

COMMANDS = {
    "fix-list": ["check", "photos", "--device=cpu", "--fix-list"],
    "output": ["preview", "photos", "-o"],
    "out": ["bench", "photos", "--out"],
    "chart": ["bench", "photos", "--chart"],
}
ENDINGS = {"fix-list": ".txt", "output": ".png", "out": ".json", "chart": ".png"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    bad_images.write(tmp_path / "photos" / "a", {"1.jpg": b"bad", "2.jpg": b"bad"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    return tmp_path


def told(option, target, capsys):
    """The reason, of a command that has looked at nothing."""
    assert cli.main([*COMMANDS[option], str(target)]) == 2
    out, err = capsys.readouterr()
    name = COMMANDS[option][0]
    found = re.fullmatch(
        rf"dali-mix {name}: --{option} {re.escape(str(target))} cannot be written: (.*)\.\n", err
    )
    assert out == "" and found, err
    return found[1]


@pytest.mark.parametrize("option", COMMANDS)
def test_a_place_where_nothing_can_be_written_is_told_first(place, capsys, option):
    ending = ENDINGS[option]
    assert told(option, f"none/x{ending}", capsys) == "none is not a folder"
    assert told(option, f"file/x{ending}", capsys) == "file is not a folder"
    (place / f"folder{ending}").mkdir()
    assert told(option, f"folder{ending}", capsys) == "Is a directory"
    assert told(option, f"/proc/x{ending}", capsys)  # whatever the reason is there


def test_a_folder_without_rights_is_told_and_nothing_is_left_behind(place, monkeypatch):
    _output_file.check_writable("out", place / "x.json")
    assert sorted(os.listdir(place)) == ["file", "photos"]

    def refused(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(_output_file.tempfile, "TemporaryFile", refused)
    with pytest.raises(ValueError, match=r"--out .*x.json cannot be written: Read-only file syst"):
        _output_file.check_writable("out", place / "x.json")

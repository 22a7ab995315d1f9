"""The rooms of native/: what each may know, and what compiles without DALI's headers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "dali_mix/native"
# Each room, and those whose files it may include. What is not here knows DALI.
ROOMS = {
    "core": {"core"},
    "draw": {"core", "draw"},
    "loops": {"core", "loops"},
    "kernel": {"core", "kernel"},
}
SOURCES = {
    room: sorted(path for path in (NATIVE / room).iterdir() if path.suffix in (".cc", ".h"))
    for room in ROOMS
}


def included(path):
    return re.findall(r'^ *#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def test_the_rooms_are_these():
    folders = {path.name for path in NATIVE.iterdir() if any(path.rglob("*.*"))}
    assert folders == {*ROOMS, "dali"}
    assert all(SOURCES.values()) and not [path for path in NATIVE.iterdir() if path.is_file()]
    kinds = {path.suffix for path in NATIVE.rglob("*.*")}
    assert kinds <= {".cc", ".cu", ".cuh", ".h", ".inc"}


@pytest.mark.parametrize("room", list(ROOMS))
def test_a_room_includes_what_it_may_know(room):
    for path in (NATIVE / room).iterdir():
        for name in included(path):
            if "/" in name:
                assert name.partition("/")[0] in ROOMS[room], (path.name, name)
        assert "dali::" not in path.read_text(), path.name


@pytest.mark.parametrize("room", list(ROOMS))
def test_a_room_compiles_without_dali(room):
    """Every source, and every header by itself. The vector loops take a minute: the tests of the
    kernel compile them, without DALI too."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    common = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{NATIVE}"]
    for path in SOURCES[room]:
        if re.fullmatch(r"isa_(?!baseline).*", path.name):
            continue
        done = subprocess.run(
            [*common, "-x", "c++", path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(NATIVE.rglob("*.cc")), ids=lambda path: path.name)
def test_every_file_says_what_it_is(path):
    """On its first line; and what others use of a source stands in the header of its name."""
    assert re.match(r"// \S.*[a-z,.]\n", path.read_text())
    if path.parent.name in ("core", "draw"):
        assert path.with_suffix(".h").is_file()
        assert f"{path.parent.name}/{path.stem}.h" in included(path)


@pytest.mark.parametrize("path", sorted(NATIVE.rglob("*.h")), ids=lambda path: path.name)
def test_every_header_has_a_guard_of_its_path(path):
    text = path.read_text()
    guard = re.sub(r"\W", "_", f"DALI_MIX_NATIVE_{path.relative_to(NATIVE)}_").upper()
    assert re.match(r"// \S", text)
    assert f"\n#ifndef {guard}\n#define {guard}\n" in text and text.endswith(f"// {guard}\n")


def test_each_name_of_a_type_means_one_thing():
    """Across all files: two structures of one name break the rule of one definition."""
    seen = {}
    for path in NATIVE.rglob("*.*"):
        if path.parent.name == "loops" and path.suffix != ".h":
            continue  # each instruction set has a namespace of its own
        for name in re.findall(
            r"^(?:struct|class|enum class|enum)[^\S\n]+"
            r"(?:(?:__attribute__\(\(.*\)\)|alignas\(\d+\)) )?(\w+)[^;]*?\{",
            path.read_text(),
            re.MULTILINE,
        ):
            assert seen.setdefault(name, path) == path, (name, path, seen[name])
    assert len(seen) > 40

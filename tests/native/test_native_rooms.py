"""The rooms of native/: what each may know, and what compiles without DALI's headers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import setup

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


def test_sources_without_dali_are_compiled_without_its_headers():
    """By every build, which is the proof; and each begins with the header of its name."""
    commands = setup.core_commands("g++", Path("objects"))
    assert {Path(command[command.index("-c") + 1]).parent.name for command in commands} == {
        *ROOMS
    } - {"kernel"}
    for command in commands:
        assert [flag for flag in command if flag.startswith(("-I", "-isystem"))] == [
            f"-I{setup.NATIVE}"
        ]
    for path in (header.with_suffix(".cc") for room in ROOMS for header in SOURCES[room]):
        if path.with_suffix(".h").is_file() and path.is_file():
            assert included(path)[0] == f"{path.parent.name}/{path.stem}.h"


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "draw"])
def test_a_header_without_a_source_compiles_by_itself(room):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    alone = [h for h in SOURCES[room] if h.suffix == ".h" and not h.with_suffix(".cc").is_file()]
    assert alone
    command = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{NATIVE}"]
    for path in alone:
        done = subprocess.run(
            [*command, "-x", "c++", path], capture_output=True, text=True, check=False
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

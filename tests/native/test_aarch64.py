"""`make test-aarch64` in short, with the portable loops; and what it says where it cannot run."""

import subprocess

import aarch64
import pytest

FLAGS = "-std=c++20 -O1 -ffp-contract=off -DDALI_MIX_PORTABLE".split()


def test_the_loops_and_the_half_conversions_agree_in_the_emulator(tmp_path):
    try:
        compiler, emulator = aarch64.programs()
    except SystemExit as missing:
        pytest.skip(str(missing))
    baseline = [str(aarch64.setup.NATIVE / "loops/isa_baseline.cc")]
    driver = aarch64.build_driver(compiler, tmp_path, baseline, FLAGS)
    for arguments, said in [(["halves"], "halves agree"), (["guarded", "20", "1"], "20 batches")]:
        command = [*emulator, driver, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said + "\n", "")
    assert aarch64.notices(emulator, driver)


def test_a_missing_program_is_one_sentence(monkeypatch):
    monkeypatch.setattr(aarch64.setup, "MACHINE", "x86_64")
    monkeypatch.setattr(aarch64.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        aarch64.programs()
    assert str(stopped.value) == (
        "aarch64: aarch64-linux-gnu-g++ was not found; "
        "run `apt install g++-aarch64-linux-gnu qemu-user-static`."
    )


def test_a_machine_of_that_kind_needs_no_emulator(monkeypatch):
    monkeypatch.setattr(aarch64.setup, "MACHINE", "aarch64")
    assert aarch64.programs() == ("g++", [])

"""The fake GPU of `make fake-gpu` in short, with a program of its own: it does what a GPU does, in
an order that a GPU may choose, and what would be wrong on one is noticed."""

import platform
import shutil
import signal
import subprocess
import sys

import checkout
import fake_gpu
import pytest

import setup

FAULTS = {
    "beyond": "a copy of 9 bytes of kind 1 ",
    "kind": "a copy of 8 bytes of kind 3 ",
    "freed": "a kernel is given a source ",
    "twice": "cudaFree: wrong argument ",
    "stream": "cudaMemcpyAsync: wrong argument 0x9",
    "kernel": "a kernel is given a source ",
    "missing": "cudaDeviceReset is not known here",
    "pinned": "a copy of 8 bytes from ",
    "device": "a kernel is given a source ",
    "event": "cudaEventRecord: wrong argument ",
}
MESSAGE, UNWRITTEN = f"0 {ord('m'):02x}00\n", "0 cdcd\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs the program: its exit status, what it prints, the faults."""
    toolkit = setup.cuda.find_toolkit(fake_gpu.CUDA) or setup.cuda.find_headers(fake_gpu.CUDA)
    if platform.machine() != "x86_64" or not shutil.which("g++") or not toolkit:
        pytest.skip(f"needs x86-64, g++ and the headers of CUDA {fake_gpu.CUDA}")
    folder = tmp_path_factory.mktemp("fake")
    library = fake_gpu.build_fake(folder, toolkit, "-O0")
    log, probe = folder / "log", folder / "probe"
    # As the functions of the real runtime are aligned, which leaves room to overwrite them, and
    # called, as they could do anything.
    command = ["g++", "-std=c++20", "-falign-functions=16", "-fno-ipa-stack-alignment"]
    command += [fake_gpu.FAKE / "probe.cc", "-o", probe]
    command += [flag for headers in toolkit.includes for flag in ("-isystem", headers)]
    subprocess.run(command, check=True)

    def run_probe(task, seed=0):
        log.unlink(missing_ok=True)
        variables = {"LD_PRELOAD": str(library), "FAKE_GPU_LOG": str(log)}
        variables["FAKE_GPU_SEED"] = str(seed)
        done = subprocess.run([probe, task], env=variables, capture_output=True, text=True)
        return done.returncode, done.stdout, log.read_text() if log.exists() else ""

    return run_probe


def test_copies_and_kernels_do_what_they_should(run):
    assert run("copy") == (0, MESSAGE, "")


def test_fresh_memory_is_not_zero(run):
    assert run("fresh") == (0, UNWRITTEN, "")


@pytest.mark.parametrize("task", ["ordered", "given back"])
def test_what_is_ordered_comes_in_this_order(run, task):
    assert {run(task, seed) for seed in range(40)} == {(0, MESSAGE, "")}


@pytest.mark.parametrize("task", ["early", "unordered", "overtaken"])
def test_what_is_not_ordered_comes_in_any_order(run, task):
    assert {run(task, seed)[1] for seed in range(40)} == {MESSAGE, UNWRITTEN}


def test_the_host_cannot_read_device_memory(run):
    assert run("read")[0] == -signal.SIGSEGV


@pytest.mark.parametrize("task", FAULTS)
def test_each_fault_is_noticed(run, task):
    status, _, faults = run(task)
    assert status == 0 and faults.startswith(FAULTS[task]) and faults.count("\n") == 1


@pytest.mark.parametrize("test", [test for tests in fake_gpu.LEFT_OUT.values() for test in tests])
def test_what_is_left_out_exists(test):
    path, _, name = test.partition("::")
    text = (checkout.ROOT / path).read_text()
    assert not name or f"\ndef {name.partition('[')[0]}(" in text


def test_files_with_tests_of_dynamic_mode_exist():
    assert all([*checkout.ROOT.glob(f"tests/*/test_{name}.py")] for name in fake_gpu.DYNAMIC)


def test_without_nvcc_it_says_so_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(setup.cuda, "find_toolkit", lambda major: None)
    monkeypatch.setattr(sys, "argv", ["fake_gpu.py"])
    with pytest.raises(SystemExit) as end:
        fake_gpu.main()
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("fake_gpu: ") and error.count("\n") == 1


def test_a_run_in_which_nothing_passes_is_no_success(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/test_it.py").write_text(
        "import pytest\n@pytest.mark.skip\ndef test_it(): ...\n"
    )
    assert not fake_gpu.run_tests(tmp_path, checkout.environment_in(tmp_path), "test_it.py")
    (tmp_path / "copy/test_it.py").write_text("def test_it(): ...\n")
    assert fake_gpu.run_tests(tmp_path, checkout.environment_in(tmp_path), "test_it.py")

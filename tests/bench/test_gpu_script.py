"""bench/gpu.sh, with scripts in place of what a machine with a GPU has: what a stage leaves
behind, and what it does when something fails, hangs or is not there."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "gpu.sh"

PYTEST = """echo "$@" >> {log}
case "$*" in *--help*) echo "{help}" ;; esac"""
MAKES_PROGRAMS = """while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
[ -z "$out" ] || { echo '#!/bin/sh' > "$out"; chmod +x "$out"; }"""


@pytest.fixture
def machine(tmp_path):
    """A checkout without .git, and programs on PATH."""
    (tmp_path / "checkout/bench").mkdir(parents=True)
    (tmp_path / "checkout/build").mkdir()
    (tmp_path / "programs").mkdir()
    shutil.copy(SCRIPT, tmp_path / "checkout/bench")
    program(tmp_path, "nvidia-smi", "echo 9.0")
    program(tmp_path, "nvcc", MAKES_PROGRAMS)
    program(tmp_path, "python", "exit 0")
    kernel(tmp_path, "exit 0")
    return tmp_path


def program(machine, name, text):
    path = machine / "programs" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def kernel(machine, text):
    path = machine / "checkout/build/kernel"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def environment(machine):
    path = f"{machine / 'programs'}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHON": "python", "DALI_MIX_COMMIT": "abc123"}


def run(machine, *arguments):
    command = ["bash", machine / "checkout/bench/gpu.sh", *arguments]
    return subprocess.run(
        command, env=environment(machine), cwd=machine, capture_output=True, text=True, check=False
    )


def summary(machine, stage):
    return json.loads((machine / f"out/{stage}/summary.json").read_text())


def steps(machine, stage):
    return {step["step"]: step for step in summary(machine, stage)["steps"]}


def log(machine, stage, step):
    with tarfile.open(machine / f"out/{stage}/logs.tar.gz") as archive:
        return archive.extractfile(f"./{step}.log").read().decode()


def test_a_stage_leaves_a_summary_and_its_logs(machine):
    assert run(machine, "build", "out").returncode == 0  # relative to where it was called
    told = summary(machine, "build")
    assert (told["stage"], told["commit"], told["gpu"]) == ("build", "abc123", "9.0")
    assert [step["step"] for step in told["steps"]] == ["plugin", "kernel"]
    assert log(machine, "build", "kernel") == ""
    assert {path.name for path in (machine / "out/build").iterdir()} == {
        "summary.json",
        "logs.tar.gz",
    }


def test_what_is_there_is_not_written_over(machine):
    run(machine, "build", "out")
    before = summary(machine, "build")
    again = run(machine, "build", "out")
    told = f"bench/gpu.sh: {machine}/out/build exists already; name another OUT\n"
    assert (again.returncode, again.stderr) == (2, told)
    assert summary(machine, "build") == before


def test_a_failed_step_fails_the_visit_and_stops_nothing(machine):
    kernel(machine, "echo broken; exit 3")
    program(machine, "ncu", 'case "$*" in "--clock-control none"*) ;; *) exit 1 ;; esac')
    program(machine, "compute-sanitizer", 'case "$*" in *memcheck*) exit 9 ;; esac')
    assert run(machine, "first", "out").returncode == 1
    found = {name: step["status"] for name, step in steps(machine, "first").items()}
    passed = ("kernel_times", "profile_mixup_float16", "profile_mixup_float16__299", "loss")
    assert found == {"check": 3, "memcheck": 9, "racecheck": 0, **dict.fromkeys(passed, 0)}


def test_a_stage_that_is_killed_has_left_what_it_had(machine):
    program(machine, "nvcc", "[ $1 = --version ] || { echo here; exec sleep 60; }")
    command = ["bash", machine / "checkout/bench/gpu.sh", "build", machine / "out"]
    with subprocess.Popen(
        command, env=environment(machine), stdout=subprocess.DEVNULL, start_new_session=True
    ) as running:
        under_way = machine / "out/build/kernel.log"
        deadline = time.monotonic() + 60
        while not (under_way.exists() and under_way.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        session = subprocess.run(
            ["pgrep", "-s", str(running.pid)], capture_output=True, text=True, check=True
        )
        for process in session.stdout.split():
            os.kill(int(process), signal.SIGKILL)
    assert under_way.read_text() == "here\n"
    assert list(steps(machine, "build")) == ["plugin"]
    assert log(machine, "build", "plugin") == ""


def test_a_visit_ends_in_time(machine):
    script = machine / "checkout/bench/gpu.sh"
    script.write_text(script.read_text().replace("[first]=150", "[first]=12"))
    kernel(machine, "exec sleep 60")
    assert run(machine, "first", "out").returncode == 1
    found = steps(machine, "first")
    assert {step["status"] for step in found.values()} == {124} and len(found) == 7
    assert "no time is left" in log(machine, "first", "kernel_times")


@pytest.mark.parametrize("able", [True, False])
def test_tests_run_in_parallel_where_pytest_can(machine, able):
    words = {"log": machine / "calls", "help": "--no-loadscope-reorder" if able else "--quiet"}
    program(machine, "python", PYTEST.format(**words))
    assert run(machine, "third", "out").returncode == 0
    calls = [call for call in (machine / "calls").read_text().splitlines() if "-m gpu" in call]
    assert len(calls) == 1
    assert ("-n 8 --dist loadfile --no-loadscope-reorder" in calls[0]) == able


def test_pipelines_read_the_photographs_that_are_named(machine, monkeypatch):
    names = ["pipeline", "train_step"]
    program(machine, "python", 'for word; do printf "%s\\n" "[$word]"; done')
    run(machine, "third", "out")
    for name in names:
        assert "[--data]" not in log(machine, "third", name)
    shutil.rmtree(machine / "out")
    monkeypatch.setenv("DALI_MIX_DATA", "my photos")  # relative to where it was called
    run(machine, "third", "out")
    for name in names:
        assert f"[--data]\n[{machine}/my photos]\n" in log(machine, "third", name)


def test_a_step_behind_the_pipeline_takes_the_settings_that_the_pipeline_found(machine):
    keeps = 'while [ $# -gt 0 ]; do [ "$1" = --out ] && : > "$2"; shift; done'
    program(machine, "python", f'for word; do printf "%s\\n" "[$word]"; done; {keeps}')
    run(machine, "third", "out")
    assert "[--tune]" in log(machine, "third", "pipeline")
    assert f"[--like]\n[{machine}/out/third/pipeline.json]\n" in log(machine, "third", "train_step")


def test_trainings_come_last_where_there_is_something_to_train_on(machine, monkeypatch):
    run(machine, "third", "out")
    assert "cifar" not in steps(machine, "third")
    shutil.rmtree(machine / "out")
    monkeypatch.setenv("DALI_MIX_CIFAR", "cifar.npz")
    program(machine, "python", 'for word; do printf "%s\\n" "[$word]"; done')
    run(machine, "third", "out")
    assert list(steps(machine, "third"))[-1] == "cifar"
    assert f"[cifar]\n[--data]\n[{machine}/cifar.npz]\n" in log(machine, "third", "cifar")


def test_parts_of_dali_are_put_aside_and_unpacked_for_the_third_visit(machine, monkeypatch):
    carried, site = machine / "checkout/carried", machine / "site"
    packed = machine / "packed"
    packed.mkdir()
    (packed / "some").mkdir()
    (packed / "some/module.py").write_bytes(os.urandom(999))
    tar = subprocess.run(["tar", "-C", packed, "-cJf", "-", "."], capture_output=True, check=True)
    parts = [tar.stdout[:500], tar.stdout[500:900], tar.stdout[900:]]
    sums = [f"{hashlib.sha256(p).hexdigest()}  part.0{k}\n" for k, p in enumerate(parts)]
    monkeypatch.setenv("DALI_MIX_PARTS", str(carried))
    monkeypatch.setenv("DALI_MIX_SITE", str(site))
    program(machine, "python", 'echo "$PYTHONPATH $LD_LIBRARY_PATH"')
    for number, visit in enumerate(("first", "second", "third")):
        carried.mkdir(exist_ok=True)
        (carried / f"part.0{number}").write_bytes(parts[number])
        (carried / "SHA256SUMS").write_text("".join(sums))
        run(machine, visit, "out")
        assert not list(carried.iterdir())
    assert steps(machine, "third")["unpack"]["status"] == 0
    assert (site / "some/module.py").read_bytes() == (packed / "some/module.py").read_bytes()
    told = log(machine, "third", "doctor").split()
    assert f"{machine}/checkout:{site}" in told[0] and told[1].startswith(f"{site}/nvidia/cu13/lib")


def test_a_rehearsal_runs_every_visit_on_the_cpu(machine):
    words = "for word; do printf '%s ' \"$word\"; done"
    program(machine, "python", words)
    for tool in ("ncu", "compute-sanitizer"):
        program(machine, tool, "exit 9")  # needs a GPU
    assert run(machine, "rehearse", "out").returncode == 0
    assert set(steps(machine, "rehearse")) == {"first", "second", "third"}
    visits = "rehearse/visits"
    measured = {"first": ["loss"], "second": ["peers"]}
    measured["third"] = ["operators", "pipeline", "train_step"]
    for visit, names in measured.items():
        for name in names:
            said = log(machine, f"{visits}/{visit}", name)
            assert said.rindex("--device cpu") > said.rindex("--device gpu")
    assert "--collect-only" in log(machine, f"{visits}/third", "gpu_tests")


def test_a_rehearsal_misses_what_was_not_built(machine):
    (machine / "checkout/build/kernel").unlink()
    assert run(machine, "rehearse", "out").returncode == 1
    found = {name: step["status"] for name, step in steps(machine, "rehearse").items()}
    assert found == {"first": 1, "second": 0, "third": 0}


@pytest.mark.parametrize("arguments", [(), ("first",), ("paint", "out"), ("-", "out")])
def test_wrong_arguments_are_told_the_visits(machine, arguments):
    done = run(machine, *arguments)
    told = "usage: bench/gpu.sh build|rehearse|first|second|third OUT\n"
    assert (done.returncode, done.stderr) == (2, told)

"""bench/gpu.sh, with scripts in place of what a machine with a GPU has: what a stage leaves
behind, and what it does when something fails, hangs or is not there."""

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
    program(machine, "ncu", "exit 0")
    assert run(machine, "first", "out").returncode == 1
    found = {name: step["status"] for name, step in steps(machine, "first").items()}
    others = {"kernel_times": 0, "profile_224": 0, "profile_299": 0}
    assert found == {"check": 3, "time": 3} | others


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
    assert [found[name]["status"] for name in ("check", "time", "kernel_times")] == [124] * 3
    assert "no time is left" in log(machine, "first", "kernel_times")


@pytest.mark.parametrize("able", [True, False])
def test_tests_run_in_parallel_where_pytest_can(machine, able):
    words = {"log": machine / "calls", "help": "--no-loadscope-reorder" if able else "--quiet"}
    program(machine, "python", PYTEST.format(**words))
    assert run(machine, "third", "out").returncode == 0
    calls = [call for call in (machine / "calls").read_text().splitlines() if "-m gpu" in call]
    assert len(calls) == 1
    assert ("-n 4 --dist loadfile --no-loadscope-reorder" in calls[0]) == able


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


def test_a_finding_of_a_sanitizer_fails(machine):
    program(machine, "compute-sanitizer", 'case "$*" in *memcheck*) exit 9 ;; esac')
    assert run(machine, "second", "out").returncode == 1
    found = steps(machine, "second")
    assert (found["memcheck"]["status"], found["racecheck"]["status"]) == (9, 0)


def test_a_rehearsal_runs_every_visit_on_the_cpu(machine):
    words = "for word; do printf '%s ' \"$word\"; done"
    program(machine, "python", words)
    for tool in ("ncu", "compute-sanitizer"):
        program(machine, tool, "exit 9")  # needs a GPU
    assert run(machine, "rehearse", "out").returncode == 0
    assert set(steps(machine, "rehearse")) == {"first", "second", "third"}
    visits = "rehearse/visits"
    measured = {"second": ["loss"], "third": ["operators", "pipeline", "train_step"]}
    for visit, names in measured.items():
        for name in names:
            said = log(machine, f"{visits}/{visit}", name)
            assert said.rindex("--device cpu") > said.rindex("--device gpu")
    assert "--collect-only" in log(machine, f"{visits}/third", "gpu_tests")


def test_a_rehearsal_misses_what_was_not_built(machine):
    (machine / "checkout/build/kernel").unlink()
    assert run(machine, "rehearse", "out").returncode == 1
    found = {name: step["status"] for name, step in steps(machine, "rehearse").items()}
    assert found == {"first": 1, "second": 1, "third": 0}


@pytest.mark.parametrize("arguments", [(), ("first",), ("paint", "out"), ("-", "out")])
def test_wrong_arguments_are_told_the_visits(machine, arguments):
    done = run(machine, *arguments)
    told = "usage: bench/gpu.sh build|rehearse|first|second|third OUT\n"
    assert (done.returncode, done.stderr) == (2, told)

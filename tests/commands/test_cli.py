"""The front of the `dali-mix` command; each subcommand has its own tests."""

import subprocess
import sys
from pathlib import Path

import tomllib

COMMAND = [sys.executable, "-m", "dali_mix"]


def test_a_reader_that_goes_away_is_no_error():
    run = subprocess.Popen(
        [*COMMAND, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run.stdout.close()
    assert run.stderr.read() == ""
    run.stderr.close()
    assert run.wait() == 141


BROKEN = """
import sys
from dali_mix.commands import cli, doctor
def run(args):
    raise BrokenPipeError(32, "Broken pipe")
doctor.run = run
sys.exit(cli.main(["doctor"]))
"""


def test_a_broken_pipe_that_is_not_of_the_output_is_an_error():
    run = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "dali-mix doctor: [Errno 32] Broken pipe\n"


def test_a_wrong_command_is_one_sentence_and_status_2():
    run = subprocess.run([*COMMAND, "bake"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1 and "'bake'" in run.stderr


def test_an_option_that_a_command_has_not_points_to_the_help_of_that_command():
    run = subprocess.run([*COMMAND, "preview", ".", "--rows", "3"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "dali-mix preview: unrecognized arguments: --rows 3; `dali-mix preview --help` lists the "
        "arguments.\n"
    )


def test_the_oldest_pillow_that_is_taken_has_a_font_of_any_size():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (pillow,) = (
        line
        for line in project["project"]["optional-dependencies"]["cli"]
        if line.startswith("pillow")
    )
    # The release with `ImageFont.load_default(size)`, which dali_mix.commands.preview.sheet calls.
    assert [int(part) for part in pillow.removeprefix("pillow>=").split(".")] >= [10, 1]

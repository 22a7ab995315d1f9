"""The front of the `dali-mix` command; each subcommand has its own tests."""

import subprocess
import sys

COMMAND = [sys.executable, "-m", "dali_mix"]


def test_a_reader_that_goes_away_is_no_error():
    run = subprocess.Popen(
        [*COMMAND, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run.stdout.close()
    assert run.stderr.read() == ""
    run.stderr.close()
    assert run.wait() == 141


def test_a_wrong_command_is_one_sentence_and_status_2():
    run = subprocess.run([*COMMAND, "bake"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1 and "'bake'" in run.stderr

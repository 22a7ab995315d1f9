"""What `make test-matrix` reads off a run of pytest, and says."""

import subprocess
import sys

import matrix

TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert 0
@pytest.fixture
def broken(): raise ValueError
def test_broken(broken): pass
@pytest.mark.skip
def test_skipped(): pass
"""


def test_the_outcome_is_what_pytest_reports(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "--junit-xml=report.xml", "-p", "no:cacheprovider"]
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=False)
    passed, skipped, failed = matrix.read_report(tmp_path / "report.xml")
    assert (passed, skipped) == (1, 1)
    assert failed == ("test_it::test_bad", "test_it::test_broken")


def test_a_release_works_only_if_nothing_fails():
    assert str(matrix.Outcome("2.3.0", 7, 2, (), 90)) == (
        "DALI 2.3.0   works     7 passed    2 skipped    0 failed   1.5 min"
    )
    assert " fails " in str(matrix.Outcome("2.3.0", 7, 2, ("a::b",), 90))


def test_a_release_that_pip_does_not_have_fails_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    [outcome] = matrix.try_releases(tmp_path, ["0.0.1"], [])
    assert len(outcome.failed) == 1
    assert outcome.failed[0].startswith("installing DALI: ERROR: ") and "0.0.1" in outcome.failed[0]

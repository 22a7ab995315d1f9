"""dali_mix/_harness.py: which commit and command a run is of, and files that are never half."""

import json
import subprocess

import pytest

from dali_mix import _harness as harness


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder in the place of the checkout; asked anew."""
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.delenv("DALI_MIX_COMMIT", raising=False)
    harness._checkout.cache_clear()
    yield tmp_path
    harness._checkout.cache_clear()


def git(folder, *arguments):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", folder, *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def told():
    where = harness.provenance()
    return where["commit"], where["dirty"]


def test_without_git_nothing_is_claimed(checkout):
    assert told() == (None, None)


def test_without_git_the_commit_can_be_told(checkout, monkeypatch):
    monkeypatch.setenv("DALI_MIX_COMMIT", "abc123")
    assert told() == ("abc123", None)


@pytest.mark.parametrize("changed", [False, True])
def test_git_knows_better_and_what_a_run_writes_is_no_change(checkout, monkeypatch, changed):
    monkeypatch.setenv("DALI_MIX_COMMIT", "abc123")
    git(checkout, "init", "--quiet")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "one")
    if changed:
        (checkout / "new.py").touch()
    expected = git(checkout, "rev-parse", "HEAD"), changed
    assert told() == expected
    harness.write(checkout / "run.json", {"cases": []})
    assert told() == expected


def test_the_command_has_no_way_to_files_elsewhere(checkout, monkeypatch):
    words = [f"{checkout}/bench/x.py", "--data", "/my/photos", f"--out={checkout}/new/a.json"]
    monkeypatch.setattr("sys.argv", [*words, "--log=/tmp/b.log", "c/d", "--dtype", "float16"])
    assert harness.command() == (
        "python bench/x.py --data photos --out=new/a.json --log=b.log c/d --dtype float16"
    )


def test_a_file_is_written_again_only_by_who_wrote_it(tmp_path):
    path = tmp_path / "new" / "run.json"
    harness.write(path, {"cases": [0.123456789]})
    with pytest.raises(FileExistsError):
        harness.write(path, {"cases": []})
    harness.write(path, {"cases": [1, 2]}, again=True)
    assert json.loads(path.read_text()) == {"cases": [1, 2]}
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(TypeError):
        harness.write(path, {"cases": object()})
    assert not path.exists()

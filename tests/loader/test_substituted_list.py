"""MixLoader.substituted: what it lists after close(), and after a failure."""

import numbered
import pytest

BAD, GOOD = "0/004.jpg", "0/006.jpg"


@pytest.fixture
def root(tmp_path):
    """Ten files, of which one is bad."""
    folder = numbered.write_noise(tmp_path, 10)
    (folder / BAD).write_bytes(b"no image")
    return folder


def substituting(root):
    return numbered.loader(root, training=False, on_bad_file="substitute")


def test_the_list_outlives_the_loader(root):
    with substituting(root) as loader:
        list(loader)
        found = loader.substituted
    assert [(one.path, one.substitute) for one in found] == [(str(root / BAD), str(root / GOOD))]
    assert loader.substituted == found
    loader.close()  # again
    assert loader.substituted == found


def test_the_list_is_the_callers(root):
    with substituting(root) as loader:
        list(loader)
    loader.substituted.clear()
    assert len(loader.substituted) == 1


def test_a_loader_that_substituted_nothing_lists_nothing(tmp_path):
    with substituting(numbered.write_noise(tmp_path, 10)) as loader:
        list(loader)
    assert loader.substituted == []


def test_if_all_are_bad_the_error_leaves_the_loader_and_nothing_is_listed(root):
    for path in root.glob("*/*.jpg"):
        path.write_bytes(b"no image")
    with (
        pytest.raises(RuntimeError, match="none of the 10 files can be decoded"),
        substituting(root) as loader,
    ):
        list(loader)
    assert loader.substituted == []


def test_if_the_rest_goes_bad_what_was_substituted_is_listed(root):
    loader = substituting(root)
    list(loader)
    found = loader.substituted
    for path in root.glob("*/*.jpg"):
        path.unlink()  # not written to: DALI may have it mapped into memory
    with pytest.raises(RuntimeError, match="none of the 10 files can be decoded"):
        [list(loader) for _ in range(3)]  # some of it DALI has read in advance
    assert loader.substituted == found and len(found) == 1

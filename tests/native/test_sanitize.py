"""`make sanitize` in short, with the portable loops: clean, and planted faults are noticed."""

import pytest
import sanitize


@pytest.fixture(scope="module", params=sanitize.SANITIZERS.items(), ids=lambda item: item[0])
def driver(request, tmp_path_factory):
    sanitizers, library = request.param
    if sanitize.runtime(library) is None:
        pytest.skip(f"needs g++ with {library}")
    folder = tmp_path_factory.mktemp("driver")
    return sanitizers, sanitize.build_driver(folder, sanitizers, portable=True)


def test_the_loops_are_clean_and_each_fault_is_noticed(driver):
    sanitizers, program = driver
    done = sanitize.run_driver(program, 25, 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "25 batches\n", "")
    noticed = {
        "thread": {"race": "ThreadSanitizer: data race"},
        "address,undefined": {
            "read": "AddressSanitizer: heap-buffer-overflow",
            "align": "misaligned address",
        },
    }
    for fault, words in noticed[sanitizers].items():
        done = sanitize.run_driver(program, 25, 1, fault)
        assert done.returncode != 0 and words in done.stderr


def test_a_wrong_call_is_one_sentence(driver):
    assert sanitize.run_driver(driver[1], 1, 1, "none").stderr == (
        "the fault to plant must be read, race or align, got none\n"
    )

"""For every test: the `gpu` mark, and random states put back as they were. Imports no torch."""

import os
import random
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from dali_mix.commands import doctor

# Small tensors: more threads only spin against each other. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    driver = doctor.driver()
    if driver is None or not driver.gpus:
        # A machine that is there to test the GPU must not pass by skipping.
        if os.environ.get("FAIL_WITHOUT_GPU"):
            pytest.fail("FAIL_WITHOUT_GPU is set and there is no GPU", pytrace=False)
        pytest.skip("needs a GPU")


@pytest.fixture(autouse=True)
def _restore_random_states() -> Iterator[None]:
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state(), torch and torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    if torch:
        torch.set_rng_state(states[2])

"""`apply` on anything: the right pixels or one clear sentence, never a wrong pixel, never a crash.

100 batches of each kind here; DALI_MIX_FUZZ=100000 in the environment makes it that many."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import random_batches
from helpers import CPU_PATHS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_batches import Drawn, random_batch

COUNT = int(os.environ.get("DALI_MIX_FUZZ", "100"))
fuzz = settings(
    max_examples=COUNT,
    derandomize=COUNT < 1000,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SENTENCES = re.compile(
    r"((partner|blend|box|frames|offset|mask|size|fitted|mixed samples|crop|copied) (must|needs) "
    r"|offset and fit need |fit needs |the plan was drawn for ).*\.",
    re.DOTALL,
)
INTEGERS = [np.uint8, np.int16, np.int32, np.uint64]


@fuzz
@given(st.data())
def test_valid_batches(data):
    random_batch(Drawn(data.draw)).assert_defined()


@fuzz
@given(st.data())
def test_valid_maps(data):
    random_batch(
        Drawn(data.draw),
        in_type=data.draw(st.sampled_from(INTEGERS)),
        copied=data.draw(st.integers(0, 1)),
    ).assert_defined()


HOSTILE = {
    "partner": st.integers(-2, 25) | st.integers(-(2**31), 2**31 - 1),
    "blend": st.sampled_from([np.nan, np.inf, -0.1, 1.5, 0.0, 1.0, 0.5, 1e-45, 0.9999]),
    "box": st.integers(-2, 101) | st.integers(-(2**31), 2**31 - 1),
    "offset": st.integers(-101, 101) | st.integers(-(2**31), 2**31 - 1),
    "fit": st.integers(-1, 1),
    "frames": st.integers(-1, 4),
}


def spoil(data, batch):
    """Writes one value somewhere into the plan, or gives a mask or a fitted image another size."""
    plan = batch.plan._asdict()
    names = [name for name in (*HOSTILE, "mask") if plan[name] is not None]
    name = data.draw(st.sampled_from(names))
    i = data.draw(st.integers(0, len(batch.images) - 1))
    column = [np.array(value) for value in plan[name]]
    if name == "mask":
        shape = data.draw(st.tuples(st.integers(0, 11), st.integers(0, 101)))
        column[i] = np.full(shape, data.draw(st.integers(0, 255)), np.uint8)
    else:
        value = data.draw(HOSTILE[name])
        column[i].flat[data.draw(st.integers(0, column[i].size - 1))] = value
    return batch.but(plan=batch.plan._replace(**{name: column}))


@fuzz
@given(st.data())
def test_hostile_plans(data):
    batch = random_batch(Drawn(data.draw))
    for _ in range(data.draw(st.integers(1, 3))):
        batch = spoil(data, batch)
    try:
        batch.run()
    except ValueError as error:
        said = str(error).split("encountered:\n")[-1].split("Current pipeline object")[0].strip()
        assert SENTENCES.fullmatch(said), said
    else:
        batch.assert_defined()


def guarded(path, *arguments):
    return subprocess.run(
        [
            sys.executable,
            Path(random_batches.__file__).with_name("guarded.py"),
            *map(str, arguments),
        ],
        env=dict(os.environ, DALI_MIX_CPU=path, PYTHONPATH=":".join(sys.path)),
        capture_output=True,
        text=True,
        timeout=500 + COUNT,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("path", CPU_PATHS)
def test_nothing_is_read_beyond_an_image(path):
    # The baseline knows no blocks.
    done = guarded(path, 0, min(COUNT, 5000) // (4 if path == "baseline" else 1))
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr[-2000:]


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("path", CPU_PATHS[1:])  # the baseline knows no blocks
def test_every_width_is_written_whole_and_nothing_beyond_it_is_read(path):
    done = guarded(path, "widths")
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr[-2000:]


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_the_guard_catches_a_read_of_one_byte_too_many():
    assert guarded("baseline", 0, 0).returncode < 0

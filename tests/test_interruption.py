"""pipelines/resume.py, killed at random moments or with damaged files: it goes on bit for bit.

KILLS=30 pytest tests/test_interruption.py    # as many as before a release; else 3
"""

import itertools
import os
import re
import signal
import subprocess
import time

import numbered
import numpy as np
import pytest
import torch
from programs import ONE_THREAD, changed, command, run_file

KILLS = int(os.environ.get("KILLS", "3"))
EVERY = 3
LOADER = {"batch_size": 4, "size": 16, "seed": 0, "num_threads": 1}
PER_EPOCH = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return numbered.write_noise(tmp_path_factory.mktemp("photos"), PER_EPOCH * 4 + 2)


LOGGED = """
def digest(parts):
    return sha256(b"".join(part.detach().numpy().tobytes() for part in parts)).hexdigest()[:8]

def step(parts, x, target, plain=step):
    loss, loader = plain(parts, x, target), parts["loader"]
    weights[:] = parts["model"].parameters()
    with open({log!r}, "a") as log:
        print(loader.epoch, loader.batch, digest((x, *target)), f"{{loss:.9g}}", file=log)
    return loss

weights = []
main()
print("done, weights", digest(weights))
"""
"""At the end of the program: a line for each step, with a digest of its batch, and the weights."""


class Run:
    """One training run, in as many processes as it takes."""

    def __init__(self, photos, folder, epochs):
        self.folder, self.state, self.log = folder, folder / "run.pt", folder / "run.log"
        self.constants = {"FOLDER": photos, "STATE": self.state, "EVERY": EVERY}
        self.constants |= {"EPOCHS": epochs, "LOADER": LOADER}

    def program(self, **more):
        path = changed(self.folder, "resume", **(self.constants | more))
        source, main, _ = path.read_text().partition('if __name__ == "__main__":')
        assert main
        path.write_text(source + LOGGED.format(log=str(self.log)))
        return path

    def steps(self):
        """A line for each step, the repeated ones as well."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def go(self, **more):
        """What it says at the start, at the end, and to stderr."""
        out, err = run_file(self.program(**more))
        return out.splitlines()[0], out.splitlines()[-1], err

    def kill(self, rng):
        """Start it and kill it at a random moment; what it has printed."""
        already, wanted = len(self.steps()), int(rng.integers(0, 3 * EVERY))
        process = subprocess.Popen(
            command(self.program()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ONE_THREAD | {"PYTHONUNBUFFERED": "1"},
        )
        if wanted == 0:  # as it starts
            time.sleep(rng.uniform(0, 3))
        while len(self.steps()) < already + wanted and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed: {err}"
        return out, err


def position(said):
    """Steps that were taken before, by the line that a run starts with."""
    found = re.match(r"begins in epoch (\d+) after (\d+) of (\d+) batches", said)
    if found is None:
        return 0
    epoch, batch, per_epoch = map(int, found.groups())
    assert per_epoch == PER_EPOCH
    return epoch * PER_EPOCH + batch


def test_killed_at_random_moments_it_goes_on_from_the_last_save(photos, tmp_path):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    epochs = 8 * (KILLS + 1)
    whole, run = (Run(photos, tmp_path / name, epochs) for name in ("whole", "killed"))
    _, weights, _ = whole.go()
    expected = whole.steps()
    assert len(expected) == len(set(expected)) == epochs * PER_EPOCH

    possible, already = {0}, 0
    for life in range(KILLS):
        out, _ = run.kill(rng)
        taken = run.steps()[already:]
        if out or taken:  # else it was killed before it had looked
            start = position(out)
            assert start in possible, f"seed {seed}, life {life}"
            assert taken == expected[start : start + len(taken)], f"seed {seed}, life {life}"
            saves = len(taken) // EVERY
            possible = {start + EVERY * saves}
            if len(taken) % EVERY == 0:  # perhaps killed before it had saved
                possible.add(start + EVERY * max(saves - 1, 0))
        already += len(taken)
    first, last, _ = run.go()
    start = position(first)
    assert start in possible, f"seed {seed}"
    assert run.steps()[already:] == expected[start:], f"seed {seed}"
    assert last == weights and weights.startswith("done, weights ")


def cut(content, rng):
    return content[: int(rng.integers(0, len(content)))]


def flip(content, rng):
    damaged = bytearray(content)
    damaged[int(rng.integers(0, len(content)))] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def lose_a_block(content, rng):
    """As disks do that lost power: the length is right, a part is zero."""
    block = 512 * int(rng.integers(0, len(content) // 512))
    return content[:block] + bytes(512) + content[block + 512 :]


@pytest.fixture(scope="module")
def saved(photos, tmp_path_factory):
    """The last save of a run of two epochs, the one before it, and the weights after three."""
    run = Run(photos, tmp_path_factory.mktemp("saved"), 2)
    run.go(EVERY=5)
    last, before = run.state.read_bytes(), run.state.with_name("run.pt.before").read_bytes()
    _, weights, _ = run.go(EPOCHS=3)
    run.state.write_bytes(last)
    first, again, _ = run.go(EPOCHS=3)
    assert position(first) == 2 * PER_EPOCH and again == weights
    return last, before, weights


@pytest.mark.parametrize("damage", [cut, flip, lose_a_block])
@pytest.mark.parametrize("name", ["run.pt", "run.pt.partial"])
def test_a_damaged_save_is_found_out_and_the_one_before_is_used(
    photos, tmp_path, saved, damage, name
):
    last, before, weights = saved
    rng = np.random.default_rng(5)
    run = Run(photos, tmp_path, 3)
    for _ in range(3):
        for place, content in (("run.pt", last), ("run.pt.before", before)):
            (tmp_path / place).write_bytes(content)
        (tmp_path / name).write_bytes(damage(last, rng))
        first, end, err = run.go()
        assert err == f"{tmp_path / name} is half-written or damaged, and left out\n"
        assert position(first) == (12 if name == "run.pt.partial" else 11)
        assert end == weights


def test_killed_between_two_renames_the_unfinished_name_counts(photos, tmp_path, saved):
    last, before, weights = saved
    (tmp_path / "run.pt.partial").write_bytes(last)
    (tmp_path / "run.pt.before").write_bytes(before)
    first, end, err = Run(photos, tmp_path, 3).go()
    assert position(first) == 2 * PER_EPOCH and end == weights and not err


def test_damaged_saves_are_never_replaced_by_a_new_start(photos, tmp_path, saved):
    run = Run(photos, tmp_path, 3)
    for place in ("run.pt", "run.pt.before"):
        (tmp_path / place).write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"no save of .*run\.pt is whole; remove all to start anew"
    ):
        run.go()
    assert run.steps() == []


def test_a_first_save_that_was_not_finished_is_no_obstacle(photos, tmp_path):
    run = Run(photos, tmp_path, 1)
    (tmp_path / "run.pt.partial").write_bytes(b"half")
    first, _, err = run.go()
    assert position(first) == 0 and len(run.steps()) == PER_EPOCH
    assert err.endswith("run.pt.partial is half-written or damaged, and left out\n")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"batch_size": 5}, "saved with batch_size 4, but this loader has 5"),
        ({"seed": 1}, "saved with seed "),
        ({"size": 17}, "saved with fn.resize(size=[16.0, 16.0]), but this loader has fn.resize("),
    ],
)
def test_another_run_does_not_go_on_from_it(photos, tmp_path, saved, more, sentence):
    run = Run(photos, tmp_path, 3)
    run.state.write_bytes(saved[0])
    with pytest.raises(ValueError, match="the state was " + re.escape(sentence)):
        run.go(LOADER=LOADER | more)
    assert run.steps() == [] and run.state.read_bytes() == saved[0]


def test_it_goes_on_after_the_last_epoch_that_was_asked_for(photos, tmp_path):
    run = Run(photos, tmp_path, 1)
    run.go()
    state = torch.load(run.state, weights_only=True)["loader"]
    assert (state["epoch"], state["batch"]) == (1, 0)
    first, _, _ = run.go(EPOCHS=2)
    assert first == "begins in epoch 1 after 0 of 6 batches"
    places = [tuple(map(int, line.split()[:2])) for line in run.steps()]
    # Where the loader stands after each step.
    assert places == [*itertools.product(range(2), range(6)), (2, 0)][1:]

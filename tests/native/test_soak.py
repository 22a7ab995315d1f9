"""The long run in short, and that it notices what it is there for."""

import sys

import numbered
import numpy as np
import pytest
import soak
from soak import ALLOWED, Figures, grown


def figures(memory, files=6, threads=9):
    return [Figures(value, files, threads) for value in memory]


def flat(count=40):
    return figures(300 + np.random.default_rng(0).normal(0, 3, count))


def test_a_short_run_is_the_same_when_resumed_and_leaves_nothing_behind(monkeypatch, capsys):
    command = ["soak.py", "--iterations", "240", "--every", "40", "--loaders", "12"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(soak, "ALLOWED", 64)  # so early memory still settles
    assert soak.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 7 and said[-1] == "flat"
    assert all(word in said[1] for word in ("MiB", "files", "threads"))
    assert "MiB for 10,000 batches" in said[-2]


def test_noise_and_what_happens_in_the_warm_up_are_no_growth():
    warming = [Figures(100 + 20 * k, 2 * k, 3 * k) for k in range(10)]
    steady = figures(300 + np.random.default_rng(1).normal(0, 3, 30), 18, 27)
    assert list(grown(warming + steady, flat())) == []


def test_a_jump_to_and_fro_is_no_growth():
    memory = np.full(40, 300.0)
    memory[20:24] += 50
    assert list(grown(figures(memory), flat())) == []


@pytest.mark.parametrize("part", ["streams", "loaders"])
def test_a_leak_is_growth(part):
    noise = np.random.default_rng(2).normal(0, 0.5, 40)
    leaking = figures(300 + noise + np.linspace(0, 1.25 * ALLOWED, 40))
    given = {"streams": flat(), "loaders": flat()} | {part: leaking}
    (problem,) = grown(**given)
    assert problem.startswith(f"{part}: memory, by ") and f"with {ALLOWED} allowed" in problem


@pytest.mark.parametrize(("what", "before"), [("files", 6), ("threads", 9)])
def test_one_more_file_or_thread_is_growth(what, before):
    more = flat()[:-1] + figures([300], **{what: before + 1})
    assert list(grown(flat(), more)) == [f"loaders: {what}, from {before} to {before + 1}"]


def test_a_stream_that_drifts_is_noticed(tmp_path, monkeypatch):
    """A loader that is resumed one batch too late."""
    root = numbered.write_noise(tmp_path, 20)

    def late(self):
        state = self.loader.state_dict()
        next(iter(self.loader))
        self.resumed = soak.endless(self.loader)
        return state

    monkeypatch.setattr(soak.Twice, "interrupt", late)
    with pytest.raises(SystemExit, match="soak: batch 9 is another one where the loader was resum"):
        soak.run_streams(root, 12, 8, soak.tqdm(disable=True))


@pytest.mark.parametrize("arguments", [["--every", "0"], ["--loaders", "3"], ["--iterations", "9"]])
def test_too_few_are_refused(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["soak.py", *arguments])
    with pytest.raises(SystemExit) as end:
        soak.main()
    assert end.value.code == 2
    assert "at least four times --every batches are needed" in capsys.readouterr().err

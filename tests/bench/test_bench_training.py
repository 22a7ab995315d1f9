"""bench.training: what a run records, that it is deterministic, and what it refuses."""

import json

import numpy as np
import pytest

pytest.importorskip("PIL")
torch = pytest.importorskip("torch")


from bench.report import __main__ as report  # noqa: E402
from bench.report import sections  # noqa: E402
from bench.training import __main__ as training  # noqa: E402
from bench.training import data, learning, tables  # noqa: E402


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Bright bars, at a height that is the class, in ten classes."""
    chance = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 400), ("test", 100)):
        y = np.arange(count) % 10
        x = chance.integers(0, 60, (count, 28, 28), np.uint8)
        for image, label in zip(x, y, strict=True):
            image[2 * label : 2 * label + 8] += 150
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def bars(archive, tmp_path_factory):
    return data.unpacked(archive, tmp_path_factory.mktemp("bars"))


def one(task):
    """Without processes of their own."""
    return iter([key | learning.run(each) for key, each in task])


def ran(monkeypatch, out, *words):
    monkeypatch.setattr(training, "trained", lambda tasks, _: one(tasks))
    training.main([*words, "--out", str(out)])
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def threes(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "threes.json"
    with pytest.MonkeyPatch.context() as patch:
        words = ["threes", "--data", str(archive), "--seeds", "2", "--epochs", "2"]
        return ran(patch, out, *words)


def test_every_seed_of_every_way_is_recorded(threes):
    found = [(run["seed"], run["way"]) for run in threes["runs"]]
    assert found == [(seed, way) for seed in (0, 1) for way in learning.THREES]
    assert all(len(run["accuracy"]) == len(run["train_loss"]) == 2 for run in threes["runs"])
    assert threes["complete"] and {"commit", "cpu", "environment"} <= threes["provenance"].keys()


def test_a_stopped_run_goes_on_where_it_ended(archive, threes, tmp_path, monkeypatch, capsys):
    out, words = tmp_path / "threes.json", ["threes", "--data", str(archive), "--seeds", "2"]
    words += ["--epochs", "2", "--out", str(out)]
    planned = training.planned

    def begin(*arguments):  # the provenance of the fixture has another file and command
        monkeypatch.setattr("sys.argv", ["bench/training/__main__.py", *arguments])
        training.main(list(arguments))

    monkeypatch.setattr(training, "planned", lambda *how: list(planned(*how))[:3])
    monkeypatch.setattr(training, "trained", lambda tasks, _: one(tasks))
    begin(*words)
    stopped = json.loads(out.read_text())
    assert [run["seed"] for run in stopped["runs"]] == [0, 0, 0] and stopped["complete"]
    out.write_text(json.dumps(stopped | {"complete": False}))

    monkeypatch.setattr(training, "planned", planned)
    with pytest.raises(SystemExit):
        begin(*words, "--seed", "7")
    assert "complete or of another command or commit" in capsys.readouterr().err
    begin(*words)
    whole = json.loads(out.read_text())
    assert whole["complete"] and whole["runs"][:3] == stopped["runs"]
    kept = "way", "seed", "accuracy", "train_loss"
    for run, expected in zip(whole["runs"], threes["runs"], strict=True):
        assert [run[key] for key in kept] == [expected[key] for key in kept]


def drawn(monkeypatch, run):
    """What the report of a run draws: panel -> line -> its curves; and the picture."""
    pytest.importorskip("matplotlib")
    found, make = {}, sections.curves

    def noted(panels, *rest):
        found.update(panels)
        return make(panels, *rest)

    monkeypatch.setattr(sections, "curves", noted)
    return found, report.generate({"name": run})["charts/name.svg"]


def test_the_report_draws_the_curves_of_all_seeds(threes, monkeypatch):
    panels, picture = drawn(monkeypatch, threes)
    heading = "threes and sevens of bars"
    titles = ("test accuracy, %", "test loss", "training loss")
    assert list(panels) == [f"{heading}\n{title}" for title in titles]
    runs = [run for run in threes["runs"] if run["way"] == "mixup per batch"]
    for title, figure, factor in zip(
        titles, ("accuracy", "test_loss", "train_loss"), (100, 1, 1), strict=True
    ):
        lines = panels[f"{heading}\n{title}"]
        assert list(lines) == list(learning.THREES)
        expected = [np.array(run[figure]) * factor for run in runs]
        np.testing.assert_allclose(lines["mixup per batch"], expected)
    assert all(f">{way}<" in picture for way in learning.THREES)


def test_a_run_that_was_stopped_is_drawn_too(threes, monkeypatch):
    panels, picture = drawn(monkeypatch, threes | {"runs": threes["runs"][:2], "complete": False})
    assert [list(lines) for lines in panels.values()] == [["none", "mixup"]] * 3
    assert ">mixup per batch<" not in picture


def test_a_way_and_a_seed_fix_the_result(archive, threes, tmp_path):
    only = data.unpacked(archive, tmp_path, (3, 7))
    assert only.classes == 2
    again = learning.run(learning.Task("threes", "mixup", only, 1, 2))
    recorded = next(r for r in threes["runs"] if (r["seed"], r["way"]) == (1, "mixup"))
    assert again["train_loss"] == pytest.approx(recorded["train_loss"], rel=1e-6)
    assert again["accuracy"] == recorded["accuracy"]


def test_wrong_labels_are_recorded_for_every_share(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SHARES", (0.5,))
    words = ["noise", "--data", str(archive), "--seeds", "1", "--epochs", "1"]
    run = ran(monkeypatch, tmp_path / "noise.json", *words)
    assert [row["way"] for row in run["runs"]] == list(learning.NOISE)
    assert all(row["share"] == 0.5 for row in run["runs"])
    assert all(0 <= row["wrong_labels_learnt"] <= 1 for row in run["runs"])
    ((heading, table),) = tables.of_run(run)
    assert heading == "bars, 50% of the labels wrong" and len(table.rows) == 8
    assert tables.sentence(run).startswith("Training on bars, 50% of the labels wrong: ")


@pytest.fixture(scope="module")
def tar(bars, tmp_path_factory):
    import tarfile

    path = tmp_path_factory.mktemp("tar") / "bars.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(bars.train.parent, "some")
    return path


def test_cifar_trains_on_images_that_are_decoded_once(tar, tmp_path, monkeypatch):
    assert learning.resnet(7)(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    small = learning.network((3, 8), learning.block, torch.nn.Linear(8, 10))
    monkeypatch.setattr(learning, "resnet", lambda classes: small)
    words = "cifar --seeds 1 --epochs 1 --batch 90 --data".split()
    run = ran(monkeypatch, tmp_path / "cifar.json", *words, str(tar))
    assert [row["way"] for row in run["runs"]] == list(learning.CIFAR)
    assert all(row["seconds"] > 0 for row in run["runs"])
    ((_, table),) = tables.of_run(run)
    assert table.head[-1] == "seconds" and len(table.rows[0]) == 1 + len(table.head)


@pytest.mark.parametrize("way", learning.CIFAR)
def test_batches_from_memory_are_windows_of_the_images(way, bars):
    task = learning.Task("cifar", way, bars, 3, 1, batch=90)
    images, labels = learning.in_memory(bars.train, task)
    bordered = torch.nn.functional.pad(images, (4, 4, 4, 4), mode="reflect")
    windows = bordered.unfold(2, 28, 1).unfold(3, 28, 1)  # (N, C, 9, 9, 28, 28)
    epochs = []
    with learning.from_memory(task, learning.CIFAR[way]) as loader:
        for _ in range(2):
            epochs.append([(x, target) for x, target in loader])
    assert [len(epoch) for epoch in epochs] == [4, 4]  # of 400 images
    firsts = [torch.cat([target.y1 for _, target in epoch]) for epoch in epochs]
    assert not torch.equal(*firsts)  # another order
    for x, target in epochs[0]:
        assert (target.lam < 1).any() == (way != "none")
        if way == "none":
            for image, label in zip(x[:5], target.y1, strict=False):
                near = windows[labels == label]
                apart = torch.stack([near, near.flip(5)]) - image.view(1, 1, 3, 1, 1, 28, 28)
                assert apart.abs().amax((2, 5, 6)).min() < 1e-5


def test_a_share_of_the_files_lies_in_a_wrong_folder(bars, tmp_path):
    wrong = data.corrupted(bars, tmp_path, 0.4, seed=3)
    files = list(wrong.train.glob("*/*"))
    assert len(files) == 400 and len({path.stat().st_ino for path in files}) == 400
    named = data.wrong_files(wrong)
    assert len(named) == 160
    true = {path.stat().st_ino: path.parent.name for path in bars.train.glob("*/*")}
    moved = {str(path.relative_to(wrong.train)) for path in files
             if true[path.stat().st_ino] != path.parent.name}  # fmt: skip
    assert moved == set(named)
    assert data.wrong_files(bars) == []


def test_a_tar_is_read_as_an_archive_is(tar, tmp_path):
    again = data.unpacked(tar, tmp_path / "out")
    assert (again.name, again.size, again.classes) == ("some", 28, 10)
    assert len(list(again.train.glob("*/*"))) == 400


@pytest.mark.parametrize("way", ["none", "mixup 1", "manifold"])
def test_the_network_learns(way, bars):
    run = learning.run(learning.Task("noise", way, bars, 0, 8, batch=30))
    assert run["accuracy"][-1] > 0.6 and run["train_loss"][-1] < run["train_loss"][0]


def test_the_order_of_the_images_is_the_same_for_all_ways(bars):
    orders = []
    for way in ("none", "cutmix", "manifold"):
        task = learning.Task("noise", way, bars, 5, 1)
        with learning.training_loader(task, learning.NOISE[way]) as loader:
            orders.append(torch.cat([y[0] if way == "manifold" else y.y1 for _, y in loader]))
    assert (orders[0] == orders[1]).all() and (orders[0] == orders[2]).all()


def run_with(accuracies):
    rows = [
        {"data": "x", "way": way, "seed": seed, "accuracy": [value], "test_loss": [value]}
        for way, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return {"runs": rows, "settings": {"ways": list(accuracies), "seeds": 3}}


def test_claims_are_borne_out_contradicted_or_not_shown():
    ways = {"none": [0.9, 0.91, 0.92], "mixup": [0.93, 0.941, 0.95]}
    ways |= {"mixup per batch": [0.96, 0.972, 0.98], "mixup unfolded": [0.9, 0.99, 0.95]}
    told = tables.claims(run_with(ways))[1:]
    assert [line.partition(":")[0] for line in told] == ["Confirmed", "Contradicted", "Not shown"]
    assert "mixup raises accuracy: +0.03" in told[0] and "validation loss" in told[0]
    assert told[1].startswith(
        "Contradicted: one lam per sample is better than one per batch: -0.03"
    )
    assert told[2].startswith("Not shown: folding raises accuracy")
    assert tables.claims(run_with({way: values[:1] for way, values in ways.items()})) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["threes", "--data", "none.npz"], "argument --data: none.npz must be a NumPy archive of"),
        (["noise", "--data", __file__], f"argument --data: {__file__} must be a NumPy archive of"),
        (["noise", "--data", "x.tar"], "argument --data: x.tar must be a NumPy archive of"),
        (["noise", "--data", "x", "--device", "gpu"], "--device gpu is for cifar"),
        (["threes", "--data", "x", "--seeds", "0"], "argument --seeds: must be an integer of at"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(training.program, "gpu", lambda device: "a GPU")
    with pytest.raises(SystemExit, match="2"):
        training.main(arguments)
    message = capsys.readouterr().err
    assert message.startswith(f"python -m bench.training: {sentence}") and message.count("\n") == 1

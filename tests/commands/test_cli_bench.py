"""`dali-mix bench`: what it prints and writes, and what is said when it cannot measure."""

import builtins
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from dali_mix.commands import bench, cli  # noqa: E402
from dali_mix.measure import chart, headers, operators, pipelines  # noqa: E402
from dali_mix.measure.graphs import GRAPHS  # noqa: E402
from dali_mix.measure.operators import COPY  # noqa: E402
from dali_mix.measure.outputs import UNMIXED  # noqa: E402
from dali_mix.measure.pipelines import Settings, Task, jpeg_pipeline  # noqa: E402

SMALL = "--rounds 2 --batch 3 --size 19 --threads 1".split()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for index in range(12):
        (folder / f"class{index % 2}").mkdir(exist_ok=True)
        pixels = chance.integers(0, 256, (23, 31 + index, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"class{index % 2}" / f"{index}.jpg")
    return folder


@pytest.fixture(scope="module")
def done(photos, tmp_path_factory):
    """A whole run, away from the checkout."""
    here = tmp_path_factory.mktemp("here")
    command = [sys.executable, "-m", "dali_mix", "bench", photos, *SMALL]
    command += ["--out", "run.json", "--chart", "chart.png"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=here, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished, here


@pytest.fixture(scope="module")
def record(done):
    return json.loads((done[1] / "run.json").read_text())


def test_the_tables_name_every_contestant(done, record):
    printed = done[0].stdout
    for name in (*GRAPHS, COPY, *record["loss"]):
        assert f"\n{name} " in printed
    assert "DALI runs in its default executor." in printed
    assert "12 images of" in printed and "dali_mix mixup against" in printed
    *_, raw, chart, blank, last = printed.splitlines()
    assert (raw, chart, blank) == ("run.json: raw run", "chart.png: chart", "")
    assert "mixup changes the time of an image by " in last and last.count(". ") <= 1


def test_the_operators_are_measured_in_the_executor_that_people_run(photos, monkeypatch, capsys):
    built, make = [], pipelines.array_pipeline

    def noted(*arguments, on_demand, probing, **more):
        built.append((on_demand, probing))
        return make(*arguments, on_demand=on_demand, probing=probing, **more)

    taken, compare = [], operators.timing.compare
    monkeypatch.setattr(pipelines, "array_pipeline", noted)
    monkeypatch.setattr(
        operators.timing, "compare", lambda *a, **more: taken.append(more) or compare(*a, **more)
    )
    assert cli.main(["bench", str(photos), *SMALL]) == 0
    assert sorted(built) == [(False, False)] * len(GRAPHS) + [(True, True)] * len(GRAPHS)
    assert taken[0]["ahead"] == 2 and taken[0]["settle"] is operators.wait_until_quiet


def test_progress_goes_to_standard_error(done):
    assert "pipeline" in done[0].stderr and "100%" in done[0].stderr


def test_the_run_says_where_it_comes_from(record, photos):
    assert {"date", "cpu", "cores", "packages", "threads"} <= record["provenance"].keys()
    options = "--rounds 2 --batch 3 --size 19 --dtype float32 --threads 1 --device cpu --seed 0"
    assert record["provenance"]["command"] == f"dali-mix bench {photos} {options}"
    assert record["settings"]["data"]["files"] == 12
    assert not record["settings"]["data"]["synthetic"]
    spins = os.environ.get("GOMP_SPINCOUNT", "1000")
    assert record["provenance"]["environment"]["GOMP_SPINCOUNT"] == spins


def test_the_run_holds_every_sample(record):
    assert record["operator"].keys() == {*GRAPHS, COPY}
    assert record["pipeline"].keys() == GRAPHS.keys()
    for result in record["pipeline"].values():
        assert len(result["images_per_second"]["samples"]) == 2
    for result in (*record["operator"].values(), *record["loss"].values()):
        assert len(result["wall"]["seconds"]) == 2
    assert "MixLoss" in record["loss"] or "PyTorch" in record["missing"]["loss"]


def test_the_chart_is_a_picture(done):
    with Image.open(done[1] / "chart.png") as picture:
        assert picture.format == "PNG" and picture.width > 800 and picture.height > 800
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
    assert {(11, 99, 206), (138, 143, 152)} <= colors  # ours and the others


def test_the_bars_are_as_long_as_the_figures(record, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        chart, "_bars", lambda axis, title, values, log: drawn.update({title: values})
    )
    chart.draw(record, tmp_path / "chart.svg")
    operators, pipeline, *_ = drawn.values()
    seconds = record["operator"]["dali_mix mixup"]["wall"]["seconds"]
    assert operators["dali_mix mixup"]["median"] == pytest.approx(1e3 * np.median(seconds))
    speeds = record["pipeline"]["dali_mix cutmix"]["images_per_second"]["samples"]
    assert pipeline["dali_mix cutmix"]["q3"] == pytest.approx(np.percentile(speeds, 75))


def test_without_pytorch_the_loss_is_missing_for_a_reason(monkeypatch):
    ordinary = builtins.__import__

    def without_torch(name, *arguments, **named):
        if name.partition(".")[0] == "torch" or "losses" in (arguments[2] or ()):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return ordinary(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    results, missing = bench._loss(None, lambda: None)
    assert results == {}
    assert missing == {"loss": "PyTorch is not installed; run `pip install torch`"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none"], "none does not exist; name a folder with one folder of images for each class."),
        (["file.txt"], "file.txt is not a folder; name a folder with one folder of images"),
        (["empty"], "empty must hold one folder of images for each class, got none with an image"),
        (["--rounds", "1"], "--rounds must be at least 2, got 1."),
        (["--batch", "1"], "--batch must be at least 2, got 1."),
        (["--size", "0"], "--size must be at least 8, got 0."),
        (["--size", "1"], "--size must be at least 8, got 1."),
        (["none", "--size", "100000"], "--batch and --size must make at most 100,000,000 pixels"),
        (["--threads", "-1"], "--threads must be at least 1, got -1."),
        (["--out", "run.txt"], "--out must end in .json, got 'run.txt'."),
        (["--out", "old.json"], "--out old.json exists; name a new file, old runs are kept."),
        (["--out", "none/a.json"], "--out none/a.json cannot be written: none is not a folder."),
        (["--chart", "a.gif"], "--chart must end in .png or .svg or .pdf, got 'a.gif'."),
    ],
)
def test_errors_are_one_sentence_and_status_2(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    Path("empty/class").mkdir(parents=True)
    Path("file.txt").touch()
    Path("old.json").write_text("old")
    assert cli.main(["bench", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"dali-mix bench: {sentence}") and message.count("\n") == 1
    assert Path("old.json").read_text() == "old"


def test_files_with_broken_headers_are_named_before_anything_is_measured(photos, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    whole = (folder / "class0" / "0.jpg").read_bytes()
    for index in range(64):  # so many in a batch that DALI's decoder would end the process
        (folder / "class1" / f"more {index:02}.jpg").write_bytes(whole)
    (folder / "class1" / "more 10.jpg").write_bytes(b"no image")
    (folder / "class1" / "more 50.JPG").write_bytes(whole[:90])
    (folder / "class1" / "more 60.jpg").write_bytes(b"")
    command = [sys.executable, "-m", "dali_mix", "bench", folder, *SMALL, "--batch", "64"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (2, "")
    names = ", ".join(f"{folder}/class1/more {name}" for name in ("10.jpg", "50.JPG", "60.jpg"))
    assert finished.stderr.splitlines()[-1] == (  # a decoder has had a word before
        f"dali-mix bench: cannot read the headers of {names}; repair or remove them; "
        "`dali-mix check` finds all such files."
    )


def test_headers_are_tried_once_for_a_folder(photos, monkeypatch):
    reads = []
    monkeypatch.setattr(headers, "_faults", lambda *arguments: reads.append(arguments) or [])
    monkeypatch.setattr(headers, "_READ", set())
    for _ in range(2):
        jpeg_pipeline(Task(str(photos), 3, 19, "float32", "cpu", 0), Settings(1), GRAPHS[UNMIXED])
    assert len(reads) == 1


def test_a_contestant_that_is_wrong_ends_it_in_a_sentence_and_status_1(photos, monkeypatch, capsys):
    monkeypatch.setitem(GRAPHS, "wrong", brighter)
    assert cli.main(["bench", str(photos), *SMALL]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    said = captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err and "array(" not in said
    assert said.startswith("dali-mix bench: a contestant does not put out what ")
    assert "; wrong; Mismatched elements: " in said


def brighter(images, labels, mirror, output):
    return GRAPHS[UNMIXED](images + np.uint8(1), labels, mirror, output)


@pytest.mark.parametrize(
    ("module", "package", "arguments"),
    [
        ("tqdm", "tqdm", []),
        ("matplotlib", "matplotlib", ["--chart", "a.png"]),
        ("PIL", "pillow", []),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_mends_it(
    module, package, arguments, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["bench", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.endswith(
        f"needs {package}, which is not installed; run `pip install {package}`.\n"
    )


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(photos, capsys):
    from dali_mix.commands import doctor

    driver = doctor.driver()
    if driver is not None and driver.gpus:
        pytest.skip("there is a GPU")
    assert cli.main(["bench", str(photos), *SMALL, "--device", "gpu"]) == 2
    message = capsys.readouterr().err
    assert message == "dali-mix bench: --device gpu needs a GPU, and there is none.\n"

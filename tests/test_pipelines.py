"""The programs in pipelines/, as someone runs them. The demo has tests of its own."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

FOLDER = Path(__file__).parent.parent / "pipelines"
SIZE = ["--size", "16", "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Training and validation folders of two classes, 6 and 5 images each."""
    chance = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 5)):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = chance.integers(0, 256, (30, 40, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.jpg")
    return tmp_path / "photos"


def run(monkeypatch, *arguments) -> int:
    """Exit status of pipelines/imagefolder.py, run in this process."""
    monkeypatch.setattr(sys, "argv", ["imagefolder.py", *map(str, arguments)])
    try:
        runpy.run_path(str(FOLDER / "imagefolder.py"), run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


def test_imagefolder_says_what_came_out(photos):
    command = [sys.executable, FOLDER / "imagefolder.py", photos, "--batch-size", "4", *SIZE]
    done = subprocess.run(
        [*command, "--batches", "3", "--threads", "1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    classes, training, validation = done.stdout.splitlines()
    assert classes == "2 classes, 3 training batches an epoch"
    assert re.fullmatch(
        r"training: x \(4, 3, 16, 16\) torch.float32 on cpu, y torch.int64, "
        r"mean lam 0\.\d{3}, \d+ images/s",
        training,
    )
    # The third batch of ten images is the smaller last one.
    assert validation.startswith("validation: x (2, 3, 16, 16) torch.float32 on cpu")
    assert "training: 100%" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "x", "lam"),
    [
        (["--method", "none"], r"\(4, 3, 16, 16\) torch.float32", r"1\.000"),
        (["--method", "mixup", "--alpha", "8"], r"\(4, 3, 16, 16\) torch.float32", r"0\.[56]\d*"),
        (["--dtype", "float16", "--layout", "HWC"], r"\(4, 3, 16, 16\) torch.float16", r"0\.\d*"),
        (["--recipe", "timm-vit"], r"\(4, 3, 16, 16\) torch.float32", r"0\.[3-9]\d*"),
        (["--shard-id", "1", "--num-shards", "2"], r"\(4, 3, 16, 16\) torch.float32", r"0\.\d*"),
    ],
)
def test_imagefolder_options(photos, monkeypatch, capsys, arguments, x, lam):
    assert run(monkeypatch, photos, "--batch-size", 4, "--batches", 8, *SIZE, *arguments) == 0
    training = capsys.readouterr().out.splitlines()[1]
    assert re.match(rf"training: x {x} on cpu, y torch.int64, mean lam {lam},", training)


def test_imagefolder_takes_one_folder_for_both(photos, monkeypatch, capsys):
    arguments = [photos / "train", "--batch-size", 12, "--batches", 1, *SIZE]
    assert run(monkeypatch, *arguments) == 0
    assert capsys.readouterr().out.count("x (12, 3, 16, 16)") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none"], "DIR must be a folder, got none"),
        (["photos", "--alpha", "-1"], "alpha of MixUp must be finite and not negative"),
        (["photos", "--batch-size", "13"], "batch_size must be at most the 12 samples of a shard"),
        (["photos", "--recipe", "timm-vit", "--batch-size", "13"], "batch_size must be at most"),
        (["photos", "--recipe", "timm-vit", "--shard-id", "2"], "shard_id must lie in [0, num_sha"),
        (["photos", "--recipe", "timm-vit", "--method", "none"], "--method and --alpha belong to"),
        (["photos", "--batches", "0"], "--batch-size, --batches and --threads must be at least 1"),
        (["photos", "--shard-id", "2"], "shard_id must lie in [0, num_shards), got 2"),
        (["photos", "--method", "fmix"], "argument --method: invalid choice: 'fmix'"),
        ([], "the following arguments are required: DIR"),
    ],
)
def test_imagefolder_errors_are_one_sentence(photos, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(photos.parent)
    options = ["--device", "cpu"] if arguments else []
    assert run(monkeypatch, *arguments, *options) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"imagefolder.py: {sentence}")
    assert message.count("\n") == 1


@pytest.mark.parametrize("recipe", ["imagenet", "timm-vit"])
def test_imagefolder_names_a_file_that_cannot_be_decoded(photos, monkeypatch, capsys, recipe):
    (photos / "train" / "cat" / "broken.jpg").write_bytes(b"no image")
    arguments = [photos, "--batch-size", 13, "--batches", 3, *SIZE, "--recipe", recipe]
    assert run(monkeypatch, *arguments) == 2
    message = capsys.readouterr().err.splitlines()[-1]  # after the progress bar
    assert message.startswith("imagefolder.py: cannot decode cat/broken.jpg; remove or repair it")


def test_timm_vit_draws_mixup_and_cutmix_for_each_image(photos, monkeypatch):
    program = runpy.run_path(str(FOLDER / "imagefolder.py"))
    options = ["imagefolder.py", photos, "--recipe", "timm-vit", "--batch-size", "12", *SIZE]
    monkeypatch.setattr(sys, "argv", [str(option) for option in options])
    found = []
    monkeypatch.setitem(program["main"].__globals__, "run", found.append)
    program["main"]()
    (args,) = found
    args.dtype, args.layout = "float32", "CHW"
    with program["training_batches"](photos / "train", args) as loader:
        lam = np.concatenate([target.lam.numpy() for _ in range(40) for _, target in loader])
    # Cutmix counts pixels, mixup's lam is any number; one image is one or the other, half and half.
    counted = np.isclose(lam * 256, np.round(lam * 256), atol=1e-4)
    assert abs(counted.mean() - 0.5) < 0.1
    assert (lam[~counted] < 0.5).any()  # not folded, as in timm


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_every_program_has_help(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.name}")

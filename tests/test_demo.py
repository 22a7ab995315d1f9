"""The demo in short: real files, a table, a picture."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

DEMO = Path(__file__).parent.parent / "pipelines" / "demo.py"


def test_the_demo_trains_on_jpeg_files_and_reports(tmp_path):
    short = ["--images", "200", "--epochs", "1", "--seeds", "2", "--batch-size", "32"]
    command = [sys.executable, DEMO, "--output", tmp_path / "demo", *short]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    number = r"\d+\.\d\d ± \d+\.\d\d"
    for method in ("none", "mixup", "cutmix"):
        assert re.search(rf"^{method} +{number} +{number} +\d+$", done.stdout, re.MULTILINE)
    assert "24/24" in done.stderr  # 140 // 32 steps, three methods, two seeds
    with Image.open(tmp_path / "demo" / "mixup.png") as picture:
        assert picture.width > 1000
    parts = {
        part: list((tmp_path / "demo").glob(f"data/*/{part}/*/*.jpg")) for part in ("train", "val")
    }
    assert {part: len(files) for part, files in parts.items()} == {"train": 140, "val": 60}
    with Image.open(parts["train"][0]) as image:
        assert (image.format, image.size) == ("JPEG", (32, 32))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "--epochs and --seeds must be at least 1"),
        (["--images", "5000"], r"--images must lie in \[100, 1797\], got 5000"),
        (["--images", "100", "--batch-size", "71"], r"--batch-size must lie in \[2, 70\]"),
    ],
)
def test_wrong_arguments_of_the_demo(monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(DEMO), run_name="__main__")
    assert end.value.code == 2
    assert re.match(f"demo.py: {sentence}.*\n$", capsys.readouterr().err)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy(monkeypatch):
    calibration_error = runpy.run_path(str(DEMO))["calibration_error"]
    probabilities = torch.tensor([[0.9, 0.1]] * 10)
    labels = torch.tensor([0] * 6 + [1] * 4)  # says 90 %, right in 60 %
    assert calibration_error(probabilities, labels) == pytest.approx(0.3)
    # Two bins of four, the one too sure by 0.5, the other not sure enough by 0.4.
    probabilities = torch.tensor([[1.0, 0.0]] * 4 + [[0.6, 0.4]] * 4)
    labels = torch.tensor([0, 0, 1, 1, 0, 0, 0, 0])
    assert calibration_error(probabilities, labels) == pytest.approx((4 * 0.5 + 4 * 0.4) / 8)

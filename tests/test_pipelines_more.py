"""More of the programs in pipelines/, as someone runs them, on data made here."""

import csv
import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def
from PIL import Image

pytest.importorskip("torch")

FOLDER = Path(__file__).parent.parent / "pipelines"
NAMES = ("existing_pipeline", "webdataset", "multilabel", "regression", "manifold")
SMALL = ["--size", "16", "--threads", "1", "--device", "cpu"]


def jpeg(colour=(200, 30, 90), size=(24, 20)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, tuple(colour)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Training and validation folders of two classes, 6 and 5 images each: dark and light."""
    for part, count in (("train", 6), ("val", 5)):
        for name, level in (("dark", 20), ("light", 220)):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f"{index}.jpg").write_bytes(jpeg((level, level, level + index)))
    return tmp_path / "photos"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder of 40 images and list.csv: which of red and blue are strong, how light the rest."""
    chance = np.random.default_rng(0)
    rows = []
    for index in range(40):
        red, blue = chance.integers(0, 2, 2)
        green = int(chance.integers(0, 256))
        (tmp_path / f"{index}.jpg").write_bytes(jpeg((220 * red, green, 220 * blue)))
        labels = " ".join(name for name, has in (("red", red), ("blue", blue)) if has)
        rows.append({"file": f"{index}.jpg", "labels": labels, "value": green})
    with open(tmp_path / "list.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def run(monkeypatch, capsys, program, *arguments) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a program, run in this process."""
    monkeypatch.setattr(sys, "argv", [f"{program}.py", *map(str, arguments)])
    status = 0
    try:
        runpy.run_path(str(FOLDER / f"{program}.py"), run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


@pytest.mark.parametrize("program", [*NAMES, "lightning_module"])
def test_help_says_what_the_program_does_and_it_fits_on_a_few_screens(monkeypatch, capsys, program):
    source = (FOLDER / f"{program}.py").read_text()
    monkeypatch.setitem(sys.modules, "lightning", None)  # slow to import, and full of warnings
    status, out, _ = run(monkeypatch, capsys, program, "--help")
    assert status == 0
    assert "".join(source[3:].partition("\n")[0].split()) in "".join(out.split())
    assert len(source.splitlines()) <= 150


@pytest.mark.parametrize(
    ("program", "arguments", "sentence"),
    [
        ("existing_pipeline", ["nowhere"], "DIR must be a folder, got nowhere"),
        ("existing_pipeline", ["PHOTOS/train", "--batch-size", 99, *SMALL], "at most the images"),
        ("existing_pipeline", ["PHOTOS", "--epochs", 0], "must be at least 1"),
        ("webdataset", ["nowhere"], "SHARDS must be tars, folders of tars or s3:// URLs, got nowh"),
        ("webdataset", ["PHOTOS"], "SHARDS must be tars, folders of tars or s3:// URLs, got "),
        ("multilabel", ["nowhere.csv", "PHOTOS"], "No such file or directory: 'nowhere.csv'"),
        ("multilabel", ["EMPTY", "PHOTOS"], "LIST must have columns file and labels and some rows"),
        ("multilabel", ["EMPTY", "PHOTOS", "--validation", 1], "must lie in (0, 1), got 1.0"),
        ("regression", ["EMPTY", "PHOTOS"], "LIST must have columns file and value and some rows"),
        ("regression", ["EMPTY", "PHOTOS", "--mix", "both"], "invalid choice: 'both'"),
        ("manifold", ["nowhere"], "DIR must be a folder, got nowhere"),
        ("manifold", ["PHOTOS", "--batch-size", 4, "--layers", "nope", *SMALL], "got 'nope'"),
        ("manifold", ["PHOTOS", "--batch-size", 4, "--layers", *SMALL], "at least one layer"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    photos, monkeypatch, capsys, program, arguments, sentence
):
    (photos / "empty.csv").write_text("file\n")
    places = {"PHOTOS": str(photos), "EMPTY": str(photos / "empty.csv")}
    arguments = [places.get(a, str(a).replace("PHOTOS", str(photos))) for a in arguments]
    status, _, err = run(monkeypatch, capsys, program, *arguments)
    assert status == 2
    assert sentence in err and err.startswith(f"{program}.py: ") and err.count("\n") == 1


@pytest.mark.parametrize("mix", ["--mix", "--no-mix"])
def test_existing_pipeline_runs_before_and_after_the_change(photos, monkeypatch, capsys, mix):
    arguments = [photos / "train", mix, "--batch-size", 4, "--epochs", 2, *SMALL]
    status, out, err = run(monkeypatch, capsys, "existing_pipeline", *arguments)
    assert status == 0, err
    assert re.fullmatch(r"(epoch \d: loss \d\.\d{4}, \d+ images/s\n){2}", out)


def test_existing_pipeline_marks_three_changed_lines_beside_the_import():
    changed = [
        line
        for line in (FOLDER / "existing_pipeline.py").read_text().splitlines()
        if line.endswith("# CHANGED")
    ]
    assert len(changed) == 3


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Two tars of 12 and 8 samples, whose class is their number, from 95 on."""
    paths = [tmp_path / "shards" / name for name in ("a.tar", "b.tar")]
    paths[0].parent.mkdir()
    for path, first, count in ((paths[0], 95, 12), (paths[1], 107, 8)):
        with tarfile.open(path, "w") as tar:
            for number in range(first, first + count):
                for ending, content in (("jpg", jpeg()), ("cls", str(number).encode())):
                    entry = tarfile.TarInfo(f"{number:06}.{ending}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return paths


def write_index(path: Path) -> None:
    """As NVIDIA's wds2idx.py does."""
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
    samples = [
        " ".join(f"{e.name[7:]} {e.offset_data} {e.size} {e.name}" for e in pair)
        for pair in zip(entries[::2], entries[1::2], strict=True)
    ]
    text = "\n".join([f"v1.2 {len(samples)}", *samples, ""])
    path.with_suffix(".idx").write_text(text)


def labels_of(out: str) -> set[int]:
    return {int(number) for number in re.search(r"labels \[(.*)\]", out)[1].split(", ")}


@pytest.mark.parametrize("index", [None, "beside", "elsewhere"])
def test_webdataset_reads_a_folder_of_tars(shards, monkeypatch, capfd, index):
    arguments = [shards[0].parent]
    if index:
        for path in shards:
            write_index(path)
    if index == "elsewhere":
        (shards[0].parent / "index").mkdir()
        for path in shards:
            path.with_suffix(".idx").rename(path.parent / "index" / path.with_suffix(".idx").name)
        arguments += ["--index", shards[0].parent / "index"]
    arguments += ["--batch-size", 5, "--batches", 4, *SMALL]
    status, out, err = run(monkeypatch, capfd, "webdataset", *arguments)
    assert status == 0, err
    assert out.startswith("2 tars, 4 batches an epoch\nx (5, 3, 16, 16) torch.float32 on cpu")
    assert labels_of(out) <= {*range(95, 115)}
    assert ("Index file not provided" in err) == (index is None)


def test_webdataset_shards_are_parts_of_the_samples(shards, monkeypatch, capsys):
    labels = []
    for shard in range(2):
        # One batch of the whole shard: all its labels but those the line leaves out.
        arguments = [*shards, "--shard-id", shard, "--num-shards", 2, "--batch-size", 10]
        arguments += ["--batches", 1, "--buffer", 1, *SMALL]
        status, out, err = run(monkeypatch, capsys, "webdataset", *arguments)
        assert status == 0, err
        assert out.startswith("2 tars, 1 batches an epoch\n")
        labels.append(labels_of(out))
    assert labels[0] <= {*range(95, 105)} and labels[1] <= {*range(105, 115)}


def test_webdataset_refuses_a_class_that_is_no_number(shards, monkeypatch, capsys):
    with tarfile.open(shards[0], "w") as tar:
        for ending, content in (("jpg", jpeg()), ("cls", b"cat")):
            entry = tarfile.TarInfo(f"1.{ending}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    arguments = [shards[0], "--batch-size", 1, "--batches", 1, *SMALL]
    status, _, err = run(monkeypatch, capsys, "webdataset", *arguments)
    assert status == 2
    assert err.endswith("webdataset.py: cls files must hold 1 to 9 digits and nothing else.\n")


def test_webdataset_number_is_the_decimal_number():
    texts = [b"0", b"7", b"10", b"000", b"21841", b"999999999", b"1000000000", b"7\n", b"-1", b"a"]
    number = runpy.run_path(str(FOLDER / "webdataset.py"))["number"]

    @pipeline_def(batch_size=len(texts), num_threads=1, device_id=None)
    def numbers():
        source = [np.frombuffer(text, np.uint8) for text in texts]
        return number(fn.external_source(lambda: source, batch=True))

    (out,) = numbers().run()
    assert [int(np.array(value)) for value in out] == [0, 7, 10, 0, 21841, 999999999, *[-1] * 4]


S3 = """
import http.server, pathlib, re, sys
root = pathlib.Path(sys.argv[1])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for each answer
    def do_GET(self):
        path = root / self.path.partition("?")[0].removeprefix("/bucket/")
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        data, wanted = path.read_bytes(), self.headers.get("Range")
        first, last = 0, len(data) - 1
        if wanted:
            first, end = re.match(r"bytes=(\\d+)-(\\d*)", wanted).groups()
            first, last = int(first), min(int(end or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[first : last + 1])
    do_HEAD = do_GET
    def log_message(self, *arguments):
        print(self.path, file=sys.stderr, flush=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_webdataset_reads_s3_with_its_index(shards):
    """From a server of our own on this machine that speaks enough of S3."""
    for path in shards:
        write_index(path)
    server = subprocess.Popen(
        [sys.executable, "-c", S3, shards[0].parent],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        proxies = ("http_proxy", "https_proxy", "all_proxy")
        kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
        tars = ["s3://bucket/a.tar", "s3://bucket/b.tar", "--index", "s3://bucket"]
        few = ["--batch-size", "5", "--batches", "4", "--buffer", "4"]
        done = subprocess.run(
            [sys.executable, FOLDER / "webdataset.py", *tars, *few, *SMALL],
            capture_output=True,
            text=True,
            env={**kept, **settings},
        )
    finally:
        server.terminate()
        server.communicate()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 tars, 4 batches an epoch")
    assert labels_of(done.stdout) <= {*range(95, 115)}


def test_multilabel_learns_which_colours_are_there(listed, monkeypatch, capsys):
    arguments = [listed / "list.csv", listed, "--batch-size", 8, "--epochs", 12, "--lr", 0.03]
    status, out, err = run(monkeypatch, capsys, "multilabel", *arguments, *SMALL)
    assert status == 0, err
    assert "validation on 8 images" in out
    scores = dict(re.findall(r"(red|blue) +F1 (\d\.\d+)", out))
    assert scores.keys() == {"red", "blue"} and all(float(f1) > 0.8 for f1 in scores.values())


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_regression_has_both_meanings(listed, monkeypatch, capsys, loss):
    printed = {}
    for mix in ("losses", "labels"):
        arguments = [listed / "list.csv", listed, "--batch-size", 32, "--epochs", 1]
        arguments += ["--mix", mix, "--loss", loss, *SMALL]
        status, out, err = run(monkeypatch, capsys, "regression", *arguments)
        assert status == 0, err
        assert re.search(r"validation on 8 images: mean absolute error \d+\.\d{4}\n$", out)
        printed[mix] = float(re.search(r"last batch (\d+\.\d+)", out)[1])
    # In the one batch of this epoch the model is the same, and both losses are convex.
    assert printed["losses"] > printed["labels"]


def test_regression_refuses_what_is_no_number(listed, monkeypatch, capsys):
    (listed / "list.csv").write_text("file,value\n0.jpg,nan\n")
    status, _, err = run(monkeypatch, capsys, "regression", listed / "list.csv", listed)
    assert status == 2 and "values of LIST must be finite" in err


def test_manifold_mixes_the_layers_that_are_named(photos, monkeypatch, capsys):
    arguments = [photos, "--layers", "stem", "block2", "--include-input", "--batch-size", 3]
    status, out, err = run(
        monkeypatch, capsys, "manifold", *arguments, "--epochs", 5, "--per", "batch", *SMALL
    )
    assert status == 0, err
    counts = re.findall(r"(stem|block1|block2|input) (\d+)", out)
    assert {layer for layer, _ in counts} == {"stem", "block2", "input"}
    assert sum(int(count) for _, count in counts) == 5 * 4  # 12 images an epoch, in threes
    assert out.count("validation accuracy") == 5


def test_lightning_trains_with_the_loader_the_loss_and_the_metrics(photos):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    command = [sys.executable, FOLDER / "lightning_module.py", photos, "--accelerator", "cpu"]
    options = ["--size", "16", "--threads", "1", "--batch-size", "4", "--epochs", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = dict(re.findall(r"^(.+): (\d\.\d{4})$", done.stdout, re.MULTILINE))
    assert metrics.keys() == {"loss", "training accuracy", "validation accuracy", "validation loss"}


def test_without_lightning_one_sentence_says_how_to_get_it(photos, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightning", None)
    status, _, err = run(monkeypatch, capsys, "lightning_module", photos)
    sentence = "lightning is not installed; run `pip install lightning`."
    assert (status, err) == (2, f"lightning_module.py: {sentence}\n")

"""pipelines/webdataset.py on tars made here, on disk and from a server that speaks S3."""

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from nvidia import dali
from nvidia.dali import fn, pipeline_def
from programs import changed, jpeg, namespace, run_here

pytest.importorskip("torch")

from dali_mix import Shard


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


SMALL = {"SIZE": 16, "CLASSES": 200, "EPOCHS": 1}


def few(batch_size):
    return {**SMALL, "BATCH": {"batch_size": batch_size, "num_threads": 1}}


def index_of(paths):
    return [str(path.with_suffix(".idx")) for path in paths]


def labels_of(program, part):
    """Labels of one epoch of a share of the samples."""
    pipeline = program["training_pipeline"](part, device_id=None, seed=1, **program["BATCH"])
    with program["MixLoader"](pipeline) as loader:
        return [label for _, target in loader for label in target.y1.tolist()]


@pytest.mark.parametrize("index", [False, True])
def test_webdataset_trains_on_tars(shards, tmp_path, capfd, index):
    if index:
        for path in shards:
            write_index(path)
    tars = {"TARS": [*map(str, shards)], "INDEX": index_of(shards) if index else None}
    out, _ = run_here(tmp_path, "webdataset", **tars, **few(5))
    assert re.fullmatch(
        r"2 tars, 4 batches an epoch\nepoch 0: loss of the last batch \d\.\d{4}\n", out
    )
    assert ("Index file not provided" in capfd.readouterr().err) == (not index)


def test_webdataset_shards_are_parts_of_the_samples(shards, tmp_path):
    program = namespace(tmp_path, "webdataset", TARS=[*map(str, shards)], **few(10))
    first, second = (labels_of(program, Shard(k, 2, 0)) for k in range(2))
    assert sorted(first) == [*range(95, 105)] and sorted(second) == [*range(105, 115)]


def test_webdataset_refuses_a_class_that_is_no_number(shards, tmp_path):
    with tarfile.open(shards[0], "w") as tar:
        for ending, content in (("jpg", jpeg()), ("cls", b"cat")):
            entry = tarfile.TarInfo(f"1.{ending}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(ValueError, match="cls files must hold 1 to 9 digits and nothing else"):
        run_here(tmp_path, "webdataset", TARS=[str(shards[0])], **few(1))


def test_webdataset_number_is_the_decimal_number(tmp_path):
    texts = [b"0", b"7", b"10", b"000", b"21841", b"999999999", b"1000000000", b"7\n", b"-1", b"a"]
    number = namespace(tmp_path, "webdataset")["number"]

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


@pytest.mark.skipif(
    dali.__version__.split(".")[:2] < ["2", "4"], reason="before 2.4 DALI finds no index on S3"
)
def test_webdataset_reads_s3_with_its_index(shards, tmp_path):
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
        tars = ["s3://bucket/a.tar", "s3://bucket/b.tar"]
        places = {"TARS": tars, "INDEX": [tar[:-3] + "idx" for tar in tars], "BUFFER": 4}
        done = subprocess.run(
            [sys.executable, changed(tmp_path, "webdataset", **places, **few(5))],
            capture_output=True,
            text=True,
            env={**kept, **settings},
        )
    finally:
        server.terminate()
        server.communicate()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 tars, 4 batches an epoch")
    assert "loss of the last batch" in done.stdout

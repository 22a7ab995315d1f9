"""pipelines/webdataset.py on tars made here, on disk and from a server that speaks S3."""

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
from programs import FOLDER, SMALL, jpeg, run_here

pytest.importorskip("torch")


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
def test_webdataset_reads_a_folder_of_tars(shards, capfd, index):
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
    status, out, err = run_here("webdataset", *arguments)
    assert status == 0, err
    assert out.startswith("2 tars, 4 batches an epoch\nx (5, 3, 16, 16) torch.float32 on cpu")
    assert labels_of(out) <= {*range(95, 115)}
    assert ("Index file not provided" in capfd.readouterr().err) == (index is None)


def test_webdataset_shards_are_parts_of_the_samples(shards):
    labels = []
    for shard in range(2):
        # One batch of the whole shard: all its labels but those the line leaves out.
        arguments = [*shards, "--shard-id", shard, "--num-shards", 2, "--batch-size", 10]
        arguments += ["--batches", 1, "--buffer", 1, *SMALL]
        status, out, err = run_here("webdataset", *arguments)
        assert status == 0, err
        assert out.startswith("2 tars, 1 batches an epoch\n")
        labels.append(labels_of(out))
    assert labels[0] <= {*range(95, 105)} and labels[1] <= {*range(105, 115)}


def test_webdataset_refuses_a_class_that_is_no_number(shards):
    with tarfile.open(shards[0], "w") as tar:
        for ending, content in (("jpg", jpeg()), ("cls", b"cat")):
            entry = tarfile.TarInfo(f"1.{ending}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    arguments = [shards[0], "--batch-size", 1, "--batches", 1, *SMALL]
    status, _, err = run_here("webdataset", *arguments)
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

"""A header that cannot be read, in a batch so large that DALI's decoder would end the process."""

import os
import subprocess
import sys

import bad_images
import numpy as np
import pytest
from nvidia.dali import Pipeline, fn

from dali_mix import recipes

LARGE = """
import sys
import numbered
for mode in ("raise", "substitute") * 3:
    loader = numbered.loader(sys.argv[1], 64, training=mode == "raise", on_bad_file=mode)
    try:
        print(len(list(loader)), len(loader.substituted))
    except RuntimeError as error:
        print(error)
"""


def test_a_broken_header_in_a_large_batch_does_not_end_the_process(tmp_path):
    files = {f"{k:03}.jpg": bad_images.JPEG for k in range(192)}
    bad_images.write(tmp_path / "a", files | {"100.jpg": b"no image"})
    ran = subprocess.run(
        [sys.executable, "-c", LARGE, tmp_path],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[1::2] == ["3 1"] * 3
    for line in lines[::2]:
        assert line.startswith(f"cannot decode {tmp_path}/a/100.jpg; remove or repair it")


def checked(root, batch_size):
    pipeline = Pipeline(batch_size, num_threads=1, device_id=None)
    with pipeline:
        encoded, _ = fn.readers.file(file_root=str(root))
        pipeline.set_outputs(recipes.header_checked(encoded))
    return pipeline


def test_checked_images_come_back_as_they_are(tmp_path):
    files = {f"{k}.jpg": bad_images.JPEG + bytes(k) for k in range(5)}
    (batch,) = checked(bad_images.write(tmp_path / "a", files).parent, 5).run()
    assert [np.array(one).tobytes() for one in batch] == list(files.values())
    assert [one.source_info() for one in batch] == [f"a/{name}" for name in files]


def test_pixels_are_not_looked_at(tmp_path):
    bad_images.write(tmp_path / "a", {"cut.jpg": bad_images.JPEG[:-300]})
    checked(tmp_path, 1).run()
    (tmp_path / "a" / "cut.jpg").write_bytes(bad_images.JPEG[:90])
    with pytest.raises(RuntimeError, match="nvImageCodec failure"):
        checked(tmp_path, 1).run()

"""What mixing is for: labels of which 40 % are wrong, as in section 3.4 of the mixup paper (Zhang
et al. 2018), on the handwritten digits of scikit-learn.

    python -m bench.demo --out bench/results/NAME.json

It runs pipelines/demo.py, which `make demo` runs too, as it is: five seeds of a small network, in
about three minutes on two cores. Accuracy is that on 540 test images, whose labels are right;
"wrong labels learnt" is the share of the wrong training labels that the network gives back.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import program
from dali_mix.measure import record

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> None:
    options = program.Parser("bench.demo", __doc__).checked(arguments)
    demo, here = ROOT / "pipelines/demo.py", os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, demo], cwd=folder, env=here, check=True)
        found = json.loads(Path(folder, "demo/results.json").read_text())
    if options.out:
        made = program.run_of("demo", options, "scikit-learn", threads=1, results=found)
        record.write(options.out, made | {"complete": True})


if __name__ == "__main__":
    main()

"""Times the CUDA kernel alone: runs what nvcc made of kernel.cu, and keeps what it measures.

python -m bench.kernel build/kernel --out kernel-times.json
"""

import json
import subprocess
import sys
from pathlib import Path

from bench import program
from dali_mix.measure import record


def main(arguments: list[str] | None = None) -> None:
    parser = program.Parser("bench.kernel", __doc__)
    parser.add_argument("program", type=Path, help="kernel.cu, compiled")
    options = parser.checked(arguments)
    options.device = "gpu"
    run = program.run_of("kernel-times", options, threads=1, cases=[], complete=False)
    command = [options.program.resolve(), "time"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            program.add(run, "cases", json.loads(line), None, options.out)
    if options.out and running.returncode == 0:
        record.write(options.out, run | {"complete": True}, again=True)
    sys.exit(running.returncode)


if __name__ == "__main__":
    main()

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
    cases = []
    with subprocess.Popen(
        [options.program.resolve(), "time"], stdout=subprocess.PIPE, text=True
    ) as running:
        for line in running.stdout or ():  # after each case, so that a stopped run keeps it
            print(line, end="", flush=True)
            cases.append(json.loads(line))
            keep(cases, options, complete=False)
    if running.returncode:
        sys.exit(running.returncode)
    keep(cases, options, complete=True)


def keep(cases: list[object], options: object, *, complete: bool) -> None:
    if options.out:
        run = program.run_of("kernel-times", options, threads=1, cases=cases, complete=complete)
        record.write(options.out, run, again=complete or len(cases) > 1)


if __name__ == "__main__":
    main()

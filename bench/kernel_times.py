"""The times that bench/kernel.cu measured, with where they come from: a file for bench/results/.
Needs no GPU itself, but is to be run where the times were measured.

    build/kernel time cases.json; python bench/kernel_times.py cases.json --out kernel-times.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix import _harness as harness
from dali_mix.commands import doctor


def main() -> None:
    parser = harness.Parser(__doc__)
    parser.add_argument("cases", type=Path, help="what `kernel time` wrote")
    options = parser.parse_args()
    cases, complete = read(options.cases.read_text())
    print(f"{len(cases)} cases{'' if complete else ', and the list is cut off'}")
    driver = doctor.driver()
    gpu = driver.gpus[0].name if driver and driver.gpus else None
    where = harness.provenance(threads=1, gpu=gpu)
    record = {"benchmark": "kernel-times", "provenance": where}
    if options.out:
        harness.write(options.out, record | {"cases": cases, "complete": complete})


def read(text: str) -> tuple[list[dict[str, Any]], bool]:
    """The cases, and whether these are all: a driver that was stopped leaves a list without end."""
    try:
        return json.loads(text), True
    except json.JSONDecodeError:
        whole = text[: text.rfind("}") + 1] or "["
        return json.loads(whole + "]"), False


if __name__ == "__main__":
    main()

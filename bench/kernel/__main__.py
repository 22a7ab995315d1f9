"""Makes a file of results from the times that bench/kernel/kernel.cu measured. It records the
machine, so run it where the times were measured; it uses no GPU itself.

    build/kernel time cases.json; python -m bench.kernel cases.json --out kernel-times.json
"""

import json
from pathlib import Path
from typing import Any

from bench import program
from dali_mix.commands import doctor
from dali_mix.measure import record


def main(arguments: list[str] | None = None) -> None:
    parser = program.Parser("bench.kernel", __doc__)
    parser.add_argument("cases", type=Path, help="what `kernel time` wrote")
    options = parser.checked(arguments)
    cases, complete = read(options.cases.read_text())
    print(f"{len(cases)} cases{'' if complete else ', and the list is cut off'}")
    if options.out:
        run = program.run_of("kernel-times", options, threads=1, cases=cases, complete=complete)
        driver = doctor.driver()
        run["provenance"]["gpu"] = driver.gpus[0].name if driver and driver.gpus else None
        record.write(options.out, run)


def read(text: str) -> tuple[list[dict[str, Any]], bool]:
    """The cases, and whether the list is complete. A kernel run that was stopped leaves no end."""
    try:
        return json.loads(text), True
    except json.JSONDecodeError:
        whole = text[: text.rfind("}") + 1] or "["
        return json.loads(whole + "]"), False


if __name__ == "__main__":
    main()

"""What the compiler made of the CUDA kernels: registers, stack and spills from ptxas, loads and
stores by width from the disassembly. Needs nvcc, nvdisasm and c++filt; no GPU, nothing is timed.

    python bench/kernel_facts.py --out bench/results/kernel-sm90.json
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dali_mix import _harness as harness

ROOT = harness.ROOT
TYPES = {
    "float": "float32",
    "Half": "float16",
    "unsigned char": "uint8",
    "signed char": "int8",
}
SOURCE = "bench/kernel.cu"


def main() -> None:
    parser = harness.Parser(__doc__)
    parser.add_argument("--arch", default="sm_90", help="default sm_90")
    options = parser.parse_args()
    rules = build_rules()
    toolkit = rules.cuda.find_toolkit(13)
    if toolkit is None:
        raise SystemExit("nvcc 13 was not found in CUDA_HOME, on PATH or in PyPI packages.")
    flags = [flag for flag in rules.NVCC_FLAGS if not flag.startswith("-Xcompiler")]
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder, "kernel.cubin")
        arguments = [*flags, f"-arch={options.arch}", "-Xptxas=-v", "-Idali_mix/native"]
        compiled = call([toolkit.nvcc, *arguments, "-cubin", SOURCE, "-o", cubin], ROOT)
        listing = call([disassembler(rules.cuda), "-c", cubin], ROOT)
    kernels = merge(
        resources(demangled(compiled)), accesses(demangled(listing.replace(".text.", ".text. ")))
    )
    print(f"{len(kernels)} kernels, at most {max(k['registers'] for k in kernels)} registers")
    if options.out:
        settings = {"arch": options.arch, "flags": " ".join(flags), "nvcc": toolkit.version}
        record = {"benchmark": "kernel", "provenance": harness.provenance(threads=1)}
        harness.write(options.out, record | {"settings": settings, "kernels": kernels})


def build_rules() -> Any:
    """setup.py as a module: where nvcc is, and with which flags the plugin is built."""
    spec = importlib.util.spec_from_file_location("build_rules", ROOT / "setup.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def disassembler(cuda: Any) -> str:
    folders = [str(folder / "bin") for folder in cuda.pypi_folders(13)]
    found = shutil.which("nvdisasm") or shutil.which("nvdisasm", path=":".join(folders))
    if found is None:
        raise SystemExit("nvdisasm was not found; run `pip install nvidia-cuda-nvdisasm`.")
    return found


def call(command: list[Any], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def demangled(text: str) -> str:
    return subprocess.run(
        ["c++filt"], input=text, capture_output=True, text=True, check=True
    ).stdout


def kernel_of(line: str) -> dict[str, Any] | None:
    """What a line that names a kernel says of it; None for other lines."""
    plain = line.replace("dali_mix::", "")
    found = re.search(r"(Mix\w+)<(VectorTile|AnyTile)<(.*)>(?:, (true|false))? ?>\(", plain)
    if found is None:
        return None
    kernel, tile, text, layered = found.groups()
    arguments = [argument.strip() for argument in text.split(",")]
    facts = {"kernel": kernel, "tile": tile, "layered": layered == "true"}
    if tile == "AnyTile":
        return facts | {"in": arguments[0], "out": arguments[1]}
    facts |= {
        "in": "uint8",
        "out": TYPES[arguments[0]],
        "layout": ["HWC", "CHW"][arguments[3] == "true"],
    }
    return facts | {"channels": int(arguments[1]), "out_channels": int(arguments[2])}


def key_of(kernel: dict[str, Any]) -> str:
    return repr(sorted(kernel.items()))


def resources(text: str) -> dict[str, dict[str, Any]]:
    """Registers, stack and spills by kernel, from what ptxas -v says."""
    found: dict[str, dict[str, Any]] = {}
    facts: dict[str, Any] = {}
    for line in text.splitlines():
        if "Compiling entry function" in line:
            kernel = kernel_of(line)
            facts = found.setdefault(key_of(kernel), dict(kernel)) if kernel else {}
        if match := re.search(r"(\d+) bytes stack frame, (\d+) .* stores, (\d+) .* loads", line):
            facts |= dict(
                zip(("stack", "spill_stores", "spill_loads"), map(int, match.groups()), strict=True)
            )
        if match := re.search(r"Used (\d+) registers", line):
            facts["registers"] = int(match[1])
    return found


def accesses(text: str) -> dict[str, dict[str, Any]]:
    """Instructions by kernel, and of them loads and stores of global memory by bytes."""
    found: dict[str, dict[str, Any]] = {}
    loads, stores, opcodes = Counter[str](), Counter[str](), Counter[str]()
    for line in text.splitlines():
        if line.startswith(".text."):
            loads, stores, opcodes = Counter(), Counter(), Counter()
            if kernel := kernel_of(line):
                found[key_of(kernel)] = {"loads": loads, "stores": stores, "opcodes": opcodes}
        if match := re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]*)", line):
            name, *modifiers = match[1].split(".")
            opcodes[name] += 1
            if name in ("LD", "LDG", "ST", "STG"):
                (loads if name[0] == "L" else stores)[str(width_of(modifiers))] += 1
    return found


def width_of(modifiers: list[str]) -> int:
    """Bytes that one thread moves."""
    bits = {"U8": 8, "S8": 8, "U16": 16, "S16": 16, "64": 64, "128": 128}
    return next((bits[m] for m in modifiers if m in bits), 32) // 8


def merge(resources: dict[str, Any], accesses: dict[str, Any]) -> list[dict[str, Any]]:
    if resources.keys() != accesses.keys() or not resources:
        raise SystemExit("ptxas and nvdisasm do not speak of the same kernels.")
    kept = ("loads", "stores")
    return [
        facts
        | {name: dict(accesses[key][name]) for name in kept}
        | {"instructions": accesses[key]["opcodes"].total()}
        | {"local": accesses[key]["opcodes"]["LDL"] + accesses[key]["opcodes"]["STL"]}
        for key, facts in resources.items()
    ]


if __name__ == "__main__":
    main()

"""Build rules of the native plugin: DALI flavour, CUDA toolkit, compiler flags.

In dali_mix/lib/ are the core; the CUDA kernels, for each CUDA major; and a shim for each DALI
release and flavour (dali_mix/plugin/shim.py).

Environment variables, all optional:
  DALI_MIX_CUDA        12 or 13: build for DALI's CUDA 12 or CUDA 13 flavour, nvcc required;
                       cpu: no CUDA code even where nvcc exists;
                       unset: that of the installed DALI, else 13; CUDA code if there is an nvcc.
  DALI_MIX_CUDA_ARCHS  GPU architectures in place of ARCHITECTURES below, such as "90" or "80;90".
  DALI_MIX_WERROR      1: a warning of a compiler is an error. For our own builds; a compiler of
                       next year, which warns of more, must not break an installation.
  DALI_MIX_DALI        folders of DALI packages, nvidia/dali, with ":" between them: a shim is built
                       for each, rather than for the one that is installed.
  CUDA_HOME, CXX       where nvcc is looked for first; the C++20 compiler (default g++).
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import setuptools
from setuptools.command.build_ext import build_ext

if int(setuptools.__version__.split(".")[0]) < 77:  # with --no-build-isolation pip does not look
    raise SystemExit(
        f"dali_mix is built with setuptools 77 or later, not {setuptools.__version__}; "
        "run `pip install --upgrade setuptools`."
    )
from setuptools.command.bdist_wheel import bdist_wheel

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dali_mix.plugin import shim
from dali_mix.plugin import toolkit as cuda

# The DALI releases that this version is tested in; the newest is built for where none is installed.
DALI_RELEASES = ("2.2.0", "2.3.0", "2.4.0")

# Turing to Blackwell. Code for sm_80 also runs on sm_86 to sm_89, and so on inside each generation;
# the last entry also goes in as PTX, for GPUs that come later. An older nvcc gets those it knows.
ARCHITECTURES = {13: "75;80;90;100;110;120", 12: "75;80;90;100;120"}

# The .cc files of these rooms make the core, the .cu files the kernels. Each vector path is
# compiled for its instruction set, on its kind of machine alone, and chosen at run time.
NATIVE = Path("dali_mix/native")
CORE_ROOMS = ("loops", "core", "draw")
MACHINE = platform.machine()
VECTOR_FLAGS = {
    "x86_64": {
        "isa_avx2.cc": "-mavx2 -mfma -mf16c".split(),
        "isa_avx512.cc": "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c".split(),
    },
    "aarch64": {"isa_neon.cc": []},
}

HOST_FLAGS = shim.HOST_FLAGS
CXX_FLAGS = ["-O3", *shim.CXX_FLAGS]
NVCC_FLAGS = "-std=c++20 -O3 -DNDEBUG --fmad=false --cudart=static".split()
NVCC_FLAGS += ["-D_GLIBCXX_USE_CXX11_ABI=1", f"-Xcompiler={','.join(HOST_FLAGS)}"]


def choice():
    value = os.environ.get("DALI_MIX_CUDA", "")
    if value not in ("", "12", "13", "cpu"):
        raise SystemExit(
            f"DALI_MIX_CUDA must be 12, 13 or cpu, got {value!r}; unset it for the CUDA 13 flavour."
        )
    return value


def dali_flavour():
    """CUDA major of the DALI package to build for."""
    if choice() in ("12", "13"):
        return int(choice())
    dali = shim.installed_dali()
    return dali.cuda if dali else 13


def dali_requirement():
    """The DALI that is there, of any release; else the newest that we know."""
    dali = shim.installed_dali()
    if dali and dali.cuda == dali_flavour():
        return dali.requirement
    return f"nvidia-dali-cuda{dali_flavour()}0=={DALI_RELEASES[-1]}"


def build_requirements():
    """DALI, and whatever CUDA packages the chosen build needs and this machine lacks."""
    major = dali_flavour()
    if cuda.find_toolkit(major):
        return [dali_requirement()]
    if choice() == "12":
        raise SystemExit(
            "DALI_MIX_CUDA=12 needs the nvcc of a CUDA 12 toolkit, which PyPI does not have, and "
            "none was found in CUDA_HOME or on PATH; install the toolkit, or set DALI_MIX_CUDA=cpu."
        )
    nvcc = cuda.NVCC_PACKAGES[major] if choice() == "13" else []
    return [dali_requirement(), *cuda.HEADER_PACKAGES[major], *nvcc]


def cuda_for_build(major, beside):
    """The toolkit to build with; its nvcc is None in a CPU-only build. `beside`: a folder where pip
    puts CUDA's packages."""
    toolkit = cuda.find_toolkit(major)
    if choice() == str(major) and not toolkit:
        packages = " ".join(cuda.HEADER_PACKAGES[major] + cuda.NVCC_PACKAGES[major])
        raise SystemExit(
            f"DALI_MIX_CUDA={major} needs nvcc {major} with its headers, and none was found in "
            f"CUDA_HOME, on PATH or in PyPI packages; run `pip install {packages}`."
        )
    headers = toolkit or cuda.find_headers(major, beside)
    if not headers:
        raise SystemExit(
            f"cuda_runtime.h of CUDA {major} was not found, and DALI's headers need it even "
            f"without CUDA code; run `pip install {' '.join(cuda.HEADER_PACKAGES[major])}`."
        )
    if choice() == "cpu":
        return cuda.Toolkit(None, "", headers.includes, [])
    return headers


def dalis():
    """Those to build for: named in DALI_MIX_DALI, or the one that is installed."""
    if named := os.environ.get("DALI_MIX_DALI"):
        found = {folder: shim.dali_in(Path(folder)) for folder in named.split(os.pathsep)}
        for folder, dali in found.items():
            if dali is None:
                raise SystemExit(f"DALI_MIX_DALI must name folders of DALI, got {folder!r}.")
        return list(found.values())
    dali = shim.installed_dali()
    if dali is None:
        wanted = dali_requirement()
        raise SystemExit(
            f"dali_mix builds against {wanted}, and no DALI is installed; run "
            f"`pip install {wanted}`, or leave out --no-build-isolation."
        )
    if dali.cuda != dali_flavour():
        raise SystemExit(
            f"DALI_MIX_CUDA={choice()} builds for {dali_requirement()}, but {dali.requirement} is "
            f"installed; unset DALI_MIX_CUDA, or run `pip uninstall -y {dali.package} && "
            f"pip install {dali_requirement()}`."
        )
    return [dali]


def architectures(toolkit, major):
    """Architecture numbers to compile for, in rising order, all known to this nvcc."""
    known = re.findall(r"compute_(\d+)", cuda.run(toolkit.nvcc, "--list-gpu-arch").stdout)
    wanted = os.environ.get("DALI_MIX_CUDA_ARCHS")
    if wanted is None:
        default = ARCHITECTURES[major].split(";")
        chosen = [arch for arch in default if arch in known]
        if not chosen:
            raise SystemExit(
                f"nvcc {toolkit.version} knows none of the architectures {', '.join(default)} that "
                f"dali_mix is built for; it knows {', '.join(known)}. Install another CUDA "
                "toolkit, or choose of these in DALI_MIX_CUDA_ARCHS."
            )
        return chosen
    chosen = [arch.strip() for arch in wanted.split(";")]
    unknown = [arch for arch in chosen if arch not in known]
    if unknown:
        raise SystemExit(
            f"DALI_MIX_CUDA_ARCHS must list architectures that nvcc {toolkit.version} knows, "
            f'separated by ";", got {wanted!r} with {unknown[0]!r}; known are {";".join(known)}.'
        )
    return sorted(set(chosen), key=int)


def gencode(archs):
    flags = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
    return [*flags, f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}"]


class BuildPlugin(build_ext):
    """Compiles the libraries with g++ and nvcc, and writes what each shim is for beside it."""

    def folder(self, inplace):
        return Path("dali_mix/lib") if inplace else Path(self.build_lib, "dali_mix/lib")

    def get_outputs(self):
        there = sorted(self.folder(self.inplace).iterdir())
        return [str(self.folder(False) / path.name) for path in there]

    def get_output_mapping(self):
        outputs = self.get_outputs() if self.inplace else []
        return {path: str(self.folder(True) / Path(path).name) for path in outputs}

    def run(self):
        cxx = os.environ.get("CXX", "g++")
        if not shutil.which(cxx):
            raise SystemExit(f"dali_mix needs a C++20 compiler, {cxx} was not found; set CXX.")
        wanted = dalis()
        majors = {dali.cuda: dali.folder.parent for dali in wanted}
        toolkits = {major: cuda_for_build(major, beside) for major, beside in majors.items()}
        archs = {m: architectures(tool, m) if tool.nvcc else [] for m, tool in toolkits.items()}
        folder, objects = self.folder(self.inplace), Path(self.build_temp, "native")
        shutil.rmtree(folder, ignore_errors=True)
        for made in (folder, objects):
            made.mkdir(parents=True, exist_ok=True)
        core = core_commands(cxx, objects)
        kernels = {m: kernel_commands(cxx, toolkits[m], m, archs[m], objects) for m in majors}
        shims = [
            shim_command(cxx, dali, toolkits[dali.cuda].includes, bool(archs[dali.cuda]), objects)
            for dali in wanted
        ]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(self.call, [*chain(*kernels.values()), *core, *shims]))
        self.link(cxx, folder / shim.CORE, core, objects)
        for major, commands in kernels.items():
            if commands:
                libraries = [f"-L{toolkits[major].libraries[0]}", "-lcudart_static"]
                libraries += ["-lrt", "-ldl", "-lpthread"]
                library = folder / shim.kernel_library(major)
                self.link(cxx, library, commands, objects, *libraries)
        for dali in wanted:
            self.call(shim.link_command(cxx, dali, bool(archs[dali.cuda]), objects, folder))
            self.describe(cxx, dali, toolkits[dali.cuda], archs[dali.cuda], folder)

    def link(self, cxx, library, commands, objects, *libraries):
        made = [command[-1] for command in commands]
        link = [cxx, "-shared", f"-Wl,-soname,{library.name}", "-o", str(library), *made]
        script = f"-Wl,--version-script,{shim.version_script(objects)}"
        self.call([*link, script, "-Wl,--as-needed", *libraries])

    def describe(self, cxx, dali, toolkit, archs, folder):
        nvcc = f", nvcc {toolkit.version}" if toolkit.nvcc else ""
        shim.Built(
            version=self.distribution.get_version(),
            dali=dali.release,
            dali_cuda=dali.cuda,
            cuda=dali.cuda if archs else None,
            architectures=(
                *(f"sm_{arch}" for arch in archs),
                *(f"compute_{a}" for a in archs[-1:]),
            ),
            compiler=cuda.run(cxx, "--version").stdout.partition("\n")[0] + nvcc,
        ).write(folder / dali.library)

    def call(self, command):
        print(shlex.join(command) + "\n", end="", flush=True)
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"dali_mix could not be built: {command[0]} failed, see above.")


def warnings_are_errors():
    return ["-Werror"] if os.environ.get("DALI_MIX_WERROR") == "1" else []


def vector_flags(source, machine):
    """Those that a source needs beside the common ones; None on a machine that it is not for."""
    for kind, flags in VECTOR_FLAGS.items():
        if source.name in flags:
            return flags[source.name] if kind == machine else None
    return []


def core_commands(cxx, objects, machine=MACHINE):
    """One command per source, each ending in its object file; the slowest come first."""
    commands = []
    for source in chain(*(sorted((NATIVE / room).glob("*.cc")) for room in CORE_ROOMS)):
        vector = vector_flags(source, machine)
        if vector is not None:
            flags = [*CXX_FLAGS, *warnings_are_errors(), *vector, f"-I{NATIVE}"]
            commands.append([cxx, *flags, "-c", str(source)])
    return [[*command, "-o", object_for(command[-1], objects)] for command in commands]


def kernel_commands(cxx, toolkit, major, archs, objects):
    """The same for the kernels; none where there is no nvcc."""
    if not toolkit.nvcc:
        return []
    strict = ["-Werror=all-warnings", "-Xcompiler=-Werror"] if warnings_are_errors() else []
    jobs = f"--threads={len(os.sched_getaffinity(0))}"
    command = [toolkit.nvcc, f"-ccbin={cxx}", *NVCC_FLAGS, *strict, jobs, *gencode(archs)]
    command += [f"-I{NATIVE}", "-c"]
    sources = sorted(map(str, NATIVE.glob("kernel/*.cu")))
    return [
        [*command, source, "-o", object_for(source, objects, f".cuda{major}")] for source in sources
    ]


def shim_command(*arguments):
    return [*shim.compile_command(*arguments), *warnings_are_errors()]


def object_for(source, objects, kind=""):
    """Of a source in one of the rooms: two rooms may have files of one name."""
    return str(objects / f"{Path(source).parent.name}_{Path(source).name}{kind}.o")


class PluginWheel(bdist_wheel):
    """The plugin uses nothing of CPython: one wheel serves every Python 3."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


if __name__ == "__main__":
    sources = sorted(str(path) for path in NATIVE.glob("*/*.c[cu]"))
    setuptools.setup(
        ext_modules=[setuptools.Extension("dali_mix.lib", sources)],
        cmdclass={"build_ext": BuildPlugin, "bdist_wheel": PluginWheel},
        setup_requires=[] if os.environ.get("DALI_MIX_DALI") else build_requirements(),
    )

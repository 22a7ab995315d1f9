"""Build rules of the native plugin: DALI flavour, CUDA toolkit, compiler flags.

Environment variables, all optional:
  DALI_MIX_CUDA        12 or 13: build for DALI's CUDA 12 or CUDA 13 flavour, nvcc required;
                       cpu: no CUDA code even where nvcc exists;
                       unset: CUDA 13 flavour, CUDA code if an nvcc 13 is found, else CPU only.
  DALI_MIX_CUDA_ARCHS  GPU architectures in place of ARCHITECTURES below, such as "90" or "80;90".
  DALI_MIX_WERROR      1: a warning of a compiler is an error. For our own builds; a compiler of
                       next year, which warns of more, must not break an installation.
  DALI_MIX_DALI        a DALI release in place of DALI_RELEASE below, to try it; what the tests of
                       that plugin say: tools/matrix.py.
  CUDA_HOME, CXX       where nvcc is looked for first; the C++20 compiler (default g++).
"""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import setuptools
from setuptools.command.build_ext import build_ext

if int(setuptools.__version__.split(".")[0]) < 77:  # with --no-build-isolation pip does not look
    raise SystemExit(
        f"dali_mix is built with setuptools 77 or later, not {setuptools.__version__}; "
        "run `pip install --upgrade setuptools`."
    )
from setuptools.command.bdist_wheel import bdist_wheel

sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
import cuda_toolkit as cuda

# The one DALI release this version is for. A plugin loads only in the release it was linked with,
# so the build requirement and the run requirement are both made from this line.
DALI_RELEASE = os.environ.get("DALI_MIX_DALI") or "2.4.0"

# Turing to Blackwell. Code for sm_80 also runs on sm_86 to sm_89, and so on inside each generation;
# the last entry also goes in as PTX, for GPUs that come later. An older nvcc gets those it knows.
ARCHITECTURES = {13: "75;80;90;100;110;120", 12: "75;80;90;100;120"}

# All .cc and .cu files in its rooms make the plugin. Each vector path is compiled for its
# instruction set, on x86-64 only, and chosen at run time.
NATIVE = Path("dali_mix/native")
VECTOR_FLAGS = {
    "isa_avx2.cc": "-mavx2 -mfma -mf16c".split(),
    "isa_avx512.cc": "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c".split(),
}

# No contraction: CPU and CUDA agree to the bit only if every fma is a written one.
# free-nonheap-object is a false alarm of g++ 12 about DALI's small_vector.h, inlined into our code.
HOST_FLAGS = (
    "-fPIC -fvisibility=hidden -ffp-contract=off -Wall -Wextra -Wno-free-nonheap-object"
).split()
CXX_FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", *HOST_FLAGS]
NVCC_FLAGS = (
    "-std=c++20 -O3 -DNDEBUG --fmad=false --cudart=static "
    # A warning about DALI's philox.h that -isystem does not silence.
    f"-diag-suppress=20012 -Xcompiler={','.join(HOST_FLAGS)}"
).split()


def choice():
    value = os.environ.get("DALI_MIX_CUDA", "")
    if value not in ("", "12", "13", "cpu"):
        raise SystemExit(
            f"DALI_MIX_CUDA must be 12, 13 or cpu, got {value!r}; unset it for the CUDA 13 flavour."
        )
    return value


def dali_flavour():
    """CUDA major of the DALI package to build for; for cpu that of the installed one."""
    if choice() == "cpu":
        for major in (13, 12):
            try:
                importlib.metadata.version(f"nvidia-dali-cuda{major}0")
                return major
            except importlib.metadata.PackageNotFoundError:
                pass
    return 12 if choice() == "12" else 13


def dali_requirement():
    return f"nvidia-dali-cuda{dali_flavour()}0=={DALI_RELEASE}"


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


def cuda_for_build():
    """The toolkit to build with; its nvcc is None in a CPU-only build."""
    major = dali_flavour()
    toolkit = cuda.find_toolkit(major)
    if choice() in ("12", "13") and not toolkit:
        packages = " ".join(cuda.HEADER_PACKAGES[major] + cuda.NVCC_PACKAGES[major])
        raise SystemExit(
            f"DALI_MIX_CUDA={major} needs nvcc {major} with its headers, and none was found in "
            f"CUDA_HOME, on PATH or in PyPI packages; run `pip install {packages}`."
        )
    headers = toolkit or cuda.find_headers(major)
    if not headers:
        raise SystemExit(
            f"cuda_runtime.h of CUDA {major} was not found, and DALI's headers need it even "
            f"without CUDA code; run `pip install {' '.join(cuda.HEADER_PACKAGES[major])}`."
        )
    if choice() == "cpu":
        return cuda.Toolkit(None, "", headers.includes, [])
    return headers


def installed_dali():
    """The DALI to build against, checked to be the pinned one."""
    wanted = dali_requirement()
    try:
        import nvidia.dali.sysconfig as sysconfig
        from nvidia import dali
    except ImportError as error:
        raise SystemExit(
            f"dali_mix builds against {wanted}, and DALI cannot be imported ({error}); run "
            f"`pip install {wanted}`, or leave out --no-build-isolation."
        ) from None
    # 13492 for 13.4.92: the digits without the dots, so only the first two have a fixed meaning.
    found = f"nvidia-dali-cuda{str(dali.__cuda_version__)[:2]}0"
    if f"{found}=={dali.__version__}" != wanted:
        raise SystemExit(
            f"dali_mix builds against {wanted}, but {found}=={dali.__version__} is installed; run "
            f"`pip uninstall -y {found} && pip install {wanted}`, or choose another flavour with "
            "DALI_MIX_CUDA=12, 13 or cpu."
        )
    return sysconfig


def architectures(toolkit):
    """Architecture numbers to compile for, in rising order, all known to this nvcc."""
    known = re.findall(r"compute_(\d+)", cuda.run(toolkit.nvcc, "--list-gpu-arch").stdout)
    wanted = os.environ.get("DALI_MIX_CUDA_ARCHS")
    if wanted is None:
        default = ARCHITECTURES[dali_flavour()].split(";")
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
    """Compiles the plugin with g++ and nvcc, and writes _built.json beside it."""

    def get_ext_filename(self, fullname):
        return fullname.replace(".", "/") + ".so"

    def get_outputs(self):
        return [*super().get_outputs(), *map(built_json, super().get_outputs())]

    def get_output_mapping(self):
        pairs = super().get_output_mapping()
        return pairs | {built_json(source): built_json(copy) for source, copy in pairs.items()}

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        for ext in self.extensions:
            regular = os.path.join(self.build_lib, self.get_ext_filename(ext.name))
            self.copy_file(built_json(regular), built_json(self.get_ext_filename(ext.name)))

    def build_extension(self, ext):
        sysconfig = installed_dali()
        toolkit = cuda_for_build()
        archs = architectures(toolkit) if toolkit.nvcc else []
        cxx = os.environ.get("CXX", "g++")
        if not shutil.which(cxx):
            raise SystemExit(f"dali_mix needs a C++20 compiler, {cxx} was not found; set CXX.")

        library = Path(self.get_ext_fullpath(ext.name))
        objects = Path(self.build_temp, "native")
        for folder in (library.parent, objects):
            folder.mkdir(parents=True, exist_ok=True)
        # As system headers, so that warnings count for our own sources alone.
        headers = [sysconfig.get_include_dir(), *toolkit.includes]
        common = [flag for folder in headers for flag in ("-isystem", str(folder))]
        common += [f for f in sysconfig.get_compile_flags() if f.startswith("-D")]
        commands = compile_commands(cxx, toolkit, archs, common, objects)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(self.call, commands))
        link = [cxx, "-shared", "-o", str(library), *(command[-1] for command in commands)]
        # Nothing is said about where libdali.so is: at load time the running DALI has it already.
        link += ["-Wl,--as-needed", "-Wl,--exclude-libs,ALL", *sysconfig.get_link_flags()]
        if toolkit.nvcc:
            link += [f"-L{toolkit.libraries[0]}", "-lcudart_static", "-lrt", "-ldl", "-lpthread"]
        self.call(link)
        Path(built_json(library)).write_text(
            json.dumps(self.description(cxx, toolkit, archs), indent=2) + "\n"
        )

    def description(self, cxx, toolkit, archs):
        nvcc = f", nvcc {toolkit.version}" if toolkit.nvcc else ""
        ptx = [f"compute_{archs[-1]}"] if archs else []
        return {
            "version": self.distribution.get_version(),
            "dali": DALI_RELEASE,
            "dali_cuda": dali_flavour(),
            "cuda": dali_flavour() if toolkit.nvcc else None,
            "architectures": [f"sm_{arch}" for arch in archs] + ptx,
            "compiler": cuda.run(cxx, "--version").stdout.partition("\n")[0] + nvcc,
        }

    def call(self, command):
        print(shlex.join(command) + "\n", end="", flush=True)
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"dali_mix could not be built: {command[0]} failed, see above.")


def built_json(library):
    return str(Path(library).with_name("_built.json"))


def compile_commands(cxx, toolkit, archs, common, objects):
    """One command per source, each ending in its object file; the slowest come first."""
    commands = []
    common = [f"-I{NATIVE}", *common]
    strict = os.environ.get("DALI_MIX_WERROR") == "1"
    host = ["-Werror"] if strict else []
    if toolkit.nvcc:
        jobs = f"--threads={len(os.sched_getaffinity(0))}"
        nvcc = [toolkit.nvcc, f"-ccbin={cxx}", *NVCC_FLAGS, jobs, *gencode(archs), *common]
        nvcc += ["-Werror=all-warnings", "-Xcompiler=-Werror"] if strict else []
        commands += [[*nvcc, "-c", source] for source in sorted(NATIVE.glob("*/*.cu"))]
    else:
        common = [*common, "-DDALI_MIX_CPU_ONLY=1"]
    for source in sorted(NATIVE.glob("*/*.cc")):
        vector = VECTOR_FLAGS.get(source.name, [])
        if platform.machine() == "x86_64" or not vector:
            commands.append([cxx, *CXX_FLAGS, *host, *vector, *common, "-c", source])
    return [[*map(str, c), "-o", str(objects / object_name(c[-1]))] for c in commands]


def object_name(source):
    """Of a source in one of the rooms: two rooms may have files of one name."""
    return f"{source.parent.name}_{source.name}.o"


class PluginWheel(bdist_wheel):
    """The plugin uses nothing of CPython: one wheel serves every Python 3."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


if __name__ == "__main__":
    sources = sorted(str(path) for path in NATIVE.glob("*/*.c[cu]"))
    setuptools.setup(
        ext_modules=[setuptools.Extension("dali_mix.libdali_mix", sources)],
        cmdclass={"build_ext": BuildPlugin, "bdist_wheel": PluginWheel},
        setup_requires=build_requirements(),
        install_requires=[dali_requirement(), "numpy>=1.26"],
    )

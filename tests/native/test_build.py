"""The build rules in setup.py: requirements, flavours, toolkits, sources, flags; and make's choice
of them. What a wheel holds: test_wheel.py."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_wheel
import pytest
import tomllib
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "dali_mix/native"


@pytest.fixture
def rules(monkeypatch):
    """setup.py as a module, on a machine without any nvcc unless the test adds one."""
    variables = ("CUDA", "CUDA_ARCHS", "WERROR", "DALI")
    for name in ("CUDA_HOME", *(f"DALI_MIX_{name}" for name in variables)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("setup_rules", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.cuda.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.cuda, "pypi_folders", lambda major: [])
    return module


def fake_toolkit(folder, release, archs=("75", "90", "120")):
    """A toolkit whose nvcc only answers questions."""
    known = " ".join(f"compute_{arch}" for arch in archs)
    for name in ("bin/nvcc", "include/cuda_runtime.h", "lib/libcudart_static.a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    nvcc = folder / "bin/nvcc"
    nvcc.write_text(f"""#!/bin/sh
case "$1" in
  --version) echo "Cuda compilation tools, release {release}, V{release}.1" ;;
  --dryrun) echo "#$ TOP={folder}/bin/.." >&2 ;;
  --list-gpu-arch) printf '%s\\n' {known} ;;
esac
""")
    nvcc.chmod(0o755)
    return folder


@pytest.fixture
def pip_hooks(tmp_path):
    """Runs the hooks that pip runs, in a copy of the sources; its output, or its error."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path)
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "dali_mix", tmp_path / "dali_mix", ignore=ignore)

    def call(code, **environment):
        code = f"import setuptools.build_meta as hooks, sys, json; {code}"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "DALI_MIX_CUDA": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else done.stderr

    call.folder = tmp_path
    return call


@pytest.mark.parametrize("flavour", ["", "cpu", "12", "13"])
def test_pip_builds_with_the_dali_that_is_there_and_replaces_none(rules, pip_hooks, flavour):
    code = "print(json.dumps(hooks.get_requires_for_build_wheel())); "
    code += "hooks.prepare_metadata_for_build_wheel('.')"
    home = fake_toolkit(pip_hooks.folder / "cuda", "12.9" if flavour == "12" else "13.0")
    out = pip_hooks(code, DALI_MIX_CUDA=flavour, CUDA_HOME=str(home))
    build = json.loads(next(line for line in out.splitlines() if line.startswith("[")))
    there = rules.shim.installed_dali()
    other = flavour in ("12", "13") and int(flavour) != there.cuda
    newest = f"nvidia-dali-cuda{flavour}0=={rules.DALI_RELEASES[-1]}"
    assert (newest if other else there.requirement) in build
    metadata = (pip_hooks.folder / "dali_mix-0.1.0.dist-info/METADATA").read_text()
    needed = re.findall(r"^Requires-Dist: (nvidia-dali[^;]+); (.*)$", metadata, re.MULTILINE)
    # Of two flavours the one that is not there would be installed over the other.
    assert [marker for _, marker in needed] == ['extra == "cuda13"', 'extra == "cuda12"']


def test_the_range_of_dali_is_that_of_the_releases_that_are_tested(rules):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for major in (12, 13):
        [requirement] = map(Requirement, extras[f"cuda{major}"])
        assert requirement.name == f"nvidia-dali-cuda{major}0"
        assert all(release in requirement.specifier for release in rules.DALI_RELEASES)
        first, *_, last = ([int(n) for n in r.split(".")] for r in rules.DALI_RELEASES)
        assert f"{first[0]}.{first[1] - 1}.9" not in requirement.specifier
        assert f"{last[0]}.{last[1] + 1}.0" not in requirement.specifier


@pytest.mark.parametrize("value", ["11", "CPU", "12.9"])
def test_an_unknown_flavour_is_one_sentence(pip_hooks, value):
    error = pip_hooks("hooks.get_requires_for_build_wheel()", DALI_MIX_CUDA=value)
    assert error.splitlines()[-1] == (
        f"DALI_MIX_CUDA must be 12, 13 or cpu, got '{value}'; unset it for the CUDA 13 flavour."
    )
    assert "Traceback" not in error


def test_without_nvcc_the_headers_are_required_and_no_compiler(rules):
    pin, *packages = rules.build_requirements()
    assert pin == rules.dali_requirement()
    assert packages == rules.cuda.HEADER_PACKAGES[13]


def test_without_nvcc_cuda_13_requires_the_pinned_set_from_pypi(rules, monkeypatch):
    monkeypatch.setenv("DALI_MIX_CUDA", "13")
    names = [requirement.partition("==")[0] for requirement in rules.build_requirements()[1:]]
    pieces = ["nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt"]
    assert sorted(names) == sorted([*pieces, "nvidia-cuda-runtime", "nvidia-cuda-cccl"])
    assert all("==" in requirement for requirement in rules.build_requirements())


def test_without_nvcc_cuda_12_says_that_pypi_has_none(rules, monkeypatch):
    monkeypatch.setenv("DALI_MIX_CUDA", "12")
    with pytest.raises(SystemExit, match="DALI_MIX_CUDA=12 needs the nvcc of a CUDA 12 toolkit"):
        rules.build_requirements()


def test_with_nvcc_dali_is_the_only_requirement(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path, "12.9")))
    monkeypatch.setenv("DALI_MIX_CUDA", "12")
    assert rules.build_requirements() == [rules.dali_requirement()]


def test_cuda_home_comes_before_path(rules, monkeypatch, tmp_path):
    home = fake_toolkit(tmp_path / "home", "13.0")
    path = fake_toolkit(tmp_path / "path", "13.1")
    monkeypatch.setattr(rules.cuda.shutil, "which", lambda name: str(path / "bin/nvcc"))
    assert rules.cuda.find_toolkit(13).version == "13.1"
    monkeypatch.setenv("CUDA_HOME", str(home))
    assert rules.cuda.find_toolkit(13).version == "13.0"


def test_an_nvcc_of_another_cuda_is_passed_over(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path / "home", "12.9")))
    pypi = fake_toolkit(tmp_path / "cu13", "13.0")
    monkeypatch.setattr(rules.cuda, "pypi_folders", lambda major: [pypi])
    assert rules.cuda.find_toolkit(13).nvcc == str(pypi / "bin/nvcc")


def test_a_cpu_build_uses_no_nvcc_that_is_there(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path, "13.0")))
    assert rules.cuda_for_build(13, tmp_path).nvcc
    monkeypatch.setenv("DALI_MIX_CUDA", "cpu")
    assert rules.cuda_for_build(13, tmp_path).nvcc is None


@pytest.mark.parametrize(("choice", "message"), [("13", "needs nvcc 13"), ("", "cuda_runtime.h")])
def test_missing_cuda_names_the_packages(rules, monkeypatch, tmp_path, choice, message):
    monkeypatch.setenv("DALI_MIX_CUDA", choice)
    with pytest.raises(SystemExit, match=message + ".*`pip install nvidia-cuda-runtime=="):
        rules.cuda_for_build(13, tmp_path)


def is_installed(monkeypatch, rules, dali):
    monkeypatch.setattr(rules.shim, "installed_dali", lambda: dali)


def test_missing_dali_names_the_command(rules, monkeypatch):
    is_installed(monkeypatch, rules, None)
    command = f"run `pip install nvidia-dali-cuda130=={rules.DALI_RELEASES[-1]}`"
    with pytest.raises(SystemExit, match=f"no DALI is installed; {command}"):
        rules.dalis()


@pytest.mark.parametrize("flavour", ["", "cpu", "12"])
@pytest.mark.parametrize("release", ["2.2.0", "9.8.7"])
def test_the_dali_that_is_there_is_built_for(rules, monkeypatch, flavour, release):
    dali = rules.shim.Dali(release, 12, Path("nvidia/dali"))
    is_installed(monkeypatch, rules, dali)
    monkeypatch.setenv("DALI_MIX_CUDA", flavour)
    assert rules.dalis() == [dali]
    assert rules.dali_requirement() == f"nvidia-dali-cuda120=={release}"


def test_another_flavour_of_dali_names_both_and_the_command(rules, monkeypatch):
    is_installed(monkeypatch, rules, rules.shim.Dali("2.3.0", 12, Path("nvidia/dali")))
    monkeypatch.setenv("DALI_MIX_CUDA", "13")
    wanted = f"nvidia-dali-cuda130=={rules.DALI_RELEASES[-1]}"
    with pytest.raises(SystemExit, match=f"{wanted}, but nvidia-dali-cuda120==2.3.0 is installed"):
        rules.dalis()


def test_the_table_of_releases_is_what_is_built(rules):
    [row] = re.findall(r"^\| (2\..*) \|$", (ROOT / "docs/install.md").read_text(), re.MULTILINE)
    releases, flavours, python, torch, glibc = row.split(" | ")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert releases == ", ".join(rules.DALI_RELEASES)
    assert re.findall(r"CUDA (\d+)", flavours) == [str(major) for major in build_wheel.FLAVOURS]
    assert project["requires-python"] == ">=" + python.removesuffix(" or later")
    needed = project["optional-dependencies"]["torch"]
    assert needed == ["torch>=" + torch.removesuffix(" or later")]
    assert glibc.removesuffix(" or later") == build_wheel.GLIBC


def test_packages_of_dali_can_be_named(rules, monkeypatch, tmp_path):
    folders = [tmp_path / "a/nvidia/dali", tmp_path / "b/nvidia/dali"]
    for folder, (release, cuda) in zip(
        folders, [("2.3.0", "13.1.92"), ("2.4.1", "12.9.86")], strict=True
    ):
        folder.mkdir(parents=True)
        text = f"__version__ = '{release}'\n__cuda_version__ = int('{cuda}'.replace('.', ''))\n"
        (folder / "__init__.py").write_text(text)
    monkeypatch.setenv("DALI_MIX_DALI", f"{folders[0]}:{folders[1]}")
    assert [dali.requirement for dali in rules.dalis()] == [
        "nvidia-dali-cuda130==2.3.0",
        "nvidia-dali-cuda120==2.4.1",
    ]
    monkeypatch.setenv("DALI_MIX_DALI", str(tmp_path))
    with pytest.raises(SystemExit, match=f"must name folders of DALI, got '{tmp_path}'"):
        rules.dalis()


def test_a_dali_package_is_read_as_it_describes_itself(rules):
    from nvidia import dali

    found = rules.shim.installed_dali()
    assert found.release == dali.__version__ and found.folder == Path(dali.__file__).parent
    assert str(dali.__cuda_version__).startswith(str(found.cuda))


def test_architectures_can_be_chosen_in_one_variable(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path, "13.0")))
    monkeypatch.setenv("DALI_MIX_CUDA_ARCHS", "90; 75")
    archs = rules.architectures(rules.cuda.find_toolkit(13), 13)
    assert archs == ["75", "90"]
    assert rules.gencode(archs)[-1] == "-gencode=arch=compute_90,code=compute_90"


@pytest.mark.parametrize("flavour", ["12", "13"])
@pytest.mark.parametrize("lacks", [["100", "110", "120"], ["75"], ["80", "120"], []], ids=" ".join)
def test_an_nvcc_builds_for_the_architectures_that_it_knows(
    rules, monkeypatch, tmp_path, flavour, lacks
):
    """CUDA 12.0 has no 100 and 120; one to come will have no 75."""
    ours = rules.ARCHITECTURES[int(flavour)].split(";")
    known = ["52", *(arch for arch in ours if arch not in lacks)]
    home = fake_toolkit(tmp_path, f"{flavour}.0", known)
    monkeypatch.setenv("CUDA_HOME", str(home))
    monkeypatch.setenv("DALI_MIX_CUDA", flavour)
    archs = rules.architectures(rules.cuda.find_toolkit(int(flavour)), int(flavour))
    assert archs == known[1:]
    assert rules.gencode(archs)[-1].endswith(f"code=compute_{known[-1]}")
    monkeypatch.setenv("DALI_MIX_CUDA_ARCHS", rules.ARCHITECTURES[int(flavour)])
    if {*lacks} & {*ours}:  # what is asked for by name is refused
        with pytest.raises(SystemExit, match="must list architectures that nvcc"):
            rules.architectures(rules.cuda.find_toolkit(int(flavour)), int(flavour))


def test_an_nvcc_that_knows_none_of_the_architectures_is_one_sentence(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path, "13.0", ["200"])))
    with pytest.raises(SystemExit, match=r"nvcc 13.0 knows none of the architectures 75, 80, .*"):
        rules.architectures(rules.cuda.find_toolkit(13), 13)


@pytest.mark.parametrize("asked", [False, True])
def test_warnings_are_errors_only_where_that_is_asked_for(rules, monkeypatch, tmp_path, asked):
    if asked:
        monkeypatch.setenv("DALI_MIX_WERROR", "1")
    toolkit = rules.cuda.Toolkit("nvcc", "13.0", [], [])
    commands = rules.core_commands("g++", tmp_path)
    commands += rules.kernel_commands("g++", toolkit, 13, ["90"], tmp_path)
    commands.append(rules.shim_command("g++", rules.dalis()[0], [], True, tmp_path))
    assert {command[0] for command in commands} == {"g++", "nvcc"}
    for command in commands:
        assert any("-Werror" in flag for flag in command) == asked
        assert "-Wextra" in ",".join(command).split(",")


@pytest.mark.parametrize("value", ["", "90,75", "sm_90", "35"])
def test_an_unknown_architecture_is_named(rules, monkeypatch, tmp_path, value):
    monkeypatch.setenv("CUDA_HOME", str(fake_toolkit(tmp_path, "13.0")))
    monkeypatch.setenv("DALI_MIX_CUDA_ARCHS", value)
    with pytest.raises(SystemExit, match=f"must list .*, got '{value}' .*; known are 75;90;120."):
        rules.architectures(rules.cuda.find_toolkit(13), 13)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
def test_vector_flags_stay_with_their_own_files(rules, machine):
    commands = rules.core_commands("g++", Path("out"), machine)
    vector = {path.name for path in NATIVE.glob("loops/isa_*.cc")} - {"isa_baseline.cc"}
    assert set().union(*rules.VECTOR_FLAGS.values()) == vector
    wanted = rules.VECTOR_FLAGS.get(machine, {})
    core = {path.name for room in rules.CORE_ROOMS for path in (NATIVE / room).glob("*.cc")}
    assert {Path(command[-3]).name for command in commands} == core - vector | set(wanted)
    for command in commands:
        flags = wanted.get(Path(command[-3]).name, [])
        assert [flag for flag in command if re.match(r"-m(avx|fma|f16c|arch)", flag)] == flags
        assert "-ffp-contract=off" in command


def test_a_shim_without_kernels_tells_of_it(rules, tmp_path):
    for kernels in (False, True):
        command = rules.shim_command("g++", rules.dalis()[0], [], kernels, tmp_path)
        assert ("-DDALI_MIX_CPU_ONLY=1" in command) != kernels
        source = Path(command[command.index("-c") + 1]).read_text()
        assert ("apply_gpu.cc" in source) == kernels and "apply_cpu.cc" in source


def test_the_cuda_code_compiles(rules, monkeypatch, tmp_path):
    monkeypatch.undo()  # the nvcc of this machine, wherever it is
    monkeypatch.chdir(ROOT)
    toolkit = rules.cuda.find_toolkit(13)
    if toolkit is None:
        pytest.skip("no nvcc 13 in CUDA_HOME, on PATH or in PyPI packages")
    commands = rules.kernel_commands("g++", toolkit, 13, ["90"], tmp_path)
    assert len(commands) == len(list(NATIVE.glob("*/*.cu"))) > 0
    for command in commands:  # as far as PTX: a fifth of the time, and nearly all errors
        quick = ["-ptx" if flag == "-c" else flag for flag in command]
        quick = [flag for flag in quick if not flag.endswith("code=sm_90")]
        done = subprocess.run([*quick, "-O0", "-Xcicc", "-O0"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("archs", "stamp"), [("90", "13-90"), ("80;90", "13-80-90"), ("80; 90", "13-80-90")]
)
def test_make_takes_architectures_as_setup_py_does(archs, stamp):
    chosen = {"DALI_MIX_CUDA": "13", "DALI_MIX_CUDA_ARCHS": archs}
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # of the `make test` that runs this
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "test"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in outer} | chosen,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"touch '.venv/.installed-{stamp}'" in done.stdout.splitlines()


def test_pre_commit_uses_the_versions_that_make_lint_uses():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    pins = re.findall(r'"[a-z-]+==[\d.]+"', hooks)
    assert pins
    assert all(pin in project for pin in pins)

"""The command line's manners, and what `dali-mix doctor` says of machines other than this one."""

import dataclasses
import re
import types
from pathlib import Path

import pytest

import dali_mix
from dali_mix.commands import cli, doctor
from dali_mix.plugin import shim

BUILT = shim.Built("0.1.0", "2.4.0", 13, 13, ("sm_80", "sm_90", "compute_90"), "g++ 12")
NATIVE = Path(dali_mix.__file__).parent / "native"
H200 = doctor.Gpu("NVIDIA H200", 90)


def gpu_lines(built=BUILT, cuda=13000, gpus=(H200,)):
    return list(doctor._gpu_lines(built, doctor.Driver(cuda, list(gpus))))


def test_doctor_finds_this_installation_usable(capsys):
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "--  ")) for line in lines)
    assert any(line.startswith("ok  plugin loads in DALI") for line in lines)


def test_doctor_says_that_the_plugin_is_not_built(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(shim, "LIBRARIES", tmp_path)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "--  plugin: the native part of dali_mix is not built" in out
    assert "`pip install -e .`" in out


def test_a_gpu_that_the_plugin_has_code_for_is_ok():
    assert [line.ok for line in gpu_lines()] == [True, True, True]
    assert gpu_lines()[-1].text == "GPU NVIDIA H200, compute capability 9.0"


def test_two_flavours_of_dali_make_it_unusable(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda package: "2.4.0")
    *packages, conflict = doctor._dali_lines()
    assert [line.ok for line in packages] == [True, True]
    assert not conflict.ok
    assert conflict.essential
    assert "`pip uninstall -y nvidia-dali-cuda130 nvidia-dali-cuda120`" in conflict.text


def test_no_driver_is_no_hindrance():
    code, gpu = doctor._gpu_lines(BUILT, None)
    assert code.ok
    assert not gpu.ok
    assert not gpu.essential
    assert "libcuda.so.1" in gpu.text


def test_a_cpu_only_plugin_beside_a_gpu_says_how_to_rebuild():
    built = dataclasses.replace(BUILT, cuda=None, architectures=())
    [line] = gpu_lines(built)
    assert not line.ok
    assert "reinstall dali_mix with DALI_MIX_CUDA=13" in line.text


def test_a_driver_that_is_too_old_says_what_to_do():
    line = gpu_lines(cuda=12040)[1]
    assert not line.ok
    assert line.text.startswith("driver runs CUDA up to 12.4, the plugin needs 13; update it")
    assert line.text.endswith("DALI_MIX_CUDA=12")


def test_a_gpu_without_code_names_the_architecture_to_build_for():
    line = gpu_lines(gpus=[doctor.Gpu("Tesla T4", 75)])[-1]
    assert not line.ok
    assert line.text.endswith('DALI_MIX_CUDA_ARCHS="75"')


@pytest.mark.parametrize(
    ("architecture", "capability", "covered"),
    [
        ("sm_80", 80, True),
        ("sm_80", 89, True),
        ("sm_89", 86, False),
        ("sm_80", 90, False),
        ("sm_100", 103, True),
        ("sm_100", 120, False),
        ("compute_90", 120, True),
        ("compute_90", 80, False),
    ],
)
def test_which_gpus_code_runs_on(architecture, capability, covered):
    assert doctor.covers(architecture, capability) == covered


@pytest.mark.parametrize(
    ("flags", "limit", "text"),
    [
        ("avx2 fma f16c avx512f avx512bw avx512vl avx512dq", "", "avx512"),
        ("avx2 fma f16c avx512f", "", "avx2"),
        ("avx2 fma f16c", "avx512", "avx2"),
        ("avx2 fma", "", "baseline"),
        ("avx2 fma f16c", "baseline", "baseline, held there by DALI_MIX_CPU=baseline"),
        ("avx2 fma f16c", "neon", "baseline, held there by DALI_MIX_CPU=neon"),
        ("fp asimd", "", "neon"),
        ("fp asimd", "avx2", "neon"),
        ("fp asimd", "baseline", "baseline, held there by DALI_MIX_CPU=baseline"),
    ],
)
def test_the_vector_path_is_the_best_that_is_there_and_allowed(flags, limit, text):
    line = doctor._cpu_line(set(flags.split()), limit)
    assert line.ok
    assert line.text.startswith(f"CPU path {text}, ")


def test_the_flags_of_a_vector_path_are_those_that_the_plugin_asks_for():
    asked = re.findall(r'cpu_supports\("(\w+)"\)', (NATIVE / "loops/dispatch.cc").read_text())
    # NEON is part of 64-bit Arm, and not asked for.
    assert {*asked, "asimd"} == set().union(*doctor._VECTOR_PATHS.values())


def test_a_meaningless_limit_of_the_vector_path_is_named():
    line = doctor._cpu_line(set(), "sse")
    assert not line.ok
    assert "DALI_MIX_CPU is 'sse'" in line.text


@pytest.mark.gpu
def test_the_driver_names_this_gpu():
    assert all(gpu.name and gpu.capability >= 75 for gpu in doctor.driver().gpus)


@pytest.mark.parametrize("arguments", [[], ["doctr"], ["doctor", "--fast"]])
def test_bad_arguments_are_one_line_and_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def command(monkeypatch, error):
    def run(args):
        raise error

    module = types.SimpleNamespace(add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(cli.COMMANDS, "fail", module)
    return cli.main(["fail"])


def test_an_error_is_one_line_and_status_2(monkeypatch, capsys):
    assert command(monkeypatch, ValueError("alpha must be > 0,\n  got -1")) == 2
    assert capsys.readouterr().err == "dali-mix fail: alpha must be > 0, got -1\n"


def test_ctrl_c_is_status_130_without_a_word(monkeypatch, capsys):
    assert command(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""

"""`dali-mix build`: a shim for the DALI that is there, by a compiler that is a script here."""

import dataclasses

import pytest

from dali_mix.commands import build, cli
from dali_mix.plugin import loading, shim

DALI = shim.installed_dali()


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Libraries for another DALI than the one that is there, and a compiler that takes ours."""
    libraries = tmp_path / "lib"
    libraries.mkdir()
    (libraries / shim.CORE).touch()
    built = loading.built()
    other = dataclasses.replace(DALI, release="1.2.3")
    dataclasses.replace(built, dali=other.release).write(libraries / other.library)
    ours = shim.LIBRARIES / DALI.library
    monkeypatch.setattr(shim, "LIBRARIES", libraries)
    monkeypatch.setattr(loading, "load_plugin", loading.plugin_path)
    compiler = tmp_path / "c++"
    compiler.write_text(f"""#!/bin/sh
[ "$1" = --version ] && echo stub 1.0 && exit
echo "$@" >> {tmp_path}/calls
while [ "$1" != -o ]; do shift; done
case "$2" in *.so) cp '{ours}' "$2" ;; *) : > "$2" ;; esac
""")
    compiler.chmod(0o755)
    return tmp_path


def test_a_shim_is_built_and_recorded(package, capsys):
    with pytest.raises(ImportError, match=r"only for .*==1\.2\.3; run `dali-mix build`"):
        loading.built()
    assert cli.main(["build", "--cxx", str(package / "c++")]) == 0
    assert capsys.readouterr().out == (f"{shim.LIBRARIES / DALI.library}: for {DALI.requirement}\n")
    built = loading.built()
    assert built.dali_requirement == DALI.requirement and built.compiler == "stub 1.0"
    compiling, linking = (package / "calls").read_text().splitlines()
    assert f"-isystem{DALI.folder}/include" in compiling
    assert "-DDALI_MIX_CPU_ONLY=1" in compiling.split()
    assert f"-l:{shim.CORE}" in linking.split() and "kernel" not in linking


def test_where_there_are_kernels_for_this_cuda_it_takes_them(package):
    [record] = shim.LIBRARIES.glob("*.json")
    with_kernels = dataclasses.replace(shim.read(record), cuda=DALI.cuda, architectures=("sm_90",))
    with_kernels.write(record)
    assert cli.main(["build", "--cxx", str(package / "c++")]) == 0
    assert (loading.built().cuda, loading.built().architectures) == (DALI.cuda, ("sm_90",))
    compiling, linking = (package / "calls").read_text().splitlines()
    assert "-DDALI_MIX_CPU_ONLY=1" not in compiling.split()
    assert f"-l:{shim.kernel_library(DALI.cuda)}" in linking.split()


def test_what_is_missing_is_one_sentence(package, monkeypatch, capsys):
    def said(*arguments):
        assert cli.main(["build", *arguments]) == 2
        [line] = capsys.readouterr().err.splitlines()
        return line

    assert "must be a C++20 compiler, nowhere was not found" in said("--cxx", "nowhere")
    (package / "c++").write_text('#!/bin/sh\necho "no such header" >&2; exit 1\n')
    assert said("--cxx", str(package / "c++")).endswith("the compiler failed: no such header")
    monkeypatch.setattr(build.toolkit, "find_toolkit", lambda major: None)
    monkeypatch.setattr(build.toolkit, "find_headers", lambda major, beside: None)
    assert "`pip install nvidia-cuda-runtime" in said("--cxx", str(package / "c++"))
    monkeypatch.setattr(shim, "installed_dali", lambda: None)
    assert "there is no DALI to build for" in said()

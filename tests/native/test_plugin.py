"""Loading the plugin: what is checked before it is opened, and that nothing here ends in a crash.

Every case runs in a Python of its own, since one process can hold one copy of the operators.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dali_mix
from dali_mix.plugin import loading as _plugin
from dali_mix.plugin import shim

PACKAGE = Path(dali_mix.__file__).parent
DALI = shim.installed_dali()
LOAD = "import dali_mix; dali_mix.load_plugin(); "


def python(code, folder=PACKAGE.parent, **environment):
    """Run code with the dali_mix of that folder; what it printed, or its last line of error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, "DALI_PRELOAD_PLUGINS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), f"crashed with status {done.returncode}: {done.stderr}"
    return (done.stdout if done.returncode == 0 else done.stderr.splitlines()[-1]).strip()


@pytest.fixture
def copy(tmp_path):
    """A folder with a copy of the package, to break or to load beside the real one, with the shim
    of the DALI that is here alone."""
    ignore = shutil.ignore_patterns("native", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "dali_mix", ignore=ignore)
    for path in (tmp_path / "dali_mix/lib").glob("libdali_mix-dali-*"):
        if path.with_suffix(".so").name != DALI.library:
            path.unlink()
    return tmp_path


def is_for(folder, release, cuda):
    """Makes the only shim there one for that DALI."""
    record = (folder / "dali_mix/lib" / DALI.library).with_suffix(".json")
    other = shim.Dali(release, cuda, DALI.folder).library
    changed = {**json.loads(record.read_text()), "dali": release, "dali_cuda": cuda}
    shim.Built(**changed).write(record.with_name(other))
    record.unlink()
    record.with_suffix(".so").rename(record.with_name(other))


def test_the_record_says_what_the_plugin_was_built_for():
    built = _plugin.built()
    assert built.version == dali_mix.__version__
    assert built.dali_requirement == DALI.requirement
    assert bool(built.architectures) == (built.cuda is not None)
    assert dali_mix.plugin_path() == PACKAGE / "lib" / DALI.library
    assert built in _plugin.shims()


def test_loading_from_many_threads_loads_once():
    code = """
import threading, dali_mix
threads = [threading.Thread(target=dali_mix.load_plugin) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
from nvidia.dali import fn
print(dali_mix.load_plugin() == dali_mix.plugin_path(), hasattr(fn.dali_mix, "plan"))
"""
    assert python(code) == "True True"


def test_another_release_of_dali_names_both_and_two_remedies(copy):
    is_for(copy, "1.2.3", DALI.cuda)
    error = python(LOAD, copy)
    other = f"{DALI.package}==1.2.3"
    assert error == (
        f"ImportError: dali_mix has no operators for {DALI.requirement}, which is installed, only "
        f"for {other}; run `dali-mix build`, which compiles them for it in half a minute, or "
        f"`pip install {other}`."
    )


def test_another_cuda_flavour_of_dali_names_both_and_two_remedies(copy):
    is_for(copy, DALI.release, 11)
    error = python(LOAD, copy)
    assert (
        f"no operators for {DALI.requirement}, which is installed, only for nvidia-dali-" in error
    )
    assert error.endswith(
        f"`dali-mix build`, which compiles them for it in half a minute, or `pip uninstall -y "
        f"{DALI.package} && pip install --force-reinstall nvidia-dali-cuda110=={DALI.release}`."
    )


@pytest.mark.parametrize("name", [shim.CORE, Path(DALI.library).with_suffix(".json")], ids=str)
def test_not_built_names_the_folder_and_the_command(copy, name):
    (copy / "dali_mix/lib" / name).unlink()
    error = python(LOAD, copy)
    assert error.startswith("ImportError: the native part of dali_mix is not built")
    assert f"{copy}/dali_mix/lib" in error
    assert "`pip install -e .`" in error


@pytest.mark.parametrize("name", [shim.CORE, DALI.library])
def test_a_broken_library_is_an_import_error(copy, name):
    (copy / "dali_mix/lib" / name).write_bytes(b"not a library")
    assert "ImportError: the native part of dali_mix" in python(LOAD, copy)


def test_a_core_of_other_sources_is_an_import_error(copy):
    """A shim that was made on this machine stays when dali_mix is brought to another version."""
    core = copy / "dali_mix/lib" / shim.CORE
    content = core.read_bytes()
    [name] = set(re.findall(rb"DALI_MIX_[0-9a-f]{12}", content))
    core.write_bytes(content.replace(name, name[:-1] + (b"0" if name[-1:] != b"0" else b"1")))
    error = python(LOAD, copy)
    assert "ImportError: the native part of dali_mix" in error and name.decode() in error


def test_a_library_offers_what_others_call_and_no_more():
    """Else it could come to stand for a function of that name in another library."""
    headers = "".join(path.read_text() for path in shim.NATIVE.rglob("*.h"))
    offered = set(re.findall(r"^ *DALI_MIX_API [^(;]*?(\w+)\(", headers, re.MULTILINE))
    for library in [
        shim.CORE,
        *({shim.kernel_library(13)} & {p.name for p in shim.LIBRARIES.iterdir()}),
    ]:
        listed = ["nm", "-DC", "--defined-only", shim.LIBRARIES / library]
        done = subprocess.run(listed, capture_output=True, text=True, check=True)
        names = {line.split(maxsplit=2)[2] for line in done.stdout.splitlines()}
        version = {name for name in names if name.startswith("DALI_MIX_")}
        assert all(name.startswith("dali_mix::") for name in names - version)
        found = {name.partition("(")[0].rpartition("::")[2] for name in names - version}
        assert len(version) == 1 and found and found <= offered


def test_missing_dali_names_the_command():
    error = python("import sys; sys.modules['nvidia.dali'] = None; " + LOAD)
    assert error.startswith("ImportError: dali_mix needs NVIDIA DALI")
    assert f"`pip install {_plugin.shims()[-1].dali_requirement}`" in error


def test_a_second_copy_is_an_error_that_names_the_first(copy):
    first = dali_mix.plugin_path()
    code = f"from nvidia.dali import plugin_manager as m; m.load_library({str(first)!r}); {LOAD}"
    error = python(code, copy)
    assert f"already loaded from {first}, not from {copy}/dali_mix/lib/{first.name}" in error


def test_a_copy_under_another_name_is_an_error(copy):
    renamed = copy / "dali_mix/lib/renamed.so"
    shutil.copy(dali_mix.plugin_path(), renamed)
    error = python(LOAD, DALI_PRELOAD_PLUGINS=str(renamed))
    assert "already loaded from a library of another name" in error
    assert "DALI_PRELOAD_PLUGINS" in error


def test_the_same_file_preloaded_by_dali_is_accepted():
    assert python(LOAD + "print('ok')", DALI_PRELOAD_PLUGINS=str(dali_mix.plugin_path())) == "ok"


@pytest.mark.parametrize("dynamic_first", [False, True])
def test_dynamic_mode_has_the_operators_whichever_came_first(dynamic_first):
    dynamic = "import nvidia.dali.experimental.dynamic as ndd; "
    code = dynamic + LOAD if dynamic_first else LOAD + dynamic
    code += "print(ndd.dali_mix.plan.__name__, ndd.dali_mix.apply.__name__, "
    code += "hasattr(ndd.dali_mix.plan, '_op_class'))"
    assert python(code) == "plan apply True"


def test_a_dynamic_mode_with_other_builders_is_an_import_error():
    code = "import nvidia.dali.experimental.dynamic as ndd; "
    code += "del ndd._op_builder.build_fn_wrapper; " + LOAD
    error = python(code)
    assert error.startswith("ImportError: this DALI does not let dali_mix join its dynamic mode")
    assert "import dali_mix.dynamic before nvidia.dali.experimental.dynamic" in error


LOADED = "import sys; print([name for name in ('torch', 'nvidia.dali') if name in sys.modules])"


def test_importing_dali_mix_loads_neither_torch_nor_dali():
    assert python("import dali_mix, dali_mix.commands.cli; dir(dali_mix); " + LOADED) == "[]"


def test_the_test_above_can_fail():
    assert python(LOAD + LOADED) == "['nvidia.dali']"


def test_missing_torch_names_the_command():
    error = python("import sys; sys.modules['torch'] = None; import dali_mix; dali_mix.MixLoss")
    assert error == (
        "ImportError: dali_mix.MixLoss needs PyTorch, which is not installed; "
        "run `pip install torch`."
    )


@pytest.mark.parametrize("name", dali_mix.__all__)
def test_every_public_name_exists(name):
    assert getattr(dali_mix, name) is not None

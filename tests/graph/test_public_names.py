"""What there is under which name: modules that come by themselves, one list of names, and what is
said of a name that is not quite right."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dali_mix
import dali_mix.dynamic
import dali_mix.fn

PACKAGE = Path(dali_mix.__file__).parent
MODULES = ["dynamic", "fn", "migrate", "recipes", "reference", "training"]


def said_by(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", MODULES)
def test_modules_come_at_first_use(name):
    """In a Python of its own, where nothing else has imported them."""
    code = f"""
import sys, dali_mix
before = {{"torch", "nvidia.dali", "numpy", "dali_mix.{name}"}} & {{*sys.modules}}
print(before, dali_mix.{name}.__name__, {name!r} in dir(dali_mix))
"""
    assert said_by(code) == f"set() dali_mix.{name} True"


@pytest.mark.parametrize("name", ["migrate", "reference"])
def test_modules_that_need_no_dali_load_none(name):
    loaded = "{'torch', 'nvidia.dali'} & {*sys.modules}"
    assert said_by(f"import sys, dali_mix; dali_mix.{name}; print({loaded})") == "set()"


def test_type_checkers_see_the_names_that_there_are():
    """And are told of others, as no `__getattr__` is there for them."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    conditions = {ast.unparse(n.test): n.body for n in tree.body if isinstance(n, ast.If)}
    assert list(conditions) == ["TYPE_CHECKING", "not TYPE_CHECKING"]
    imported = {
        alias.asname: node.module for node in conditions["TYPE_CHECKING"] for alias in node.names
    }
    assert set(imported) == {*dali_mix.__all__, *MODULES} - {"__version__"}
    for name, module in imported.items():
        if name not in MODULES:
            assert f"dali_mix.{dali_mix._HOMES[name]}" == module
    assert "__getattr__" not in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize("place", [dali_mix.fn, dali_mix.dynamic], ids=["fn", "dynamic"])
def test_the_list_of_graph_functions_is_whole(place):
    from dali_mix.methods.calls import GRAPH_FUNCTIONS

    assert sorted(place.__all__) == sorted(["Plan", *GRAPH_FUNCTIONS])


MISSPELT = [
    (dali_mix, "Mixup", "dali_mix.MixUp or dali_mix.fn.mixup"),
    (dali_mix, "mix_up", "dali_mix.MixUp or dali_mix.fn.mixup"),
    (dali_mix, "Cutmix", "dali_mix.CutMix or dali_mix.fn.cutmix"),
    (dali_mix, "mix", "dali_mix.fn.mix"),
    (dali_mix, "Ricap", "dali_mix.RICAP"),
    (dali_mix, "Fmix", "dali_mix.FMix"),
    (dali_mix, "Mixloss", "dali_mix.MixLoss"),
    (dali_mix, "MixTargets", "dali_mix.MixTarget"),
    (dali_mix, "recipe", "dali_mix.recipes"),
    (dali_mix.fn, "MixUp", "dali_mix.MixUp or dali_mix.fn.mixup"),
    (dali_mix.fn, "CutMix", "dali_mix.CutMix or dali_mix.fn.cutmix"),
    (dali_mix.fn, "ResizeMix", "dali_mix.ResizeMix"),
    (dali_mix.fn, "MixLoader", "dali_mix.MixLoader"),
    (dali_mix.fn, "pair_label", "dali_mix.fn.pair_labels"),
    (dali_mix.dynamic, "Mixup", "dali_mix.MixUp or dali_mix.dynamic.mixup"),
]


@pytest.mark.parametrize(("module", "name", "right"), MISSPELT)
def test_a_name_that_is_nearly_right_is_told_the_right_one(module, name, right):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    start = f"module {module.__name__!r} has no attribute {name!r}"
    assert str(caught.value) == f"{start}; did you mean {right}?"
    for text in right.split(" or "):
        assert eval(text, {"dali_mix": dali_mix})


def test_a_module_with_nearly_the_name_of_a_class_can_be_imported():
    code = "from dali_mix import plan; assert plan.Plan"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_import_that_is_nearly_right_is_told_the_right_one():
    with pytest.raises(ImportError, match=r"; did you mean dali_mix.MixUp or dali_mix.fn.mixup\?$"):
        exec("from dali_mix import Mixup")
    assert not hasattr(dali_mix, "Mixup")
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from dali_mix import nothing")


@pytest.mark.parametrize("module", [dali_mix, dali_mix.fn, dali_mix.dynamic])
def test_other_names_are_missing_as_from_any_module(module):
    with pytest.raises(AttributeError) as caught:
        getattr(module, "quux")  # noqa: B009
    assert str(caught.value) == f"module {module.__name__!r} has no attribute 'quux'"
    assert not hasattr(module, "__wrapped__")

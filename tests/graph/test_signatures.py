"""Public functions and classes say what they take: signatures with types and defaults, type hints
that resolve, help that explains each argument, for people and for type checkers."""

import ast
import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys
import typing

import pytest
from nvidia.dali import backend

import dali_mix
import dali_mix.dynamic
import dali_mix.fn
from dali_mix import recipes
from dali_mix.graph.arguments import DRAW, OUTPUT, View

PLACES = [dali_mix.fn, dali_mix.dynamic]
MIXING = ["mix", "mixup", "cutmix"]
RANDOM = {dali_mix.fn: "seed", dali_mix.dynamic: "rng"}


def names_of(place, names):
    return {*names} - {"seed", "rng"} | ({RANDOM[place]} if "seed" in names else set())


def expected(place):
    """What each function takes besides what it is given by position."""
    draw, output = names_of(place, DRAW), {*OUTPUT}
    mixing = draw | output | {"second"}
    return {
        "plan": draw | {"weights", "size", "crop", "crop_h", "crop_w", "mask"},
        "apply": output | {"others"},
        "apply_mask": {*View.__annotations__, "others", "count", "fill"},
        "mix": mixing | {"weights"},
        "mixup": mixing | {"alpha", "fold"},
        "cutmix": mixing | {"alpha", "fold"},
        "resized": set(),
        "pair_labels": {"second", "images"},
        "blend_labels": {"second", "images"},
        "apply_boxes": {"others", "views", "weights", "min_visible"},
        "apply_points": {"others", "views"},
    }


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_signatures_name_every_argument(place):
    assert {*expected(place)} == {*place.__all__} - {"Plan"} <= {*dir(place)}
    for name, by_name in expected(place).items():
        signature = inspect.signature(getattr(place, name))
        kinds = {p.kind for p in signature.parameters.values()}
        assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
        found = {n for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}
        assert found == by_name, name
        for parameter in signature.parameters.values():
            assert not isinstance(parameter.annotation, str)
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_help_explains_every_argument(place):
    for name in expected(place):
        function = getattr(place, name)
        text = pydoc.plain(pydoc.render_doc(function))
        assert f"function {name} in module {place.__name__}" in text
        for parameter in inspect.signature(function).parameters:
            assert parameter in function.__doc__, (name, parameter)
        assert len(function.__doc__.split("\n\n")[0]) > 20


def test_defaults_are_those_of_the_operators():
    """As DALI knows them: what the signature says is what is done when nothing is said."""
    for operator, function in (("Plan", dali_mix.fn.plan), ("Apply", dali_mix.fn.apply)):
        schema = backend.GetSchema(f"dali_mix__{operator}")
        known = {n for n in schema.GetArgumentNames() if schema.HasArgumentDefaultValue(n)}
        parameters = inspect.signature(function).parameters
        compared = known & {*parameters} - {"seed", "dtype", "weights", "methods"}
        assert {"per", "prob"} <= compared or {"mean", "std", "scale"} <= compared
        for name in compared:
            theirs = ast.literal_eval(schema.GetArgumentDefaultValueString(name))
            ours = parameters[name].default
            assert ours == (theirs[0] if isinstance(theirs, list) else theirs), name


def public():
    yield from ((name, getattr(dali_mix, name)) for name in dali_mix.__all__)
    for module in ("fn", "dynamic", "methods", "migrate", "recipes", "reference"):
        found = importlib.import_module(f"dali_mix.{module}")
        for name in getattr(found, "__all__", None) or dir(found):
            value = getattr(found, name)
            if getattr(value, "__module__", "").startswith("dali_mix"):
                yield f"{module}.{name}", value


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, v in public() if callable(v)])
def test_type_hints_resolve(name, value):
    typing.get_type_hints(value)
    if inspect.isclass(value):
        for member in vars(value).values():
            for function in (member, getattr(member, "__func__", None), getattr(member, "fget", 0)):
                if inspect.isfunction(function) and function.__module__.startswith("dali_mix"):
                    typing.get_type_hints(function)


def test_recipes_name_the_arguments_of_the_draw():
    parameters = inspect.signature(recipes.imagefolder_train).parameters
    assert {*DRAW} - {"rng"} <= {*parameters} and "prob_per:" in recipes.imagefolder_train.__doc__
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())


def test_functions_can_be_pickled():
    for place in PLACES:
        assert all(pickle.loads(pickle.dumps(f := getattr(place, n))) is f for n in MIXING)


CHECKED = """
import dali_mix
import dali_mix.fn as dmix

dmix.mixup(1, 2, alpha=0.3, mean=[0.1], prob=0.5, second=(1, 2))
dmix.apply(1, dmix.plan(1), output_layout="HWC")
dali_mix.migrate.from_timm(mixup_alpha=0.2)
"""
WRONG = {
    "dmix.mixup(1, 2, alhpa=3)": 'argument "alhpa"',
    "dmix.apply(1, dmix.plan(1), output_layout=3)": 'argument "output_layout"',
    "dmix.MixUp": 'no attribute "MixUp"',
    "dali_mix.Mixup": 'no attribute "Mixup"',
    "dali_mix.MixUp(0.4, True)": "Too many positional arguments",
}


def test_mypy_sees_the_arguments(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(CHECKED + "\n".join(WRONG) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    first = CHECKED.count("\n") + 1
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == len(WRONG), done.stdout
    for number, (error, sentence) in enumerate(zip(errors, WRONG.values(), strict=True), first):
        assert f"program.py:{number}: error:" in error and sentence.lower() in error.lower()

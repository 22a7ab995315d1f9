"""The door of the graph functions: what users call is made here of a function that is given the
mode. Its signature and its help name all arguments, and what is passed is checked here, once."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from dali_mix.graph import checks
from dali_mix.graph.arguments import DRAW, OUTPUT, SECTIONS, Argument
from dali_mix.graph.mode import Mode
from dali_mix.methods import METHODS
from dali_mix.methods.calls import check_call

P = ParamSpec("P")
R = TypeVar("R")
Function = TypeVar("Function", bound=Callable[..., Any])

_RANDOM = {"seed", "rng"}
_FIELDS = {
    field.name: f"it is a field of a method: dali_mix.{kind.__name__}({field.name}=…)"
    for kind in reversed(METHODS)
    for field in dataclasses.fields(kind)
}
_OURS: Mapping[str, str] = {
    **_FIELDS,
    **dict.fromkeys(OUTPUT, "it is an argument of apply, and of mix, mixup and cutmix"),
    **dict.fromkeys(set(DRAW) - _RANDOM, "it is an argument of plan, and of mix, mixup and cutmix"),
    "methods": "mix draws among several methods",
    "weights": "mix draws among several methods, by weights",
    "second": 'plan takes partner="others" for it, and apply others=images2',
    "others": "mix, mixup and cutmix take second=(images2, labels2) for it",
    "size": "the output has the size of the images, or that of crop=(H, W)",
    "mask": "plan takes it; give the plan to apply",
    "count": "apply_mask takes it",
}
"""What is said of arguments of other functions than the one that is called."""


def bound(function: Callable[Concatenate[Mode, P], R], mode: Mode) -> Callable[P, R]:
    """What users call: `function`, for one mode."""
    hidden = _RANDOM - {mode.random}
    listed = [p for p in _parameters(function)[1:] if p.name not in hidden]
    arguments = {p.name: _argument(p.annotation) for p in listed}
    name = function.__name__
    signature = inspect.Signature([_plain(p) for p in listed])

    def call(*values: P.args, **named: P.kwargs) -> R:
        right = _checked(mode, name, signature, arguments, values, named)
        return function(mode, **right)  # type: ignore[call-arg]

    call.__name__ = call.__qualname__ = name
    call.__module__ = type(mode).__module__
    call.__doc__ = function.__doc__
    _describe(call, listed, get_type_hints(function, localns=_UNPACKED).get("return"))
    return call


def _checked(
    mode: Mode,
    caller: str,
    signature: inspect.Signature,
    arguments: Mapping[str, Argument | None],
    values: Sequence[Any],
    named: Mapping[str, Any],
) -> dict[str, Any]:
    """What was passed, by name; None where there is a default is as if it were left out."""
    check_call(caller, signature, values, named, _OURS)
    given = {name: values[k] for k, name in enumerate(signature.parameters) if k < len(values)}
    for name in named:
        if name in given:
            raise TypeError(f"{caller}() got {name} twice, by position and by name.")
    given.update(named)
    right = {}
    # Batches last: what is said of the other arguments holds whatever is mixed.
    for name in sorted(given, key=lambda name: _is_batch(arguments[name])):
        argument, value = arguments[name], given[name]
        if value is None and signature.parameters[name].default is not inspect.Parameter.empty:
            continue
        right[name] = value if argument is None else argument.check(mode, name, value)
    return right


def _is_batch(argument: Argument | None) -> bool:
    return argument is not None and argument.check in (checks.batch, checks.batches)


def spelled_out(function: Function) -> Function:
    """Let signature and help of a function for pipelines name all that its `**` takes."""
    listed = [p for p in _parameters(function) if p.name != "rng"]
    _describe(function, listed, get_type_hints(function, localns=_UNPACKED).get("return"))
    return function


def _describe(function: Any, listed: list[inspect.Parameter], returns: Any) -> None:
    plain = [_plain(p) for p in listed]
    function.__signature__ = inspect.Signature(plain, return_annotation=returns)
    function.__annotations__ = {p.name: p.annotation for p in plain} | {"return": returns}
    parts = [inspect.cleandoc(function.__doc__ or "")]
    texts = {p.name: argument.text for p in listed if (argument := _argument(p.annotation))}
    for title, names in SECTIONS.items():
        lines = [_line(name, texts[name]) for name in names if texts.get(name)]
        if lines:
            parts.append("\n".join([f"{title}:", *lines]))
    function.__doc__ = "\n\n".join(parts)


def _line(name: str, text: str) -> str:
    start = f"  {name + ':':<15}"
    return textwrap.fill(text, 92, initial_indent=start, subsequent_indent=" " * len(start))


class _Unpack:
    """`Unpack[Group]` at run time: the group."""

    def __class_getitem__(cls, group: Any) -> Any:
        return group


_UNPACKED = {"Unpack": _Unpack}


def _parameters(function: Any) -> list[inspect.Parameter]:
    """Of a function, those of its `**` one by one; annotations are types, with what goes along."""
    hints = get_type_hints(function, localns=_UNPACKED, include_extras=True)
    listed: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if parameter.kind is not parameter.VAR_KEYWORD:
            listed.append(parameter.replace(annotation=hint))
            continue
        for name, kind in get_type_hints(hint, include_extras=True).items():
            default = kind.__metadata__[0].default
            listed.append(
                inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=kind)
            )
    return listed


def _argument(annotation: Any) -> Argument | None:
    extras = getattr(annotation, "__metadata__", ())
    return extras[0] if extras else None


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    kind = parameter.annotation
    return parameter.replace(
        annotation=getattr(kind, "__origin__", kind) if _argument(kind) else kind
    )

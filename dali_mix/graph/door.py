"""The door of the graph functions. `bound` makes the functions that users call: they name every
argument in their signature and help, and check what is passed, once."""

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
_OURS: Mapping[str, str] = {
    **{
        field.name: f"It is a field of a method: dali_mix.{kind.__name__}({field.name}=…)."
        for kind in reversed(METHODS)
        for field in dataclasses.fields(kind)
    },
    **dict.fromkeys(OUTPUT, "It is an argument of apply, and of mix, mixup and cutmix."),
    **dict.fromkeys(set(DRAW) - _RANDOM, "It is an argument of plan, mix, mixup and cutmix."),
    "methods": "It is an argument of mix, which draws among several methods.",
    "weights": "It is an argument of mix, which draws among several methods.",
    "second": 'Pass partner="others" to plan, and others=images2 to apply.',
    "others": "Pass second=(images2, labels2) to mix, mixup or cutmix.",
    "size": "The output has the size of the images, or that of crop=(H, W).",
    "mask": "It is an argument of plan; give the plan to apply.",
    "count": "It is an argument of apply_mask.",
}
"""What an error says if an argument belongs to another function than the one called."""


def bound(function: Callable[Concatenate[Mode, P], R], mode: Mode) -> Callable[P, R]:
    """`function` for one mode, as users call it: without the mode, and with checked arguments."""
    listed, returns = _parameters(function, hidden=_RANDOM - {mode.random})
    del listed[0]  # the mode
    arguments = {p.name: _argument(p.annotation) for p in listed}
    signature = inspect.Signature([_plain(p) for p in listed], return_annotation=returns)
    name = function.__name__

    def call(*values: P.args, **named: P.kwargs) -> R:
        right = _checked(mode, name, signature, arguments, values, named)
        return function(mode, **right)  # type: ignore[call-arg]

    call.__name__ = call.__qualname__ = name
    call.__module__ = type(mode).__module__
    call.__doc__ = function.__doc__
    _describe(call, signature, arguments)
    return call


def spelled_out(function: Function) -> Function:
    """Make the signature and help of a pipeline function name every argument of its `**`."""
    listed, returns = _parameters(function, hidden={"rng"})
    signature = inspect.Signature([_plain(p) for p in listed], return_annotation=returns)
    _describe(function, signature, {p.name: _argument(p.annotation) for p in listed})
    return function


def _checked(
    mode: Mode,
    caller: str,
    signature: inspect.Signature,
    arguments: Mapping[str, Argument | None],
    values: Sequence[Any],
    named: Mapping[str, Any],
) -> dict[str, Any]:
    """The checked arguments, by name. None stands for the default, if there is one."""
    options = [name for name, argument in arguments.items() if argument and argument.text]
    check_call(caller, signature, values, named, _OURS, options)
    given = {name: values[k] for k, name in enumerate(signature.parameters) if k < len(values)}
    for name in named:
        if name in given:
            raise TypeError(f"{caller}() got {name} twice, by position and by name.")
    given.update(named)
    call = checks.Call(caller, mode, given)
    right = {}
    # Batches come last: errors in the other arguments do not depend on them.
    for name in sorted(given, key=lambda name: _is_batch(arguments[name])):
        argument, value = arguments[name], given[name]
        if value is None and signature.parameters[name].default is not inspect.Parameter.empty:
            continue
        right[name] = value if argument is None else argument.check(call, name, value)
    return right


def _is_batch(argument: Argument | None) -> bool:
    return argument is not None and argument.check in (checks.batch, checks.batches)


def _describe(
    function: Any, signature: inspect.Signature, arguments: Mapping[str, Argument | None]
) -> None:
    function.__signature__ = signature
    function.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    function.__annotations__["return"] = signature.return_annotation
    parts = [inspect.cleandoc(function.__doc__)]
    texts = {name: argument.text for name, argument in arguments.items() if argument}
    for title, names in SECTIONS.items():
        lines = [_line(name, texts[name]) for name in names if texts.get(name)]
        if lines:
            parts.append("\n".join([f"{title}:", *lines]))
    function.__doc__ = "\n\n".join(parts)


def _line(name: str, text: str) -> str:
    start = f"  {name + ':':<15}"
    return textwrap.fill(text, 92, initial_indent=start, subsequent_indent=" " * len(start))


class _Unpack:
    """`Unpack[Group]` at run time is the group. Python 3.10 has no typing.Unpack."""

    def __class_getitem__(cls, group: Any) -> Any:
        return group


def _parameters(function: Any, hidden: set[str]) -> tuple[list[inspect.Parameter], Any]:
    """The parameters of a function, with each of its `**`, and its return type. Annotations are
    evaluated."""
    signature = inspect.signature(function, eval_str=True, locals={"Unpack": _Unpack})
    listed: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            listed.append(parameter)
            continue
        for name, kind in get_type_hints(parameter.annotation, include_extras=True).items():
            if name not in hidden:
                argument = parameter.replace(name=name, kind=parameter.KEYWORD_ONLY)
                default = kind.__metadata__[0].default
                listed.append(argument.replace(default=default, annotation=kind))
    return listed, signature.return_annotation


def _argument(annotation: Any) -> Argument | None:
    """The `Argument` in an annotation, if there is one."""
    extras = getattr(annotation, "__metadata__", None)
    return extras[0] if extras else None


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    if _argument(parameter.annotation) is None:
        return parameter
    return parameter.replace(annotation=parameter.annotation.__origin__)

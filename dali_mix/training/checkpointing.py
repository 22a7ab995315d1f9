"""Hooks that activation checkpointing brings along when it runs a part of the model again.

That happens in the backward pass, when the block that set the hooks has ended and another one may
have begun. So, once this module is imported, a function that torch.utils.checkpoint takes brings
the hooks of its own block along; while it runs, in whichever thread, those of other blocks rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch.utils import checkpoint

Hook = tuple[Callable[..., Any], Callable[..., Any]]
"""What registers a hook, such as `module.register_forward_hook`, and the hook."""

_ACTIVE: ContextVar[tuple[object, tuple[Hook, ...]]] = ContextVar("_ACTIVE", default=(None, ()))
"""The innermost block or function around, and its hooks."""


@contextlib.contextmanager
def hooked(*hooks: Hook, inherit: bool = True) -> Iterator[None]:
    """The hooks are on their layers inside, and again where layers in it are computed again."""
    block = object()

    def is_active() -> bool:
        return torch.compiler.is_compiling() or _ACTIVE.get()[0] in (block, None)

    def resting(hook: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: hook(*given) if is_active() else None

    if inherit:
        hooks = (*_ACTIVE.get()[1], *hooks)
    before = _ACTIVE.set((block, hooks))
    handles = [register(resting(hook)) for register, hook in hooks]
    try:
        yield
    finally:
        _ACTIVE.reset(before)
        for handle in handles:
            handle.remove()


def _again(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the hooks that are active now, whenever it runs."""
    hooks = _ACTIVE.get()[1]

    def again(*arguments: Any, **keywords: Any) -> Any:
        with hooked(*hooks, inherit=False):
            return function(*arguments, **keywords)

    return again


def _follow(reentrant: Any, frame: Any) -> None:
    apply, init = reentrant.apply, frame.__init__
    reentrant.apply = staticmethod(lambda function, *rest: apply(_again(function), *rest))
    frame.__init__ = lambda self, function, *rest: init(self, _again(function), *rest)


_follow(checkpoint.CheckpointFunction, checkpoint._CheckpointFrame)

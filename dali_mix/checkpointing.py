"""Hooks that activation checkpointing brings along when it runs a part of the model again.

That happens in the backward pass, when the block that set the hooks has ended and perhaps another
one has begun. So the function that is to run again is wrapped when checkpointing takes it. It
brings the hooks of its own block along; while it runs, in whichever thread, others rest.
"""

from __future__ import annotations

import contextlib
import functools
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
    _follow_checkpointing()
    block = object()

    def if_active(hook: Callable[..., Any]) -> Callable[..., Any]:
        def resting(*given: Any) -> Any:
            here = torch.compiler.is_compiling() or _ACTIVE.get()[0] in (block, None)
            return hook(*given) if here else None

        return resting

    if inherit:
        hooks = (*_ACTIVE.get()[1], *hooks)
    before = _ACTIVE.set((block, hooks))
    handles = [register(if_active(hook)) for register, hook in hooks]
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

    return again if hooks else function


@functools.cache
def _follow_checkpointing() -> None:
    """Wrap what torch.utils.checkpoint takes from now on; outside a block that changes nothing."""
    once: Any = checkpoint.CheckpointFunction  # reentrant
    frame: Any = checkpoint._CheckpointFrame  # not reentrant
    apply, init = once.apply, frame.__init__
    once.apply = staticmethod(lambda function, *rest: apply(_again(function), *rest))
    frame.__init__ = lambda self, function, *rest: init(self, _again(function), *rest)

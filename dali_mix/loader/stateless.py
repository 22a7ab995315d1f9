"""Loaders that cannot give a state. They do not have the methods for it."""

from __future__ import annotations

from typing import Any, TypeVar

_T = TypeVar("_T")
_METHODS = ("state_dict", "load_state_dict")


class NoStateError(AttributeError, RuntimeError):
    """The loader cannot give a state. It is an AttributeError, so that hasattr() is False."""


def without_state(loader: type[_T], why: str) -> type[_T]:
    """A class like `loader` that has neither state_dict nor load_state_dict.

    Frameworks save and load the state of every object that has these two methods. They ask with
    hasattr(), or look in the class, where None means that there is no method.
    """

    def getattribute(self: Any, name: str) -> Any:
        if name in _METHODS:
            raise NoStateError(why)
        return loader.__getattribute__(self, name)

    content = dict.fromkeys(_METHODS) | {
        "__getattribute__": getattribute,
        "__module__": loader.__module__,
        "__qualname__": loader.__qualname__,
        "__doc__": loader.__doc__,
    }
    return type(loader.__name__, (loader,), content)

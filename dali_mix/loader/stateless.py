"""Loaders that can give no state: for those who ask, they do not have the methods for it."""

from __future__ import annotations

from typing import Any, TypeVar

_T = TypeVar("_T")
_METHODS = ("state_dict", "load_state_dict")


class NoStateError(AttributeError, RuntimeError):
    """The loader has no state to give. An AttributeError, so that hasattr() says no."""


def without_state(loader: type[_T], why: str) -> type[_T]:
    """A class like `loader` that has neither state_dict nor load_state_dict.

    Frameworks save and load the state of whatever has these two methods, and ask for them with
    hasattr(), or for what the class says, where None stands for a method that is not there.
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

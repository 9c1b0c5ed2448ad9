"""Mistyped keyword arguments of public calls: the TypeError names the nearest argument.

`Run.log` is left out: it is called millions of times, and this check takes a tenth of a
microsecond.
"""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)
_FAST: Final = ("log",)
_TAKES_ANY_NAME: Final = 0x08  # inspect.CO_VARKEYWORDS; the module takes long to import.


def checks_names(function: _Function) -> _Function:
    """Return ``function``, whose error for an unknown argument proposes a known one."""
    return _checked(function, function.__qualname__.removesuffix(".__init__"))


def checks_names_of_calls(its_class: _Class) -> _Class:
    """Do `checks_names` with the constructor and all public methods of a class."""
    for name in dir(its_class):
        if name in _FAST or (name.startswith("_") and name != "__init__"):
            continue
        found = next(each.__dict__[name] for each in its_class.__mro__ if name in each.__dict__)
        if isinstance(found, FunctionType):
            shown = its_class.__name__ if name == "__init__" else name
            setattr(its_class, name, _checked(found, shown))
    return its_class


def _checked(function: _Function, shown: str) -> _Function:
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & _TAKES_ANY_NAME:
        return function
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    known = frozenset(names)

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if named and not known.issuperset(named):
            raise _unknown(shown, [each for each in names if each != "self"], named)
        return function(*args, **named)

    return call  # type: ignore[return-value]


def _unknown(shown: str, known: list[str], named: dict[str, Any]) -> TypeError:
    from stepwell._other_trackers import nearest

    name = next(each for each in named if each not in known)
    near = nearest(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if not near and known:
        hint = f"; its arguments are {', '.join(known)}"
    return TypeError(f"{shown}() has no argument {name!r}{hint}")

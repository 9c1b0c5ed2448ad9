"""Names and values of mappings, and of records such as dataclasses. Nothing raises.

An unreadable value, such as a missing one in a configuration, is replaced by an `Unreadable`; the
others are kept.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, cast

from stepwell._names import kind_of, text_of

_PLAIN: Final = frozenset((float, int, str, bool, type(None), list, tuple))
_REASON_CHARACTERS_MAX: Final = 200
_PACKAGES_OF_MAPPINGS: Final = ("ml_collections",)  # Their configs are mappings by duck typing.


class Unreadable:
    """The replacement of a value whose reading raised ``error``."""

    def __init__(self, error: Exception) -> None:
        self.kind = kind_of(error)
        reason = " ".join(text_of(error).split())[:_REASON_CHARACTERS_MAX]
        self.text = f"<cannot be read: {self.kind}: {reason}>"


def fields_of(value: Any) -> dict[Any, Any] | None:
    """Return names and values of a mapping or a record; None for other objects.

    Records are dataclasses, named tuples, namespaces, and models of attrs, pydantic and msgspec.
    """
    kind = type(value)
    if kind is dict:
        return dict(value)  # One call in C: whole, also while another thread changes it.
    if kind in _PLAIN:
        return None
    try:
        if isinstance(value, Mapping):
            return _read_mapping(value)
        return None if isinstance(value, type) else _read_record(value)
    except Exception:  # Any class may raise; it is kept as text then.
        return None


def items_of(value: Iterable[Any], count_max: int) -> list[Any]:
    """Return the first items of a list or the like.

    Raises:
        Exception: Any exception of the class of ``value``, if even its length cannot be read.
    """
    try:
        return list(islice(value, count_max))
    except Exception:
        if not isinstance(value, Sequence):
            raise
        return [_read_item(value, place) for place in range(min(len(value), count_max))]


def attributes_of(value: Any) -> dict[str, Any]:
    """Return the public attributes of an object or a class that holds settings.

    Those of its class are among them; methods and other descriptors are not, nor is the code of a
    module.
    """
    if isinstance(value, ModuleType):
        code = (ModuleType, type, FunctionType, BuiltinFunctionType)
        found = {name: held for name, held in vars(value).items() if not isinstance(held, code)}
        return {name: held for name, held in found.items() if not name.startswith("_")}
    is_class = isinstance(value, type)
    kind = value if is_class else type(value)
    found = {}
    for each in reversed(kind.__mro__[:-1]):
        found |= {
            name: held for name, held in vars(each).items() if not hasattr(type(held), "__get__")
        }
        if not is_class:
            slots = getattr(each, "__slots__", ())
            names = (slots,) if isinstance(slots, str) else tuple(slots)
            found |= {name: _read(value, name) for name in names if hasattr(value, name)}
    if not is_class:
        found |= getattr(value, "__dict__", {})
    return {name: held for name, held in found.items() if not name.startswith("_")}


def _read_mapping(value: Mapping[Any, Any]) -> dict[Any, Any]:
    try:
        return dict(value)
    except Exception:  # Then one by one; raises if even the keys are unreadable.
        return {key: _read_item(value, key) for key in list(value)}


def _read_item(value: Any, key: Any) -> Any:
    try:
        return value[key]
    except Exception as error:
        return Unreadable(error)


def _read(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except Exception as error:
        return Unreadable(error)


def _read_record(value: Any) -> dict[Any, Any] | None:
    names = _names_of(cast(Any, type(value)))
    if names is None:
        return None
    if names is _OWN:
        return dict(vars(value))
    if names is _PAIRS:
        return dict(value)
    if names is _KEYS:
        return {key: _read_item(value, key) for key in list(value.keys())}
    return {name: _read(value, name) for name in names}


_OWN: Final = ("its attributes",)
_PAIRS: Final = ("its items",)
_KEYS: Final = ("keys()",)


@lru_cache(maxsize=1024)
def _names_of(kind: Any) -> Iterable[str] | None:
    """Return the names of a record's fields, or how to get them; None for no record."""
    if any("__dataclass_fields__" in vars(each) for each in kind.__mro__):
        import dataclasses

        return tuple(field.name for field in dataclasses.fields(kind))
    fields = getattr(kind, "_fields", None)
    if issubclass(kind, tuple) and isinstance(fields, tuple):
        return fields
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return tuple(each.name for each in attributes)
    if (struct := getattr(kind, "__struct_fields__", None)) is not None:  # msgspec
        return tuple(struct)
    if _is_namespace(kind):
        return _OWN
    packages = {str(each.__module__).partition(".")[0] for each in kind.__mro__}
    if "pydantic" in packages and hasattr(kind, "__iter__"):
        return _PAIRS
    if packages.intersection(_PACKAGES_OF_MAPPINGS) and hasattr(kind, "keys"):
        return _KEYS
    return None


def _is_namespace(kind: type) -> bool:
    for module, name in (("types", "SimpleNamespace"), ("argparse", "Namespace")):
        known = getattr(sys.modules.get(module), name, None)  # Imported if there is one.
        if isinstance(known, type) and issubclass(kind, known):
            return True
    return False

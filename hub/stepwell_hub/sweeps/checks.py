"""Checks that the parts of a sweep's config share; each error names the field's path."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepwell_hub.errors import SweepInvalidError


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Return ``value`` if it is an object.

    Raises:
        SweepInvalidError: It is not.
    """
    if not isinstance(value, dict):
        raise SweepInvalidError(where, f"expected an object, found {name_of_kind(value)}")
    return value


def number(value: Any, where: str) -> float | int:
    """Return ``value`` if it is a finite number.

    Raises:
        SweepInvalidError: It is not; for a text that looks like a number with the reason.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = ""
        if isinstance(value, str) and _is_numeral(value):
            hint = f"; YAML reads {value} as text, write {float(value)!r} or with a point: 1.0e-4"
        raise SweepInvalidError(where, f"expected a number, found {name_of_kind(value)}{hint}")
    if not math.isfinite(value) or abs(value) > 1e300:
        raise SweepInvalidError(where, f"expected a finite number, found {value}")
    return value


def integer(value: Any, where: str, *, low: int) -> int:
    """Return ``value`` if it is an integer of at least ``low``.

    Raises:
        SweepInvalidError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 1 << 63:
        raise SweepInvalidError(where, f"expected an integer of at least {low}, found {value!r}")
    return value


def text(value: Any, where: str) -> str:
    """Return ``value`` if it is text that a database can keep.

    Raises:
        SweepInvalidError: It is not.
    """
    if not isinstance(value, str) or "\0" in value:
        raise SweepInvalidError(where, f"expected text, found {name_of_kind(value)}")
    return value


def one_of(value: Any, known: Sequence[str], where: str) -> str:
    """Return ``value`` if it is one of ``known``.

    Raises:
        SweepInvalidError: It is not.
    """
    if not isinstance(value, str) or value not in known:
        known_only({str(value): None}, known, where, is_value=True)
    return str(value)


def known_only(
    given: Mapping[str, Any], known: Iterable[str], where: str, *, is_value: bool = False
) -> None:
    """Refuse names that are not known, with the nearest known one.

    Args:
        is_value: the name is a value of the field ``where``, not a field in it.

    Raises:
        SweepInvalidError: One is unknown.
    """
    names = list(known)
    for name in given:
        if name in names:
            continue
        near = difflib.get_close_matches(str(name), names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        at = where if is_value else f"{where}.{name}" if where else str(name)
        what = f"unknown value {str(name)[:100]!r}" if is_value else "unknown field"
        raise SweepInvalidError(at, f"{what}; {hint}Expected one of {', '.join(names)}")


def name_of_kind(value: Any) -> str:
    """Return the name of the value's JSON type."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "nothing" if value is None else kinds.get(type(value), f"the number {value}")


def _is_numeral(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False

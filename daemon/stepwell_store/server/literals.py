"""Parameters of queries, written into the text, because the native protocol of old servers has
none.

This is used for all servers, so one set of tests covers both. No I/O here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

_PARAMETER: Final = re.compile(r"(\bIN )?\{(\w+):(\w+(?:\(\w+\))?)\}")


def with_literals(sql: str, parameters: Mapping[str, object] | None) -> str:
    """Return ``sql`` with each ``{name:Type}`` replaced by its value.

    A name without a value is left unchanged, because it may be text of the caller.

    Raises:
        TypeError: A value has a type that a parameter cannot have.
    """
    if not parameters:
        return sql

    def literal(found: re.Match[str]) -> str:
        is_set, name, type_name = found.groups()
        if name not in parameters:
            return found[0]
        value = parameters[name]
        inner = type_name.removeprefix("Array(").removesuffix(")")
        if inner == type_name:
            return (is_set or "") + _literal(value, type_name)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"{name} is a list of {inner}, not {value!r}")
        if is_set and not value:
            nothing = "''" if inner == "String" else f"CAST('0' AS {inner})"
            return f"IN (SELECT {nothing} FROM system.one WHERE 0)"
        elements = ", ".join(_element(each, inner) for each in value)
        if is_set:
            return f"IN ({elements})"
        return f"CAST([{elements}] AS {type_name})"

    return _PARAMETER.sub(literal, sql)


def _literal(value: object, type_name: str) -> str:
    if value is None:
        return "NULL"
    if type_name == "String":
        return _quoted(str(value))
    number = _number(value)
    # The literal needs no cast, and in a LIMIT only a literal is allowed.
    return f"CAST('{number}' AS {type_name})" if number.startswith("-9") else number


def _element(value: object, type_name: str) -> str:
    return _quoted(str(value)) if type_name == "String" else _number(value)


def _number(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"a query parameter is text, a number, None or a list of them, not {value!r}")


_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\0": "\\0",
        "\b": "\\b",
        "\f": "\\f",
    }
)


def _quoted(text: str) -> str:
    escaped = text.encode("utf-8", "replace").decode().translate(_ESCAPES)
    return f"'{escaped}'"

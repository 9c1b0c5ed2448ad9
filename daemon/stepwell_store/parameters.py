"""Parameters of queries as text, and rows of results back: the only module that escapes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stepwell_store.native import split_types

ROWS_FORMAT: Final = "JSONCompactEachRowWithNamesAndTypes"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_QUOTED_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'"})


def encode_parameters(parameters: Mapping[str, object] | None) -> dict[str, str]:
    """Return the text of each parameter's value."""
    return {name: _encode(value) for name, value in (parameters or {}).items()}


def _encode(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_encode_element, value)) + "]"
    return _encode_number(value)


def _encode_element(value: object) -> str:
    """Return one element of a list; its text is quoted, and escaped as in a literal."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"'{value.translate(_QUOTED_ESCAPES)}'"
    if isinstance(value, Sequence):
        return _encode(value)
    return _encode_number(value)


def _encode_number(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"a query parameter is text, a number, None or a list of them, not {value!r}")


def decode_rows(data: bytes) -> list[dict[str, Any]]:
    """Return the rows of a result in ``ROWS_FORMAT``."""
    lines = data.splitlines()
    if not lines:
        return []  # The statement has no result.
    names, types = json.loads(lines[0]), json.loads(lines[1])
    # The text of -0.0 is "-0", which JSON reads as an int: without a sign.
    has_negative_zero = any(end in data for end in (b"-0,", b"-0]", b"-0}"))
    rows = json.loads(
        b"[" + b",".join(lines[2:]) + b"]",
        parse_int=_signed_number if has_negative_zero else None,
    )
    decoders = [_decoder(type_name) for type_name in types]
    if any(decoders):  # One column at a time: most need no conversion.
        columns = [
            list(map(decode, values)) if decode else values
            for decode, values in zip(decoders, zip(*rows, strict=True), strict=bool(rows))
        ]
        rows = zip(*columns, strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _decoder(type_name: str) -> Callable[[Any], Any] | None:
    """Return the conversion from JSON of ``type_name`` to Python, None if none is needed."""
    if type_name in ("Float64", "Float32", "BFloat16"):
        return _decode_float
    outer, _, inner = type_name.partition("(")
    if outer in ("Nullable", "LowCardinality"):
        return _decoder(inner[:-1])  # Every decoder returns None for None.
    if outer == "SimpleAggregateFunction":
        return _decoder(split_types(inner[:-1])[1])
    if outer == "Array":
        return _array_decoder(inner[:-1])
    if outer == "Tuple":
        return _tuple_decoder(split_types(inner[:-1]))
    return None


def _array_decoder(type_name: str) -> Callable[[Any], Any] | None:
    decode = _decoder(type_name)
    return None if decode is None else lambda values: [decode(value) for value in values]


def _tuple_decoder(members: list[str]) -> Callable[[Any], Any] | None:
    split = [member.partition(" ") for member in members]
    named = all(rest and "(" not in name for name, _, rest in split)
    decoders = [
        _decoder(rest if named else member)
        for member, (_, _, rest) in zip(members, split, strict=True)
    ]
    if not any(decoders):
        return None

    def decode(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = zip(value.items(), decoders, strict=True)
            return {name: to(item) if to else item for (name, item), to in pairs}
        return [to(item) if to else item for item, to in zip(value, decoders, strict=True)]

    return decode


def _signed_number(text: str) -> float:
    return -0.0 if text == "-0" else int(text)


def _decode_float(value: Any) -> float | None:
    return None if value is None else float(value)

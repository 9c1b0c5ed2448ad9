"""Pages of long lists, and the opaque cursors between them.

A cursor has the sort values and the id of the last item of its page, and a checksum of the request.
So it stays valid while items are inserted, and it is refused for another list.

    cursor := base64url(JSON [check, value, …]) without padding
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from stepwell_store.errors import CursorError
from stepwell_store.identity import fingerprint

T = TypeVar("T")
LIMIT_MAX: Final = 10_000
_CHECK_BITS: Final = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list.

    Attributes:
        next_cursor: the cursor for the next page; None on the last one.
        total: items of the whole list; None if they were not counted.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    total: int | None = None


def check_limit(limit: int) -> int:
    """Return ``limit``.

    Raises:
        ValueError: It is not 1 to ``LIMIT_MAX``.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise ValueError(f"limit is {limit}; expected 1 to {LIMIT_MAX:,}")
    return limit


def encode_cursor(question: Sequence[str], values: Sequence[Any]) -> str:
    """Return the cursor after an item with these sort ``values``.

    Args:
        question: the other inputs of the list: filter, sort, project.
        values: text, integers and floats.
    """
    held = json.dumps([_check(question), *map(_wrapped, values)], separators=(",", ":"))
    return base64.urlsafe_b64encode(held.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_cursor(question: Sequence[str], cursor: str, types: Sequence[type]) -> list[Any]:
    """Return the values from ``encode_cursor``.

    Raises:
        CursorError: Not a cursor, or of another request.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        held = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise CursorError(cursor, "not a cursor") from error
    if not isinstance(held, list) or len(held) != len(types) + 1:
        raise CursorError(cursor, "not a cursor of this list")
    if held[0] != _check(question):
        raise CursorError(cursor, "it is of another filter, sort or project")
    values = [_unwrapped(value) for value in held[1:]]
    if any(type(value) is not expected for value, expected in zip(values, types, strict=True)):
        raise CursorError(cursor, "not a cursor of this list")
    if any(isinstance(value, int) and not -(2**63) <= value < 2**64 for value in values):
        raise CursorError(cursor, "not a cursor of this list")
    return values


def _check(question: Sequence[str]) -> int:
    return fingerprint(*question) & _CHECK_BITS


def _wrapped(value: Any) -> Any:
    if isinstance(value, float):
        return {"f": value.hex() if math.isfinite(value) else repr(value)}
    return value


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("f"), str):
        try:
            return float.fromhex(value["f"])
        except (ValueError, OverflowError):
            return None
    return value

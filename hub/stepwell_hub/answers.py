"""Answers as JSON: dataclasses by their field names, and the numbers that JSON does not have.

A number that is not finite is {"$float": "NaN" | "Infinity" | "-Infinity"}, an integer beyond 2^53
{"$int": "…"}: a browser would round it.
"""

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from starlette.responses import Response

from stepwell_hub.errors import Failure

_EXACT_MAX: Final = 1 << 53
JSON: Final = "application/json"


def plain(value: Any) -> Any:
    """Return ``value`` made of JSON's types."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _name_of(value)}
    if isinstance(value, int):
        return value if -_EXACT_MAX <= value <= _EXACT_MAX else {"$int": str(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    kind: Any = type(value)
    if names := _names_of(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if hasattr(value, "item"):  # A numpy number.
        return plain(value.item())
    raise TypeError(f"the type {type(value).__name__} has no JSON form")


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``value`` as a JSON answer that no cache keeps."""
    return Response(
        msgspec.json.encode(plain(value)),
        status_code=status,
        media_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def failure_answer(failure: Failure) -> Response:
    headers = {"Retry-After": "1"} if failure.status == 503 else {}
    return answer(failure.as_json(), status=failure.status, headers=headers)


def _name_of(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    """Return a dataclass's fields, none for another kind."""
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(each.name for each in dataclasses.fields(kind))

"""Parts of forms that several endpoints share."""

from typing import Annotated, Any, Final

from msgspec import Meta

from stepwell_hub.endpoints import Form

Limit = Annotated[int, Meta(ge=1, le=10_000)]
Text = Annotated[str, Meta(max_length=65_536)]
Name = Annotated[str, Meta(max_length=4096)]
Moment = Annotated[float, Meta(ge=-1e11, le=1e11)]
"""Seconds since 1970 UTC, some thousand years to both sides."""
DEPTH_MAX: Final = 200
"""Of nested objects and lists: encoders and readers recurse once per level."""
RUNS_MAX: Final = 2000
RunIds = Annotated[tuple[Name, ...], Meta(max_length=RUNS_MAX)]


class ForceForm(Form):
    """``force``: also running runs."""

    force: bool = False


def is_deep(value: Any) -> bool:
    """Return whether ``value`` has more than `DEPTH_MAX` objects or lists in each other."""
    inside = [value]
    for _ in range(DEPTH_MAX):
        inside = [
            part
            for each in inside
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
    return bool(inside)

"""The facts of a run that a script gives to `init`, cut to the size that one event has."""

from typing import Any, Final

from stepwell._names import Warn, cut_text
from stepwell._settings import Settings
from stepwell_wire.limits import EVENT_BYTES_MAX

FACTS_BYTES_MAX: Final = EVENT_BYTES_MAX - 512 * 1024
_FACTS: Final = ("name", "notes", "tags", "group", "job_type", "entity")
_BYTES_AROUND: Final = 16  # Of a text in msgpack, and of the name of its fact.


def facts_that_fit(settings: Settings, warn: Warn) -> Settings:
    """Return ``settings`` with facts that fit into one event; the largest are cut first.

    Otherwise all facts of the run would be lost, and those of the process with them: its start.
    """
    left = FACTS_BYTES_MAX
    changed: dict[str, Any] = {}
    for size, fact in sorted((_size_of(getattr(settings, fact)), fact) for fact in _FACTS):
        if size <= left:
            left -= size
            continue
        value = getattr(settings, fact)
        kept: Any = cut_text(value) if isinstance(value, str) else ()
        if _size_of(kept) > left:
            kept = None
        changed[fact] = kept
        left -= _size_of(kept)
        warn(
            f"init {fact}",
            f"init({fact}=…) has {size:,} bytes and was {'cut' if kept else 'not recorded'}; name, "
            f"notes, tags, group and job type have at most {FACTS_BYTES_MAX:,} bytes together",
        )
    return settings._replace(**changed) if changed else settings


def _size_of(value: Any) -> int:
    texts = (value,) if isinstance(value, str) else value or ()
    return sum(len(text.encode()) + _BYTES_AROUND for text in texts)

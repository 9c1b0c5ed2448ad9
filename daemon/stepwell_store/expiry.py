"""Tables that drop their rows by age: what the engine's TTL is, and how it is changed."""

import re
from typing import Final

_TTL: Final = re.compile(r" TTL .*?toIntervalDay\((\d+)\)")


def ttl_change(engine_full: str, days: int) -> str:
    """Return what ``ALTER TABLE`` needs so that rows go after ``days``; empty where they do.

    Args:
        engine_full: the table's engine as `system.tables` has it.
        days: 0 keeps rows for ever.
    """
    found = _TTL.search(engine_full)
    if (int(found.group(1)) if found else 0) == days:
        return ""
    if not days:
        return "REMOVE TTL"
    return f"MODIFY TTL toDateTime(intDiv(time, 1000000)) + toIntervalDay({days})"

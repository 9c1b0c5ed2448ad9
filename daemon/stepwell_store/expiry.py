"""Tables that drop their rows by age: the engine's TTL, and how to change it."""

import re
from typing import Final

_TTL: Final = re.compile(r" TTL .*?toIntervalDay\((\d+)\)")


def ttl_change(engine_full: str, days: int) -> str:
    """Return the ``ALTER TABLE`` clause that drops rows after ``days``; empty if it is set already.

    Args:
        engine_full: the table's engine, from `system.tables`.
        days: 0 keeps all rows.
    """
    found = _TTL.search(engine_full)
    if (int(found.group(1)) if found else 0) == days:
        return ""
    if not days:
        return "REMOVE TTL"
    return f"MODIFY TTL toDateTime(intDiv(time, 1000000)) + toIntervalDay({days})"

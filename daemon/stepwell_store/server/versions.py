"""The dialect for a server's version."""

import re
from typing import Final

from stepwell_store.server.dialect import MODERN, Dialect
from stepwell_store.server.old_servers import OLD

_MODERN_SINCE: Final = (23, 3)


def dialect_of(version: str) -> Dialect:
    """Return the dialect of a server of ``version`` ("18.16.1")."""
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    return MODERN if numbers >= _MODERN_SINCE else OLD

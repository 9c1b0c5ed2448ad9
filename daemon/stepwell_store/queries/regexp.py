"""Regular expressions of RE2, in the form for the engine."""

from typing import Final

CANNOT_COMPILE: Final = 427
"""The engine's error number for an expression that RE2 rejects."""


def regexp(pattern: str) -> str:
    """Return ``pattern`` for ``match``.

    Servers of 18.16 first search for plain text of the pattern and ignore that flags such as
    ``(?i)`` change it, unless there is an alternative. So an alternative that never matches is
    added in front. There is no group around the pattern, because a group would make ``a)(?:b``
    valid.
    """
    return f"[^\\s\\S]|{pattern}" if "(?" in pattern else pattern

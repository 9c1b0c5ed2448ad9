"""Regular expressions of RE2, as the engine is given them."""

from typing import Final

CANNOT_COMPILE: Final = 427
"""The engine's error number for an expression that RE2 refuses."""


def regexp(pattern: str) -> str:
    """Return ``pattern`` for ``match``.

    Servers of 18.16 look for plain text of the pattern first and forget that flags such as
    ``(?i)`` change it, unless there is an alternative: so one is added that never matches. It goes
    in front, without a group around the pattern: that would give ``a)(?:b`` a meaning.
    """
    return f"[^\\s\\S]|{pattern}" if "(?" in pattern else pattern

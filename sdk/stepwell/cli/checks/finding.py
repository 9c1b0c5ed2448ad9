"""What a check found."""

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One fact.

    Attributes:
        check: what was looked at; stable, for scripts.
        remedy: what to do, "" when nothing.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "level": self.level.value,
            "message": self.message,
            "remedy": self.remedy,
        }

"""Unit files as systemd reads them, as far as the tests need it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Unit:
    """The settings of a unit's section [Service], in their order."""

    path: Path
    settings: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        section, found = "", []
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                found.append((name, value))
        return cls(path, tuple(found))

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.settings if known == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

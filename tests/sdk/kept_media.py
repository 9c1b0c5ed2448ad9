"""A stage for tests of media."""

from pathlib import Path
from typing import Any


class Kept:
    """A stage that keeps in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, Any], bytes]] = []

    def keep(self, kind: str, about: Any, pieces: Any) -> dict[str, Any]:
        self.kept.append((kind, dict(about), b"".join(bytes(each) for each in pieces)))
        return {"blob": f"{len(self.kept):032x}"}

    def keep_file(self, kind: str, about: Any, path: Any) -> dict[str, Any]:
        return self.keep(kind, about, [Path(path).read_bytes()])

    def note_within(self, about: Any, within: Any) -> None:
        raise AssertionError("this medium names no other blob")

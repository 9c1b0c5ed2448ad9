"""The last lines of the console that did not fit into the journal, kept until there is room.

The last lines of a run, such as its result, matter more than earlier ones.
"""

from collections.abc import Iterator
from typing import Any, Final

TAIL_BYTES_MAX: Final = 64 * 1024
_TAIL_SHARE: Final = 8  # Of a segment, so that one holds it all.
_LINE_BYTES: Final = 32  # The most that a line takes beside its text.

Lines = list[list[Any]]  # number, µs since 1970 UTC, text


class ConsoleTail:
    """Lines of both streams; for a changed line its last text."""

    def __init__(self, segment_bytes: int) -> None:
        self._bytes_max = min(TAIL_BYTES_MAX, segment_bytes // _TAIL_SHARE)
        self._held: dict[tuple[str, int], tuple[list[Any], int]] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, stream: str, lines: Lines) -> Iterator[tuple[str, Lines]]:
        """Keep ``lines``; yield those that are dropped for them, the oldest first."""
        for line in lines:
            self._forget((stream, line[0]))
            size = len(line[2].encode("utf-8", "replace")) + _LINE_BYTES
            self._held[stream, line[0]] = line, size
            self._size += size
        while self._size > self._bytes_max:
            key = next(iter(self._held))
            yield key[0], [self._forget(key)]

    def take(self) -> dict[str, Lines]:
        """Return the lines of each stream by number, and forget them."""
        taken: dict[str, Lines] = {}
        for (stream, _), (line, _) in sorted(self._held.items()):
            taken.setdefault(stream, []).append(line)
        self._held, self._size = {}, 0
        return taken

    def _forget(self, key: tuple[str, int]) -> Any:
        line, size = self._held.pop(key, (None, 0))
        self._size -= size
        return line

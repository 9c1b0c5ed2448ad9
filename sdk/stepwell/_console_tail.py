"""The last lines of the console that found no room in the journal, kept until there is some.

What a run says at its end, such as its result, matters more than what it said before.
"""

from collections.abc import Iterator
from typing import Any, Final

TAIL_BYTES_MAX: Final = 64 * 1024
_TAIL_SHARE: Final = 8  # Of a segment, so that one holds it all.
_LINE_BYTES: Final = 32  # What a line takes beside its text, at most.

Lines = list[list[Any]]  # number, µs since 1970 UTC, text


class ConsoleTail:
    """Lines of both streams; of a line that changes the last text."""

    def __init__(self, segment_bytes: int) -> None:
        self._bytes_max = min(TAIL_BYTES_MAX, segment_bytes // _TAIL_SHARE)
        self._held: dict[tuple[str, int], tuple[list[Any], int]] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, stream: str, lines: Lines) -> Iterator[tuple[str, Lines]]:
        """Keep ``lines``; yield those that are lost for it, the oldest first."""
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

"""Marks: the last read line of each writer in the console of a run.

The lines of several writers reach the store in any order, so a time does not show which lines a
reader has. A number does: the lines of one writer and stream are stored in the order of their
numbers. A line with a changed text (a progress bar) keeps its number and has a later time. So a
mark is the number and the time of the last read line.

    text := base64url(zlib(JSON [quiet_us, [writer, stream, number, time_us], …]))

A cursor has a bound, but a run has any number of writers. Beyond ``MARKS_MAX`` the streams that
were silent for the longest have no mark; their lines count as read up to ``quiet_us``.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

MARKS_MAX: Final = 256
"""Maximum in a cursor; each takes some 25 characters of a request's address."""
_JSON_BYTES_MAX: Final = 1 << 20
_NOTHING_QUIET: Final = -(2**63)
_HINTS_MAX: Final = 64
"""With more sources the hint for the index costs more than the lines that it skips: of 400,000
lines of 200 writers the numbers are read in 10 ms."""
_INT64: Final = range(-(2**63), 2**63)
_JOINED: Final = "concat(writer_id, '/', toString(stream))"
_OF_MARK: Final = (
    f"transform({_JOINED}, {{sources:Array(String)}}, {{%s:Array(Int64)}}, toInt64(0))"
)


class MarkSource(NamedTuple):
    """A writer's stream."""

    writer_id: str
    stream: str


class MarkPlace(NamedTuple):
    """The last read line: its number, and its time in microseconds since 1970 UTC."""

    number: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Marks:
    """The read lines.

    Attributes:
        quiet_us: lines of sources without a mark count as read up to this time.
    """

    places: Mapping[MarkSource, MarkPlace] = field(default_factory=dict)
    quiet_us: int = _NOTHING_QUIET

    def advanced(self, read: Iterable[tuple[MarkSource, MarkPlace]]) -> "Marks":
        """Return the marks after reading more lines, at most ``MARKS_MAX``."""
        places = dict(self.places)
        for source, place in read:
            places[source] = max(place, places.get(source, place))
        if len(places) <= MARKS_MAX:
            return Marks(places, self.quiet_us)
        latest = sorted(places.items(), key=lambda item: (item[1].time_us, item[0]), reverse=True)
        silent = latest[MARKS_MAX][1].time_us
        return Marks(dict(latest[:MARKS_MAX]), max(self.quiet_us, silent))

    def encoded(self) -> str:
        rows = [
            [*source, place.number, place.time_us] for source, place in sorted(self.places.items())
        ]
        held = json.dumps([self.quiet_us, *rows], separators=(",", ":"))
        packed = zlib.compress(held.encode("utf-8", "surrogatepass"), 9)
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def unread(self) -> tuple[str, dict[str, object]]:
        """Return the condition for unread lines, and its parameters."""
        if not self.places:
            return "time > {quiet:Int64}", {"quiet": self.quiet_us}
        parameters: dict[str, object] = {
            "sources": [f"{writer_id}/{stream}" for writer_id, stream in self.places],
            "numbers": [place.number for place in self.places.values()],
            "times": [place.time_us for place in self.places.values()],
            "quiet": self.quiet_us,
        }
        condition = (
            f"if({_JOINED} IN {{sources:Array(String)}}, number > {_OF_MARK % 'numbers'} "
            f"OR (number = {_OF_MARK % 'numbers'} AND time > {_OF_MARK % 'times'}), "
            "time > {quiet:Int64})"
        )
        if len(self.places) > _HINTS_MAX:
            return condition, parameters
        hint, of_hint = self._hint()
        return f"{condition} AND indexHint({hint})", parameters | of_hint

    def _hint(self) -> tuple[str, dict[str, object]]:
        """Return the condition by which the table's index skips lines that were read long ago."""
        streams: dict[str, list[tuple[str, int]]] = {}
        for source, place in self.places.items():
            streams.setdefault(source.writer_id, []).append((source.stream, place.number))
        parameters: dict[str, object] = {"writers": list(streams)}
        terms = ["writer_id NOT IN {writers:Array(String)}"]
        for at, (writer_id, marks) in enumerate(streams.items()):
            parameters |= {f"w{at}": writer_id, f"s{at}": [stream for stream, _ in marks]}
            ends = [f"stream NOT IN {{s{at}:Array(String)}}"]
            for number, (stream, end) in enumerate(marks):
                parameters |= {f"s{at}_{number}": stream, f"n{at}_{number}": end}
                ends.append(
                    f"stream = {{s{at}_{number}:String}} AND number >= {{n{at}_{number}:Int64}}"
                )
            terms.append(f"writer_id = {{w{at}:String}} AND ({' OR '.join(ends)})")
        return " OR ".join(terms), parameters


def decode_marks(text: str) -> Marks:
    """Return the marks from the text of ``Marks.encoded``.

    Raises:
        ValueError: It is not such a text.
    """
    try:
        packed = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        opened = zlib.decompressobj()
        held = json.loads(opened.decompress(packed, _JSON_BYTES_MAX))
        quiet_us, *rows = held
        places = {
            MarkSource(*map(_text, row[:2])): MarkPlace(*map(_integer, row[2:])) for row in rows
        }
    except (ValueError, TypeError, binascii.Error, zlib.error, RecursionError) as error:
        raise ValueError("not the marks of a console") from error
    if len(places) > MARKS_MAX:
        raise ValueError(f"more than {MARKS_MAX} marks")
    return Marks(places, _integer(quiet_us))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or value not in _INT64:
        raise ValueError("not an integer of 64 bits")
    return value

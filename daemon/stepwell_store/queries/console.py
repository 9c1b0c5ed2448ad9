"""The console of a run: lines by time, in pages, with search, and followed live.

Pages go backward and forward by time. At the end a reader follows: then lines come in the order in
which they were stored, writer by writer (``console_marks.py``), because the lines of another rank
may arrive late. The lines of a run are counted when a view of them is opened; the cost of later
pages depends only on their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.errors import CursorError, FilterError, QueryError
from stepwell_store.queries.console_marks import MarkPlace, Marks, MarkSource, decode_marks
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.regexp import CANNOT_COMPILE, regexp
from stepwell_store.store import Store

_KEY: Final = "time, number, writer_id, stream"
_ARRIVAL: Final = "writer_id, stream, number"
"""Lines of a writer's stream are stored in this order, so a part of it can be read alone."""
_COLUMNS: Final = "toString(stream) AS its_stream, label, number, time, text, writer_id"
_Place = tuple[int, int, str, str]


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line.

    Attributes:
        id: of the line in its run. A line that is written again, such as a progress bar, keeps it:
            the later line replaces the earlier.
        cursor: for ``before`` and ``after``.
        stream: ``stdout`` or ``stderr``.
        number: of the line within its writer and stream.
        time: seconds since 1970 UTC.
    """

    id: str
    cursor: str
    stream: str
    label: str
    number: int
    time: float
    text: str


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """Lines by time, the oldest first.

    Attributes:
        before: the cursor for earlier lines; None if there are none, and with ``after``.
        after: the cursor for later lines, also for lines that come later. None only on an empty
            page for ``before``.
        total: number of matching lines; None on a page that was requested with a cursor.
    """

    lines: tuple[ConsoleLine, ...]
    before: str | None
    after: str | None
    total: int | None


def console_lines(
    store: Store,
    project: str,
    run_id: str,
    *,
    search: str = "",
    stream: str | None = None,
    label: str | None = None,
    before: str | None = None,
    after: str | None = None,
    around_time: float | None = None,
    limit: int = 1000,
    limits: Limits = DEFAULT,
) -> ConsolePage:
    """Return the last lines of a run, or those before or after a cursor or around a time.

    With ``after`` of the last page, each line that was stored since then is returned once, also
    lines with an earlier time. Fewer than ``limit`` lines mean that there are no more now. A line
    that was written again comes again with the same id.

    Args:
        search: RE2; the text contains a match.
        around_time: seconds since 1970 UTC; half of the lines are from before it.

    Raises:
        FilterError: ``search`` is not an RE2 expression.
        CursorError: A cursor does not belong to this run's console, stream and label.
        ValueError: More than one of ``before``, ``after`` and ``around_time``.
    """
    check_limit(limit)
    if sum(each is not None for each in (before, after, around_time)) > 1:
        raise ValueError("set only one of before, after and around_time")
    lines = _Lines(Question(store, limits), project, run_id, search, stream, label)
    if before is not None:
        rows = lines.earlier(limit + 1, before=lines.place(before))
        return lines.page(rows[-limit:], has_earlier=len(rows) > limit)
    if after is not None:
        place = lines.place_or_marks(after)
        if isinstance(place, Marks):
            return lines.follow(place, limit)
        rows = lines.later(limit, after=place)
        if len(rows) == limit:
            return lines.page(rows)
        ends, _ = lines.ends()  # The end is near: from here on the lines are followed.
        return lines.page(lines.later(limit, after=place), ends=ends)
    ends, total = lines.ends()
    if around_time is None:
        rows = lines.earlier(limit + 1)
        kept, has_earlier = rows[-limit:], len(rows) > limit
        return lines.page(kept, has_earlier=has_earlier, ends=ends, total=total)
    at = (round(around_time * 1e6), -(2**63), "", "")
    first = lines.earlier(limit // 2 + 1, before=at)
    kept, has_earlier = first[-(limit // 2) :] if limit > 1 else [], len(first) > limit // 2
    later = lines.later(limit - len(kept), after=at)
    is_end = len(later) < limit - len(kept)
    return lines.page(
        [*kept, *later], has_earlier=has_earlier, ends=ends if is_end else None, total=total
    )


class _Lines:
    """The matching lines of one run."""

    def __init__(
        self,
        question: Question,
        project: str,
        run_id: str,
        search: str,
        stream: str | None,
        label: str | None,
    ) -> None:
        self._question = question
        self._asked = ("console", project, run_id)
        self._asked_marks = (*self._asked, stream or "", label or "")
        self._search = search
        self._parameters: dict[str, object] = {"project": project, "run_id": run_id}
        conditions = ["project = {project:String}", "run_id = {run_id:String}"]
        for name, value in (("stream", stream), ("label", label)):
            if value is not None:
                conditions.append(f"{name} = {{{name}:String}}")
                self._parameters[name] = value
        self._of_view = " AND ".join(conditions)
        self._is_found = ""
        if search:
            self._is_found = "match(text, {search:String})"
            self._parameters["search"] = regexp(search)

    def place(self, cursor: str) -> _Place:
        time_us, number, writer, stream = decode_cursor(self._asked, cursor, [int, int, str, str])
        return time_us, number, writer, stream

    def place_or_marks(self, cursor: str) -> _Place | Marks:
        try:
            return self.place(cursor)
        except CursorError:
            (text,) = decode_cursor(self._asked_marks, cursor, [str])
        try:
            return decode_marks(text)
        except ValueError as error:
            raise CursorError(cursor, "not a cursor of this list") from error

    def ends(self) -> tuple[Marks, int]:
        """Return marks at the end of all stored lines, and the number of matching lines."""
        found = f"countIf({self._is_found})" if self._is_found else "count()"
        rows = self._ask(
            "SELECT writer_id, toString(stream) AS its_stream, max(number) AS last, "
            f"argMax(time, number) AS at, {found} AS lines FROM console FINAL WHERE "
            f"{self._of_view} GROUP BY writer_id, stream",
            {},
        )
        return _marks_at(rows), sum(row["lines"] for row in rows)

    def earlier(self, limit: int, *, before: _Place | None = None) -> list[dict[str, Any]]:
        """Return the last ``limit`` lines before a place, or of all; oldest first."""
        order = ", ".join(f"{name} DESC" for name in _KEY.split(", "))
        return self._read(limit, order, *_beside("<", before))[::-1]

    def later(self, limit: int, *, after: _Place) -> list[dict[str, Any]]:
        """Return the first ``limit`` lines after a place, oldest first."""
        return self._read(limit, _KEY, *_beside(">", after))

    def follow(self, marks: Marks, limit: int) -> ConsolePage:
        """Return unread lines; lines that do not match a search count as read."""
        condition, parameters = marks.unread()
        # The ends come first: a line that is stored between the two queries is read, not skipped.
        passed = self._passed(condition, parameters) if self._search else Marks()
        rows = self._unread(limit, condition, parameters)
        if len(rows) < limit:
            marks = marks.advanced(passed.places.items())
        rows_by_time = sorted(rows, key=lambda row: tuple(_place_of(row)))
        return self.page(rows_by_time, ends=marks)

    def page(
        self,
        rows: Sequence[dict[str, Any]],
        *,
        has_earlier: bool = False,
        ends: Marks | None = None,
        total: int | None = None,
    ) -> ConsolePage:
        """Return the page of ``rows``.

        Args:
            ends: marks from before ``rows`` were read, on the last page of a view.
        """
        lines = tuple(map(self._line, rows))
        after = lines[-1].cursor if lines else None
        if ends is not None:
            read = ends.advanced((_source_of(row), _mark_of(row)) for row in rows)
            after = encode_cursor(self._asked_marks, [read.encoded()])
        before = lines[0].cursor if lines and has_earlier else None
        return ConsolePage(lines, before, after, total)

    def _passed(self, condition: str, parameters: dict[str, object]) -> Marks:
        rows = self._ask(
            "SELECT writer_id, toString(stream) AS its_stream, max(number) AS last, "
            "argMax(newest, number) AS at FROM (SELECT writer_id, stream, number, "
            f"max(time) AS newest FROM console WHERE {_joined(self._of_view, condition)} "
            f"GROUP BY {_ARRIVAL}) GROUP BY writer_id, stream",
            parameters,
        )
        return _marks_at(rows)

    def _read(
        self, limit: int, order: str, condition: str, parameters: dict[str, object]
    ) -> list[dict[str, Any]]:
        where = _joined(self._of_view, self._is_found, condition)
        return self._ask(
            f"SELECT {_COLUMNS} FROM console FINAL WHERE {where} ORDER BY {order} LIMIT {limit}",
            parameters,
        )

    def _unread(
        self, limit: int, condition: str, parameters: dict[str, object]
    ) -> list[dict[str, Any]]:
        """Return lines in the order of their arrival. FINAL would read all of the run's lines."""
        newest = (
            f"SELECT {_COLUMNS} FROM console WHERE {_joined(self._of_view, condition)} "
            f"ORDER BY {_ARRIVAL}, time DESC LIMIT 1 BY {_ARRIVAL}"
        )
        if not self._is_found:
            return self._ask(f"{newest} LIMIT {limit}", parameters)
        return self._ask(
            f"SELECT * FROM ({newest}) WHERE {self._is_found} "
            f"ORDER BY writer_id, its_stream, number LIMIT {limit}",
            parameters,
        )

    def _ask(self, sql: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
        try:
            return self._question.rows(sql, {**self._parameters, **parameters})
        except QueryError as error:
            if error.code != CANNOT_COMPILE:
                raise
            raise FilterError(
                f"not a regular expression of RE2: {self._search}", 0, len(self._search)
            ) from error

    def _line(self, row: dict[str, Any]) -> ConsoleLine:
        return ConsoleLine(
            "/".join((row["writer_id"], row["its_stream"], str(row["number"]))),
            encode_cursor(self._asked, _place_of(row)),
            row["its_stream"],
            row["label"],
            row["number"],
            row["time"] / 1_000_000,
            row["text"],
        )


def _marks_at(rows: Sequence[dict[str, Any]]) -> Marks:
    return Marks().advanced((_source_of(row), MarkPlace(row["last"], row["at"])) for row in rows)


def _joined(*conditions: str) -> str:
    return " AND ".join(filter(None, conditions))


def _beside(operator: str, place: _Place | None) -> tuple[str, dict[str, object]]:
    """Return the condition for lines on one side of a place, and its parameters."""
    if place is None:
        return "", {}
    condition = f"({_KEY}) {operator} ({{t:Int64}}, {{n:Int64}}, {{w:String}}, {{s:String}})"
    return condition, dict(zip("tnws", place, strict=True))


def _place_of(row: dict[str, Any]) -> list[Any]:
    return [row["time"], row["number"], row["writer_id"], row["its_stream"]]


def _source_of(row: dict[str, Any]) -> MarkSource:
    return MarkSource(row["writer_id"], row["its_stream"])


def _mark_of(row: dict[str, Any]) -> MarkPlace:
    return MarkPlace(row["number"], row["time"])

"""The console of a run: lines by time, a page at a time, searched, from both ends."""

from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.errors import FilterError, QueryError
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.regexp import CANNOT_COMPILE, regexp
from stepwell_store.store import Store

_KEY: Final = "time, number, writer_id, stream"


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line.

    Attributes:
        cursor: for ``before`` and ``after``.
        stream: ``stdout`` or ``stderr``.
        number: of the line within its writer and stream.
        time: seconds since 1970 UTC.
    """

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
        before: the cursor for earlier lines, None where there are none.
        after: the cursor for later lines. It is None only without a line: more may be written.
        total: lines that match.
    """

    lines: tuple[ConsoleLine, ...]
    before: str | None
    after: str | None
    total: int


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

    Args:
        search: RE2; the text contains a match.
        around_time: seconds since 1970 UTC; half of the lines are from before it.

    Raises:
        FilterError: ``search`` is no RE2 expression.
        CursorError: A cursor is not of this run's console.
        ValueError: More than one of ``before``, ``after`` and ``around_time``.
    """
    check_limit(limit)
    if sum(each is not None for each in (before, after, around_time)) > 1:
        raise ValueError("give one of before, after and around_time")
    lines = _Lines(Question(store, limits), project, run_id, search, stream, label)
    if around_time is not None:
        at = (round(around_time * 1e6), -(2**63), "", "")
        earlier = lines.read(limit // 2, before=at)
        later = lines.read(limit - len(earlier), since=at)
        return lines.page([*earlier, *later])
    if after is not None:
        return lines.page(lines.read(limit, after=lines.decoded(after)), after=after)
    place = None if before is None else lines.decoded(before)
    return lines.page(lines.read(limit, before=place))


class _Lines:
    """The lines of one run that match."""

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
        self._search = search
        self._parameters: dict[str, object] = {"project": project, "run_id": run_id}
        conditions = ["project = {project:String}", "run_id = {run_id:String}"]
        for name, value in (("stream", stream), ("label", label)):
            if value is not None:
                conditions.append(f"{name} = {{{name}:String}}")
                self._parameters[name] = value
        if search:
            conditions.append("match(text, {search:String})")
            self._parameters["search"] = regexp(search)
        self._where = " AND ".join(conditions)

    def decoded(self, cursor: str) -> tuple[int, int, str, str]:
        time_us, number, writer, stream = decode_cursor(self._asked, cursor, [int, int, str, str])
        return time_us, number, writer, stream

    def read(
        self,
        limit: int,
        *,
        before: tuple[int, int, str, str] | None = None,
        after: tuple[int, int, str, str] | None = None,
        since: tuple[int, int, str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` lines, the oldest first: the last before, or the first after."""
        if limit < 1:
            return []
        place, operator = (before, "<") if before is not None else (after, ">")
        if since is not None:
            place, operator = since, ">="
        condition, parameters = self._where, dict(self._parameters)
        if place is not None:
            condition += (
                f" AND ({_KEY}) {operator} ({{t:Int64}}, {{n:Int64}}, {{w:String}}, {{s:String}})"
            )
            parameters |= dict(zip("tnws", place, strict=True))
        is_backward = operator == "<" or place is None
        order = ", ".join(f"{name}{' DESC' * is_backward}" for name in _KEY.split(", "))
        rows = self._ask(
            "SELECT toString(stream) AS stream, label, number, time, text, writer_id "
            f"FROM console FINAL WHERE {condition} ORDER BY {order} LIMIT {limit}",
            parameters,
        )
        return rows[::-1] if is_backward else rows

    def page(self, rows: list[dict[str, Any]], *, after: str | None = None) -> ConsolePage:
        (counted,) = self._ask(
            "SELECT count() AS lines, min((time, number)) AS oldest "
            f"FROM (SELECT time, number FROM console FINAL WHERE {self._where})",
            self._parameters,
        )
        lines = tuple(map(self._line, rows))
        if not lines:
            return ConsolePage((), None, after, counted["lines"])
        oldest = counted["oldest"]
        first = tuple(oldest.values() if isinstance(oldest, dict) else oldest)
        has_earlier = first < (rows[0]["time"], rows[0]["number"])
        return ConsolePage(
            lines, lines[0].cursor if has_earlier else None, lines[-1].cursor, counted["lines"]
        )

    def _ask(self, sql: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
        try:
            return self._question.rows(sql, parameters)
        except QueryError as error:
            if error.code != CANNOT_COMPILE:
                raise
            raise FilterError(
                f"not a regular expression of RE2: {self._search}", 0, len(self._search)
            ) from error

    def _line(self, row: dict[str, Any]) -> ConsoleLine:
        place = [row["time"], row["number"], row["writer_id"], row["stream"]]
        return ConsoleLine(
            encode_cursor(self._asked, place),
            row["stream"],
            row["label"],
            row["number"],
            row["time"] / 1_000_000,
            row["text"],
        )

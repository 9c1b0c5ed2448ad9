"""The errors of a store, and the caller's reaction to each kind of failure.

ClickHouse numbers its errors. Only this module converts a number into a decision: send the same
rows again later, never again, or report to a person.
"""

import re
from pathlib import Path
from typing import Final

from stepwell_wire.commands import command_text


class StoreError(Exception):
    """Any failure of the store; ``code`` is ClickHouse's number, 0 without one."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailableError(StoreError):
    """The store does not answer now; the block may or may not be stored.

    Repeat the same block under the same token until it succeeds: it is stored once.
    """


class StoreBusyError(StoreUnavailableError):
    """Another process holds the data directory."""


class StoreRejectedError(StoreError):
    """The rows themselves are rejected; the same rows will be rejected again."""


class TableMissingError(StoreUnavailableError):
    """A table or column of the schema is missing: migrate, then repeat."""


class QueryError(StoreError):
    """The query is wrong: syntax, names, types or parameters."""


class QueryTimeoutError(StoreUnavailableError):
    """The query took longer than its time limit and was ended."""


class QueryTooLargeError(StoreUnavailableError):
    """The query needed more memory than its limit and was ended."""


class QueryCancelledError(StoreUnavailableError):
    """The query was ended by ``cancel``, or by the engine."""


class CursorError(QueryError):
    """The cursor does not belong to this list."""

    def __init__(self, cursor: str, reason: str) -> None:
        shown = cursor if len(cursor) <= 60 else f"{cursor[:60]}…"
        super().__init__(
            f"cursor {shown!r}: {reason}; use next_cursor of the previous page with the same "
            "filter and sort, or start again without a cursor"
        )
        self.cursor = cursor


class FilterError(QueryError):
    """The text of a filter, sort key or column is wrong.

    Attributes:
        message: the problem without the position.
        position: characters before the problem, from 0.
        length: characters that the problem covers.
    """

    def __init__(self, message: str, position: int = 0, length: int = 0) -> None:
        super().__init__(f"filter, character {position + 1}: {message}")
        self.message = message
        self.position = position
        self.length = length


class SchemaTooNewError(StoreError):
    """The directory was written by a newer stepwell."""

    def __init__(self, found: int, newest: int) -> None:
        super().__init__(
            f"the store has schema version {found}, but this stepwell reads versions up to "
            f"{newest}; nothing was changed: upgrade stepwell to read or write this store"
        )
        self.found = found
        self.newest = newest


class SchemaTooOldError(StoreError):
    """A query needs a table or column that is missing, because an older stepwell owns the store."""

    def __init__(self, found: int, newest: int) -> None:
        super().__init__(
            f"the store has schema version {found}, but this stepwell reads version "
            f"{newest}: an older daemon uses the store. Restart the daemon with this "
            "release, which upgrades the tables (`stepwell down`, then `stepwell up`; or "
            "restart its service)"
        )
        self.found = found
        self.newest = newest


class SocketMissingError(StoreUnavailableError):
    """No engine listens at ``path``."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            f"{path}: no store engine answers on this socket ({reason}); run `stepwell up` "
            "or `stepwell daemon`, or open the data directory with a command that starts an "
            "engine"
        )
        self.path = path


class RunNotFoundError(StoreError):
    """No run has this id, name or path.

    Args:
        is_project: a project has this name.
        projects: names of projects like it; None if no project was asked for.
    """

    def __init__(
        self,
        reference: str,
        nearest: list[str],
        *,
        is_project: bool = False,
        projects: list[str] | None = None,
    ) -> None:
        meant = [*map(repr, nearest), *(f"the project {each!r}" for each in projects or ())]
        hint = f"did you mean {' or '.join(meant)}? " if meant else ""
        remedy = "`stepwell runs` lists all"
        if is_project:
            hint = "it is a project; "
            remedy = f"{command_text('runs', '--project', reference)} lists its runs"
        what = "run" if projects is None else "run and no project"
        super().__init__(f"there is no {what} {reference!r}; {hint}{remedy}")
        self.reference = reference
        self.nearest = nearest


class RunIsRunningError(StoreError):
    """Runs that are still running are deleted only with ``force``."""

    def __init__(self, runs: list[str]) -> None:
        shown = ", ".join(runs[:10]) + (", …" if len(runs) > 10 else "")
        super().__init__(
            f"still running: {shown}; nothing was deleted. Finish them first, or use "
            "force, which also deletes the rows that their writers send later"
        )
        self.runs = runs


class AmbiguousRunError(StoreError):
    """Several runs have this id or name; or a run and a project, if ``is_project``."""

    def __init__(self, reference: str, candidates: list[str], *, is_project: bool = False) -> None:
        shown = ", ".join(candidates[:10]) + (", …" if len(candidates) > 10 else "")
        if is_project:
            runs = "a run" if len(candidates) == 1 else f"{len(candidates)} runs"
            super().__init__(
                f"{runs} and a project have the name {reference!r}; use {shown} or {reference}/"
            )
        else:
            super().__init__(
                f"{len(candidates)} runs are called {reference!r}: {shown}; use PROJECT/RUN-ID"
            )
        self.reference = reference
        self.candidates = candidates


_RETRYABLE: Final = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: a torn hand-over of the block
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        164,  # READONLY
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        285,  # TOO_FEW_LIVE_REPLICAS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION: errors of the operating system that have no number of their own
        1001,  # STD_EXCEPTION
    }
)
_POISON: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        469,  # VIOLATED_CONSTRAINT
    }
)
_SCHEMA: Final = frozenset({16, 60, 81})  # NO_SUCH_COLUMN, UNKNOWN_TABLE, UNKNOWN_DATABASE
_NO_SPACE: Final = 243
_TIMEOUTS: Final = frozenset({159, 160, 209})
_TOO_LARGE: Final = 241
CANCELLED: Final = 394
_CODE: Final = re.compile(r"Code: (\d+)\. ")


def code_of(message: str) -> int:
    """Return ClickHouse's error number in ``message``, 0 without one."""
    found = _CODE.search(message)
    return int(found.group(1)) if found else 0


def insert_error(table: str, code: int, message: str) -> StoreError:
    """Return the error for an insert into ``table`` that failed with ``code``.

    An unknown number counts as unavailable, because keeping the data and retrying loses no row.
    """
    if code in _SCHEMA:
        return TableMissingError(
            f"insert into {table}: {message}; the tables must be created again", code
        )
    if code in _POISON:
        return StoreRejectedError(
            f"insert into {table}: {message}; the store rejects these rows also in later attempts",
            code,
        )
    if code == _NO_SPACE:
        message = "the store's disk is full or almost full; free disk space"
    return StoreUnavailableError(
        f"insert into {table}: {message}; retrying until it succeeds", code
    )


def query_error(code: int, message: str) -> StoreError:
    """Return the error for a query that failed with ``code``."""
    if code in _SCHEMA:
        return TableMissingError(
            f"query: {message}; check the name; a daemon that starts creates missing tables", code
        )
    if code in _TIMEOUTS:
        return QueryTimeoutError(f"query: {message}; request less data, or allow more time", code)
    if code == _TOO_LARGE:
        return QueryTooLargeError(
            f"query: {message}; request less data, or allow more memory", code
        )
    if code == CANCELLED:
        return QueryCancelledError(f"query: {message}", code)
    if code in _RETRYABLE:
        return StoreUnavailableError(
            f"query: {message}; try again later, or request less data", code
        )
    return QueryError(f"query: {message}; correct the query", code)

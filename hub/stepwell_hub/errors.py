"""Errors of the hub, and how they are reported: one JSON shape for every failure.

{"error": {"code": "filter_invalid", "message": "…", "field": "filter", "position": 3, "length": 4}}
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from stepwell_store.errors import (
    AmbiguousRunError,
    CursorError,
    FilterError,
    QueryError,
    QueryTimeoutError,
    QueryTooLargeError,
    RunIsRunningError,
    RunNotFoundError,
    SchemaTooNewError,
    StoreError,
    StoreUnavailableError,
)


class HubError(Exception):
    """A failure that the hub reports with a remedy."""


class HubConfigError(HubError):
    """A setting is unknown or invalid, or settings contradict each other."""


class AlreadyRunningError(HubError):
    """Another hub uses the folder."""


class CatalogUnavailableError(HubError):
    """The catalog's database does not answer now, or cannot be used."""


class SweepInvalidError(HubError):
    """A sweep's configuration is wrong.

    Attributes:
        field: path of the wrong field: ``parameters.lr.min``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class SweepNotFoundError(HubError):
    """There is no such sweep, agent or trial."""


class SweepEndedError(HubError):
    """The sweep is finished or canceled, which is final."""


class ClientGoneError(Exception):
    """The client that asked has left; the answer is not needed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the client gets it.

    Attributes:
        code: a stable word for programs.
        field: which part of the request is wrong, "" for none.
        position: offset in that text, from 0; None if the error has no position.
    """

    status: int
    code: str
    message: str
    field: str = ""
    position: int | None = None
    length: int | None = None

    def as_json(self) -> dict[str, Any]:
        facts = dataclasses.asdict(self)
        del facts["status"]
        return {"error": {name: each for name, each in facts.items() if each not in (None, "")}}


class ApiError(HubError):
    """A request that is answered with a failure."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str = "",
        position: int | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(status, code, message, field, position, length)


def failure_of(error: StoreError) -> Failure:
    """Return the error that a client gets for a failed query."""
    text = str(error)
    match error:
        case FilterError():
            return Failure(
                400, "filter_invalid", error.message, "filter", error.position, error.length
            )
        case CursorError():
            return Failure(400, "cursor_invalid", text, "cursor")
        case QueryTimeoutError():
            return Failure(504, "query_timeout", text)
        case QueryTooLargeError():
            return Failure(413, "query_too_large", text)
        case RunIsRunningError():
            return Failure(409, "run_is_running", text)
        case AmbiguousRunError():
            return Failure(409, "run_ambiguous", text)
        case RunNotFoundError():
            return Failure(404, "not_found", text)
        case SchemaTooNewError():
            return Failure(503, "store_too_new", text)
        case StoreUnavailableError():
            return Failure(503, "store_unavailable", text)
        case QueryError():
            return Failure(400, "query_invalid", text)
    return Failure(500, "store_failed", text)

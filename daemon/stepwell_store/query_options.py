"""The options of a statement, the same for every store."""

from collections.abc import Mapping
from typing import TypedDict


class QueryOptions(TypedDict, total=False):
    """The options of a query.

    Attributes:
        parameters: text, numbers, None, or lists of these, by name; none by default.
        timeout_seconds: time limit of the query; 30 by default.
        memory_bytes: memory limit of the query; 0, the default, for the store's limit.
        query_id: a name for ``cancel``; several queries may share it. None by default.
    """

    parameters: Mapping[str, object] | None
    timeout_seconds: float
    memory_bytes: int
    query_id: str

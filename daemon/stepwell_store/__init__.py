"""The store: ClickHouse tables of runs and points, with inserts and queries."""

from stepwell_store.blocks import Block, BlockBuilder
from stepwell_store.embedded import EmbeddedStore, connect_embedded, open_embedded
from stepwell_store.errors import (
    AmbiguousRunError,
    CursorError,
    FilterError,
    QueryCancelledError,
    QueryError,
    QueryTimeoutError,
    QueryTooLargeError,
    RunIsRunningError,
    RunNotFoundError,
    SchemaTooNewError,
    SchemaTooOldError,
    StoreBusyError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
    TableMissingError,
)
from stepwell_store.store import Store
from stepwell_store.writer import WriterInfo

__all__ = [
    "AmbiguousRunError",
    "Block",
    "BlockBuilder",
    "CursorError",
    "EmbeddedStore",
    "FilterError",
    "QueryCancelledError",
    "QueryError",
    "QueryTimeoutError",
    "QueryTooLargeError",
    "RunIsRunningError",
    "RunNotFoundError",
    "SchemaTooNewError",
    "SchemaTooOldError",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreRejectedError",
    "StoreUnavailableError",
    "TableMissingError",
    "WriterInfo",
    "connect_embedded",
    "open_embedded",
]

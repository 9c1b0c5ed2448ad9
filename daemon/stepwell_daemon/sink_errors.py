"""The kind of a sink's failure: one word, for which `doctor` has a remedy."""

from typing import Final

from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gateway.connection import GatewayError
from stepwell_store.errors import (
    SchemaTooNewError,
    StoreBusyError,
    StoreError,
    TableMissingError,
)

AUTH: Final = "auth"
BUSY: Final = "busy"
CONFIGURATION: Final = "configuration"
DISK: Final = "disk"
MEMORY: Final = "memory"
OTHER: Final = "other"
READ_ONLY: Final = "read_only"
SCHEMA: Final = "schema"
SCHEMA_NEWER: Final = "schema_newer"
TOO_MANY_PARTS: Final = "too_many_parts"
UNREACHABLE: Final = "unreachable"
VERSION: Final = "version"

KINDS: Final = (
    *(AUTH, BUSY, CONFIGURATION, DISK, MEMORY, OTHER, READ_ONLY),
    *(SCHEMA, SCHEMA_NEWER, TOO_MANY_PARTS, UNREACHABLE, VERSION),
)

_BY_CODE: Final = {
    **dict.fromkeys((192, 193, 194, 497, 516), AUTH),
    **dict.fromkeys((159, 202, 203, 209, 210), UNREACHABLE),
    **dict.fromkeys((164, 242), READ_ONLY),
    241: MEMORY,
    243: DISK,
    252: TOO_MANY_PARTS,
}
"""By ClickHouse's error number."""


def kind_of(error: Exception) -> str:
    """Return the one of ``KINDS`` for ``error``."""
    if isinstance(error, GatewayError):
        return error.kind
    if isinstance(error, DaemonConfigError):
        return CONFIGURATION
    if isinstance(error, SchemaTooNewError):
        return SCHEMA_NEWER
    if isinstance(error, TableMissingError):
        return SCHEMA
    if isinstance(error, StoreBusyError):
        return BUSY
    if isinstance(error, StoreError):
        # Without a number: the engine did not answer at all.
        return _BY_CODE.get(error.code, OTHER if error.code else UNREACHABLE)
    if isinstance(error, MemoryError):
        return MEMORY
    return DISK if isinstance(error, OSError) else OTHER

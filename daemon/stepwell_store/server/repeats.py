"""How a server without tokens is asked whether it has a block already.

Each row of its tables says in ``batch`` by which insert it came, and an insert is done as a whole
or not at all. So the block's first row, found by the primary key, tells of all of them.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse_driver import Client
from numpy.typing import NDArray

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.server.dialect import with_literals

_POLL_SECONDS: Final = 0.2


def batch_of(token: str) -> int:
    """Return what the column ``batch`` holds in rows that come under ``token``."""
    digest = hashlib.sha1(token.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little")


def wait_until_ended(client: Client, query_id: str, timeout_seconds: float) -> None:
    """Wait until the server is done with an earlier insert of the same id.

    Raises:
        StoreUnavailableError: It still works on it.
    """
    deadline = time.monotonic() + timeout_seconds
    question = with_literals(
        "SELECT count() FROM system.processes WHERE query_id = {query_id:String}",
        {"query_id": query_id},
    )
    while int(client.execute(question, columnar=True)[0][0]):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                f"the server still works on an earlier insert of this block ({query_id}); "
                "it is sent again when that has ended"
            )
        time.sleep(_POLL_SECONDS)


def holds(
    client: Client, local: str, key: Sequence[str], columns: Mapping[str, NDArray[Any]]
) -> bool:
    """Return whether the first row of the insert is stored: then all of them are."""
    first = {name: columns[name][:1].tolist()[0] for name in (*key, "batch")}
    condition = " AND ".join(
        f"{name} = {{{name}:{'String' if isinstance(value, str) else _int_type(columns[name])}}}"
        for name, value in first.items()
    )
    found = client.execute(
        with_literals(f"SELECT toUInt8(1) FROM {local} WHERE {condition} LIMIT 1", first),
        columnar=True,
    )
    return bool(found)


def holds_batch(client: Client, local: str, batch: int) -> bool:
    """Return whether rows of ``batch`` are stored; every row's is looked at."""
    found = client.execute(
        f"SELECT toUInt8(1) FROM {local} WHERE batch = toUInt64({batch}) LIMIT 1", columnar=True
    )
    return bool(found)


def _int_type(values: NDArray[Any]) -> str:
    return f"{'U' if values.dtype.kind == 'u' else ''}Int{8 * values.dtype.itemsize}"

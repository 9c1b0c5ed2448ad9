"""Logged tables in a blob store."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3

from stepwell._table_rows import pack_rows
from stepwell_daemon.blobs.tables import write_table
from tests.hub.conftest import Hub

NAMES = ["n", "text", "yes", "when", "mixed", "json", "`; DROP TABLE t; --'\\", "n"]


WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)


ROWS = [
    [1, "ant", True, WHEN, 1, [1, 2], 0.5, 10],
    [2, "Bee", False, None, "one", None, float("nan"), 2**60],
    [None, None, None, WHEN, None, {"a": "b"}, 2.5, -1],
    [4, "it's a \\ 'quote'", True, None, 2.5, None, float("inf"), 0],
]


def put(hub: Hub, tmp_path: Path, names: list[str] = NAMES, rows: list[list[Any]] = ROWS) -> str:
    """Return the address of a table of these rows."""
    payload = b"".join(pack_rows(names, rows, lambda value: value))
    target = tmp_path / "made.parquet"
    write_table(io.BytesIO(payload), len(payload), target)
    digest = blake3(target.read_bytes()).hexdigest()
    hub.context.blobs.put(digest, target)
    return f"/api/v1/projects/tables/runs/r/tables/{digest}"

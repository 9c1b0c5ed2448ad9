"""Staged rows of a table that are not what they must be, and the limits of a real worker."""

import asyncio
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell._table_rows import pack_rows
from stepwell_daemon.blobs.tables import write_table
from stepwell_daemon.blobs.worker import make
from stepwell_daemon.blobs.worker_process import Result, WorkerProcess
from stepwell_wire.staged import file_name
from tests.daemon.staged import stage

ROWS = [[number, f"text {number}", 0.5 * number] for number in range(100)]
PAYLOAD = b"".join(pack_rows(["a", "b", "c"], ROWS, str))


@pytest.mark.slow
def test_a_worker_under_its_limits_writes_the_rows(tmp_path: Path) -> None:
    source = tmp_path / file_name(stage(tmp_path, PAYLOAD, "table", form=1))

    async def work() -> Result:
        process = WorkerProcess(memory_bytes=2 << 30, seconds=60)
        try:
            return await process.make(source, tmp_path / "made")
        finally:
            await process.close()

    result = asyncio.run(work())
    assert (result.reason, result.media_type) == ("", "application/vnd.apache.parquet")
    found = pq.read_table(tmp_path / "made").to_pylist()
    assert [[row["c0"], row["c1"], row["c2"]] for row in found] == ROWS


@pytest.mark.parametrize(
    "payload",
    [b"", b"SWTABLE1", b"SWTABLE1\x02\0\0\0[]", PAYLOAD[:-1], PAYLOAD + b"x", PAYLOAD[:200]],
)
def test_rows_that_are_damaged_are_a_reason(tmp_path: Path, payload: bytes) -> None:
    source = tmp_path / file_name(stage(tmp_path, payload, "table", form=1))
    answer = make(source, tmp_path / "made")
    assert "unreadable rows of a table" in answer["unusable"]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.integers(1, 255))
def test_a_changed_byte_never_does_worse_than_fail(place: int, change: int) -> None:
    payload = bytearray(PAYLOAD)
    payload[place] ^= change
    made = io.BytesIO()
    try:
        write_table(io.BytesIO(payload), len(payload), made)  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    assert pq.read_table(io.BytesIO(made.getvalue())).num_rows <= 100

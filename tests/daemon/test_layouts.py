"""An extent that a former release had begun to send counts once, after the upgrade of its store."""

import asyncio
from pathlib import Path

import pytest

from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.segment import Location, Progress
from stepwell_store import Block, StoreUnavailableError, open_embedded
from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.tables import BLOCK_LAYOUT
from tests.daemon.disks import CrashError
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import ROWS, fill, forward
from tests.daemon.made import spool_running
from tests.store.former import EXTENTS, RELEASES, make_store, unpacked

_SINCE = ("step_rollups", "attributes_by_path", "series_stats_by_run", "node_rollups")
_FORMER_POINTS = EXTENTS * 9000


class NeverStores(FakeSink):
    """Notes what it is sent and under which token, and then the daemon dies."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, tuple[Block, str]] = {}

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        self.sent[block.table] = (block, token)
        if block.names:
            return  # Nothing else is sent before.
        if {"points", "series_stats", "step_rollups"} <= self.sent.keys():
            raise CrashError
        raise StoreUnavailableError("the fake store is away")


def begin(folder: Path) -> dict[str, tuple[Block, str]]:
    """Have a daemon die after it chose an extent; return the extent's blocks and tokens."""
    sink = NeverStores()

    async def run() -> None:
        async with spool_running(folder) as spool:
            await fill(spool)
            await forward(spool, sink, block_points=100_000)

    with pytest.raises(BaseExceptionGroup) as crashed:
        asyncio.run(run())
    assert crashed.group_contains(CrashError)
    return sink.sent


def rewrite_layout(folder: Path, layout: int) -> None:
    cursor = CursorFile(folder / "cursor")
    progress = cursor.open(Progress(Location(1, 0)))
    assert progress.extent_end
    assert progress.layout == BLOCK_LAYOUT
    cursor.save(progress._replace(layout=layout))
    cursor.close()


@pytest.mark.holds("stored-once-over-upgrades")
@pytest.mark.processes
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
@pytest.mark.parametrize("stored", [(), ("points",), ("series", "points", "series_stats")])
def test_what_a_former_release_began_to_send_counts_once(
    tmp_path: Path, release: Path, stored: tuple[str, ...]
) -> None:
    make_store(tmp_path / "data", unpacked(release, tmp_path / "release"))
    sent = begin(tmp_path / "spool")
    rewrite_layout(tmp_path / "spool", 1)
    store = open_embedded(tmp_path / "data")
    for table in stored:
        assert table not in _SINCE
        store.insert(*sent[table])
    store.migrate()

    async def go_on() -> Progress:
        async with spool_running(tmp_path / "spool") as spool:
            assert spool.progress.layout == 1
            await forward(spool, store)
            return spool.progress

    progress = asyncio.run(go_on())
    assert (progress.extent_end, progress.layout) == (0, BLOCK_LAYOUT)
    points = _FORMER_POINTS + 2 * 2 * ROWS
    assert store.query("SELECT count() AS n FROM points") == [{"n": points}]
    for table in ("series_stats", "series_stats_by_run"):
        assert store.query(f"SELECT sum(count) AS n FROM {table}") == [{"n": points}]
    assert store.query(
        "SELECT width, sum(count) AS n FROM step_rollups GROUP BY width ORDER BY width"
    ) == [{"width": width, "n": points} for width in ROLLUP_WIDTHS]
    store.close()


def test_a_cursor_of_a_former_release_has_the_first_layout(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    named = Progress(Location(3, 5000), 6000)
    cursor.open(named)
    cursor.close()
    data = bytearray((tmp_path / "cursor").read_bytes())
    for copy in (0, 2048, 4096, 6144):
        data[copy + 12 : copy + 16] = bytes(4)  # As releases before layouts wrote it.
    (tmp_path / "cursor").write_bytes(data)
    assert cursor.peek() == named._replace(layout=1)


@pytest.mark.parametrize("bit", range(32))
def test_a_flipped_bit_in_the_layout_is_noticed(tmp_path: Path, bit: int) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    named = Progress(Location(3, 5000), 6000)
    cursor.open(named)
    cursor.close()
    data = bytearray((tmp_path / "cursor").read_bytes())
    for copy in (0, 4096):
        data[copy + 12 + bit // 8] ^= 1 << bit % 8
    (tmp_path / "cursor").write_bytes(data)
    assert cursor.peek() == named  # By the copy.

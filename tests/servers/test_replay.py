"""Frames that a server had refused are sent to it again: each once, whatever is lost on the way."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from stepwell_daemon.spool.dead_letter import list_dead_letters
from stepwell_daemon.spool.replaying import replay
from stepwell_store import Block, StoreRejectedError, StoreUnavailableError
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import ServerStore
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import ROWS, fill, forward
from tests.daemon.made import spool_running
from tests.node import Node, made_node
from tests.servers.clickhouse import ClickHouseServer

pytestmark = [pytest.mark.processes, pytest.mark.holds("refused-rows-are-kept", "refused-rows")]

POISON = 17


class PickyStore(ServerStore):
    """A server that refuses the points of one step."""

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        if block.table == "points":
            alone = FakeSink()
            alone.blocks = [block]
            if POISON in alone.steps():
                raise StoreRejectedError("that step is not liked here")
        super().insert(block, token, may_repeat=may_repeat)


def dead_lettered(server: ClickHouseServer, data: Path) -> Path:
    """Forward a spool into ``server``; return the file of the dead-lettered frame."""
    store = PickyStore(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    store.migrate()

    async def run() -> None:
        async with spool_running(data / "spool") as spool:
            await fill(spool, writers=1)
            await forward(spool, cast(FakeSink, store), block_points=1000)

    asyncio.run(run())
    store.close()
    (path,) = list_dead_letters(data / "spool")
    return path


def stored_in_server(server: ClickHouseServer) -> dict[str, object]:
    store = ServerStore(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    store.look()
    (points,) = store.query("SELECT count() AS n, uniqExact(step) AS steps FROM points")
    (told,) = store.query("SELECT sum(count) AS n FROM series_stats")
    (rolled,) = store.query("SELECT sum(count) AS n FROM step_rollups WHERE width = 64")
    gaps = store.query("SELECT reason FROM gaps")
    store.close()
    return {
        "points": points["n"],
        "steps": points["steps"],
        "statistics": told["n"],
        "rollups": rolled["n"],
        "gaps": sorted(row["reason"].partition("refused")[2] for row in gaps),
    }


def replay_all(node: Node, *words: str) -> tuple[int, str]:
    done = node.stepwell("spool", "replay", "--all", *words)
    return done.returncode, done.stdout + done.stderr


def test_what_a_server_refused_is_stored_once_however_often_it_is_replayed(
    server: ClickHouseServer,
) -> None:
    with made_node() as node:
        path = dead_lettered(server, node.data)
        before = stored_in_server(server)
        assert (before["points"], before["steps"]) == (2 * (ROWS - 1), ROWS - 1)
        content = path.read_bytes()
        config = node.folder / "daemon.toml"
        config.write_text(f'sink = "clickhouse"\nclickhouse_hosts = "{server.address}"\n')
        code, said = replay_all(node, "--config", str(config))
        assert (code, "2 rows stored" in said) == (0, True), said
        after = stored_in_server(server)
        assert (after["points"], after["steps"]) == (2 * ROWS, ROWS)
        assert (after["statistics"], after["rollups"]) == (
            before["statistics"],
            before["rollups"],
        )
        assert list_dead_letters(node.data / "spool") == []
        path.write_bytes(content)  # As if the power had gone before the move was on disk.
        assert replay_all(node, "--config", str(config))[0] == 0
        assert stored_in_server(server) == after


class ForgetfulStore(ServerStore):
    """A server whose answer to its insert number ``lost`` is lost: done, and nobody hears of it."""

    lost = -1

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        super().insert(block, token, may_repeat=may_repeat)
        self.lost -= 1
        if self.lost == -1:
            raise StoreUnavailableError("no answer")


def test_a_replay_that_got_no_answer_is_repeated_and_stores_once(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    path = dead_lettered(server, tmp_path / "data")
    store = ForgetfulStore(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    store.look()
    for lost in range(2):  # The points, then the word that the gap is filled.
        store.lost = lost
        with pytest.raises(StoreUnavailableError):
            replay(path, store)
        assert path.exists()
    replay(path, store)
    store.close()
    assert not path.exists()
    found = stored_in_server(server)
    assert (found["points"], found["steps"]) == (2 * ROWS, ROWS)
    assert found["gaps"] == [f" by the store, kept in dead_letter/{path.name}"] * 2

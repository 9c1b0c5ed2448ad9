"""What was logged against what is stored, for tests that break things in between."""

from collections.abc import Callable

from stepwell.cli.daemon_client import DaemonClient
from stepwell.cli.errors import CommandError
from stepwell_store import Store, connect_embedded
from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from stepwell_wire.journal_files import find_journals
from tests.node import Node
from tests.waiting import wait_until

Points = dict[tuple[str, str], list[tuple[int, float]]]
"""(step, value) in the order of steps, by (run id, metric)."""


def wait_until_stored(node: Node, *, timeout_seconds: float = 300) -> None:
    """Wait until no journal is left and the daemon has stored all that it holds."""

    problem = ""

    def done() -> bool:
        nonlocal problem
        journals = find_journals(node.journals)
        try:
            with DaemonClient(node.socket) as daemon:
                stored, waiting = daemon.flush(10.0)
        except CommandError as error:
            problem = str(error)
            return False
        problem = f"{len(journals)} journals left, {waiting} bytes wait"
        return stored and not journals

    try:
        wait_until(done, "everything to be stored", timeout_seconds=timeout_seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {problem}\n{node.log()}") from None


def open_store(node: Node) -> Store:
    """Return the store that the node's daemon is told to use."""
    told = node.variables.get
    if told("STEPWELLD_SINK") != "clickhouse":
        embedded = connect_embedded(node.data)
        if embedded.engine_pid is not None:  # A former daemon's store, perhaps.
            embedded.migrate()
        return embedded
    store = open_server(
        ServerSettings(
            endpoints=parse_endpoints(told("STEPWELLD_CLICKHOUSE_HOSTS") or "", 9000),
            database=told("STEPWELLD_CLICKHOUSE_DATABASE") or "stepwell",
            cluster=told("STEPWELLD_CLICKHOUSE_CLUSTER") or "",
        )
    )
    store.migrate()
    return store


def stored_points(node: Node) -> Points:
    """Return every stored point; statistics and rollups must count the same.

    Raises:
        AssertionError: They do not.
    """
    store = open_store(node)
    try:
        names = store.query("SELECT DISTINCT series, run_id, metric FROM series")
        points = {
            row["series"]: row["points"]
            for row in store.query(
                "SELECT series, arraySort(groupArray((step, value))) AS points FROM points "
                "GROUP BY series",
                timeout_seconds=300,
            )
        }
        held: Points = {}
        for name in names:
            found = points.pop(name["series"], [])
            pairs = [(int(step), value) for step, value in found]
            held.setdefault((name["run_id"], name["metric"]), []).extend(pairs)
        assert not points, f"points of series without a name: {list(points)[:3]}"
        held = {key: sorted(pairs) for key, pairs in held.items() if pairs}
        total = sum(map(len, held.values()))
        for table in (
            "series_stats",
            *(f"step_rollups WHERE width = {each}" for each in ROLLUP_WIDTHS),
        ):
            (counted,) = store.query(f"SELECT sum(count) AS n FROM {table}")
            assert int(counted["n"]) == total, f"{table}: {counted['n']} points, not {total}"
    finally:
        store.close()
    return held


def one_each(steps: int, value: Callable[[int], float] = float) -> list[tuple[int, float]]:
    return [(step, value(step)) for step in range(steps)]

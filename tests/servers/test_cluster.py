"""Two shards of two replicas and a ZooKeeper: what is stored, and what survives which death."""

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from stepwell_store import Store, StoreUnavailableError, open_embedded
from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.queries import delete_run, find_run, get_run, list_runs
from stepwell_store.recomputing import recompute
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from stepwell_store.table_spec import ColumnSpec
from stepwell_store.tables import CONSOLE
from tests.daemon.client import status_of
from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.faults.steady import assert_all_stored, training
from tests.node import Node, made_node
from tests.servers.clickhouse import ClickHouseServer, stored_in
from tests.servers.cluster import NAME, Cluster
from tests.servers.opened import opened, settings_of
from tests.store.compared import assert_same
from tests.store.former import EXTENTS, make_server_store, store_rows
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.holds("stored-once-in-servers")]

_ADDED = ColumnSpec("color", "String", default="'grey'")
_QUICKLY = ("--block-delay-seconds", "0.05", "--clickhouse-timeout-seconds", "5")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def node(cluster: Cluster) -> Iterator[Node]:
    with made_node() as made:
        made.variables = {**stored_in(cluster.hosts), "STEPWELLD_CLICKHOUSE_CLUSTER": NAME}
        yield made


def local_rows(server: ClickHouseServer, question: str) -> list[dict[str, object]]:
    store = open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    try:
        return store.query(question)
    finally:
        store.close()


_POINTS = "SELECT * FROM points_local ORDER BY series, step, value"
_ALL = (
    _POINTS,
    "SELECT sum(count) AS n FROM series_stats_local",
    "SELECT sum(count) AS n FROM step_rollups_local",
    "SELECT DISTINCT series FROM series_local ORDER BY series",
)


def assert_replicas_agree(cluster: Cluster, questions: Sequence[str] = _ALL) -> None:
    def agree(pair: list[ClickHouseServer], question: str) -> bool:
        one, other = (local_rows(server, question) for server in pair)
        return one == other

    for pair in cluster.servers:
        for question in questions:
            # A replica that lost its ZooKeeper within an insert has that part beside the repeated
            # one: the server looks whether it is in ZooKeeper after 300 s.
            wait_until(
                partial(agree, pair, question),
                f"the replicas to agree: {question}",
                timeout_seconds=500,
            )


def test_runs_are_spread_over_shards_and_read_as_one(cluster: Cluster, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    code = (
        "import stepwell\nfor n in range(12):\n"
        "    run = stepwell.init('p', id=f'r{n}', name=f'name {n}', config={'n': n})\n"
        "    for step in range(100): run.log({'x': step, 'y': -step})\n"
        "    run.finish()\n"
    )
    done = node.python(code)
    assert done.returncode == 0, done.stderr
    wait_until_stored(node)
    expected = {}
    for n in range(12):
        expected[f"r{n}", "x"] = one_each(100)
        expected[f"r{n}", "y"] = one_each(100, lambda step: -float(step))
    assert stored_points(node) == expected
    held = [{row["series"] for row in local_rows(one, _POINTS)} for one, _ in cluster.servers]
    assert all(held)
    assert not held[0] & held[1]  # A run lies on one shard.
    assert_replicas_agree(cluster)
    store: Store = opened(cluster)
    assert len(list_runs(store, "p").items) == 12
    assert find_run(store, "name 7").run_id == "r7"
    detail = get_run(store, "p", "r3")
    assert detail.config == {"n": 3}
    assert (detail.summary["x"], detail.summary["y"]) == (99.0, -99.0)
    delete_run(store, "p", "r3")
    assert len(list_runs(store, "p").items) == 11
    assert not {key: value for key, value in stored_points(node).items() if key[0] == "r3"}
    store.close()
    assert "name 7" in node.stepwell("runs").stdout


def test_a_run_is_removed_while_replicas_are_down(cluster: Cluster, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    code = (
        "import stepwell\nfor n in range(6):\n"
        "    run = stepwell.init('p', id=f'r{n}')\n"
        "    for step in range(50): run.log({'x': step})\n"
        "    run.finish()\n"
    )
    done = node.python(code)
    assert done.returncode == 0, done.stderr
    wait_until_stored(node)
    assert_replicas_agree(cluster)
    shards = [{row["series"] for row in local_rows(one, _POINTS)} for one, _ in cluster.servers]
    assert all(shards)
    down = [cluster.servers[0][0], cluster.servers[1][1]]
    for server in down:
        server.kill()
    removed = node.stepwell("rm", "r1", "r2", "r4", "--yes")
    assert removed.returncode == 0, removed.stderr
    kept = {(f"r{n}", "x"): one_each(50) for n in (0, 3, 5)}
    assert stored_points(node) == kept
    for server in down:
        server.start()
    assert_replicas_agree(cluster)
    assert stored_points(node) == kept


@pytest.mark.holds("cluster-loses-replicas")
def test_replicas_that_die_in_turn_lose_nothing_and_double_nothing(
    cluster: Cluster, node: Node
) -> None:
    node.start_daemon(*_QUICKLY)
    dice = random.Random(4)
    with training(node) as trainer:
        # A replica that is killed while a table is being made can never make it: ClickHouse
        # finds itself registered, and has no table.
        wait_until(lambda: status_of(node.socket)["sink"]["inserts"] > 0, "the tables to be made")
        for round_ in range(6):
            trainer.wait_for_steps(60)
            dying = [dice.choice(shard) for shard in cluster.servers]
            for server in dying:
                server.kill()
            trainer.wait_for_steps(60)
            if round_ == 3:
                node.stop_daemon(how=9)
                node.start_daemon(*_QUICKLY)
            for server in dying:
                server.start()
        steps, said = trainer.finish()
        assert said == ""
        wait_until_stored(node)
    assert_replicas_agree(cluster)  # What is read may lag behind what is stored.
    assert_all_stored(node, steps)


@pytest.mark.holds("cluster-loses-replicas")
def test_without_its_zookeeper_a_cluster_is_waited_for(cluster: Cluster, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    with training(node) as trainer:
        wait_until(lambda: status_of(node.socket)["sink"]["inserts"] > 0, "the tables to be made")
        cluster.zookeeper.stop()

        wait_until(
            lambda: not status_of(node.socket)["sink"]["healthy"], "tables that are read-only"
        )
        trainer.wait_for_steps(100)
        cluster.zookeeper.start()
        steps, _ = trainer.finish()
        wait_until_stored(node)
    assert_replicas_agree(cluster)
    assert_all_stored(node, steps)


def test_a_quorum_has_a_block_before_it_counts_as_stored(cluster: Cluster, node: Node) -> None:
    node.variables["STEPWELLD_CLICKHOUSE_INSERT_QUORUM"] = "2"
    node.start_daemon(*_QUICKLY)
    with training(node) as trainer:
        trainer.wait_for_steps(60)
        steps, _ = trainer.finish()
        assert_all_stored(node, steps)
    for one, other in cluster.servers:
        assert local_rows(one, _POINTS) == local_rows(other, _POINTS)


@pytest.mark.holds("server-access")
def test_many_daemons_may_make_the_tables_at_once(cluster: Cluster) -> None:
    problems: list[Exception] = []

    def migrate() -> None:
        store = open_server(settings_of(cluster))
        for attempt in range(5):
            try:
                store.migrate()
                break
            except StoreUnavailableError as error:
                # One that lost a race may be told to try again, as a daemon does.
                if attempt == 4:
                    problems.append(error)
            except Exception as error:
                problems.append(error)
                break
        store.close()

    threads = [threading.Thread(target=migrate) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not problems
    store = opened(cluster)
    (found,) = store.query("SELECT max(version) AS version FROM schema_versions")
    assert found["version"] >= 1
    store.close()


@pytest.mark.holds("stored-once-over-upgrades")
def test_a_cluster_of_a_former_release_is_upgraded_on_every_shard_and_replica(
    cluster: Cluster, tmp_path: Path
) -> None:
    store = open_server(settings_of(cluster))
    make_server_store(store, shards=2)
    store.close()
    others = [open_server(settings_of(cluster)) for _ in range(2)]
    for one in others:
        one.migrate()
        one.schema.add_missing_columns([replace(CONSOLE, columns=(*CONSOLE.columns, _ADDED))])
        assert one.query("SELECT color FROM console") == []
    store = opened(cluster)
    without_nan = _ALL[1:]
    assert_replicas_agree(cluster, without_nan)  # One that lags may be the one that is asked.
    for width in ROLLUP_WIDTHS:
        (row,) = store.query(f"SELECT sum(count) AS n FROM step_rollups WHERE width = {width}")
        assert row["n"] == EXTENTS * 9000
    fresh = open_embedded(tmp_path / "fresh")
    fresh.migrate()
    store_rows(fresh)
    assert_same(store, fresh)
    series = [row["series"] for row in store.query("SELECT DISTINCT series FROM points")]
    recompute(store, series)
    assert_replicas_agree(cluster, without_nan)
    assert_same(store, fresh)
    for each in (store, fresh, *others):
        each.close()


def test_a_cluster_of_another_name_is_told(cluster: Cluster) -> None:
    settings = ServerSettings(endpoints=parse_endpoints(cluster.hosts, 9000), cluster="other")
    with pytest.raises(
        StoreUnavailableError, match=r"no cluster 'other', only half, wells; correct"
    ):
        open_server(settings).migrate()


def test_a_cluster_that_got_another_number_of_shards_asks_for_a_new_start(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(cluster)
    monkeypatch.setattr(store.servers, "settings", replace(store.settings, cluster="half"))
    with pytest.raises(StoreUnavailableError, match="has 1 shards, but had 2"):
        store.servers.look()
    store.close()

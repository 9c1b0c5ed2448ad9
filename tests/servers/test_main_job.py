"""The main job with a server behind it: train, and read everything back by the command line."""

import json

import pytest

from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from tests.faults.oracle import stored_points, wait_until_stored
from tests.node import Node
from tests.servers.clickhouse import ClickHouseServer

pytestmark = pytest.mark.processes

_TRAIN = """
import stepwell
run = stepwell.init("vision", id="r1", name="first", config={"optimizer": {"lr": 0.1}},
                    tags=["a"], settings={"console": True})
stepwell.define_metric("loss", summary="min")
print("hello from training")
for step in range(2000):
    run.log({"loss": 1.0 / (step + 1), "accuracy": step / 2000, "note": f"step {step}"[:6]})
run.summary["best"] = float("inf")
run.finish()
"""


def test_a_run_in_a_server_is_read_back_whole(node: Node) -> None:
    node.start_daemon()
    done = node.python(_TRAIN)
    assert done.returncode == 0, done.stderr
    wait_until_stored(node)
    assert stored_points(node) == {
        ("r1", "loss"): [(step, 1.0 / (step + 1)) for step in range(2000)],
        ("r1", "accuracy"): [(step, step / 2000) for step in range(2000)],
    }

    def stepwell(*words: str) -> str:
        done = node.stepwell(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    (listed,) = json.loads(stepwell("runs", "--json"))
    assert (listed["run_id"], listed["name"], listed["state"]) == ("r1", "first", "finished")
    shown = json.loads(stepwell("show", "first", "--json"))
    assert shown["config"] == {"optimizer": {"lr": 0.1}}
    assert shown["summary"]["loss"] == {"min": 1.0 / 2000}
    assert shown["tags"] == ["a"]
    assert "hello from training" in stepwell("show", "first", "--tail", "5")
    lines = stepwell("export", "first", "--format", "csv", "-o", "-").splitlines()
    assert len(lines) == 2001
    assert lines[0].split(",")[:2] == ["_step", "_timestamp"]
    assert json.loads(stepwell("sql", "SELECT count() AS n FROM points", "--format", "json")) == [
        {"n": 4000}
    ]
    assert stepwell("sql", "SELECT 'a,b' AS x", "--format", "csv") == 'x\n"a,b"\n'
    odd = stepwell("sql", "SELECT nan AS a, -inf AS b, [inf, 1.5] AS c", "--format", "jsonl")
    assert json.loads(odd) == {"a": "nan", "b": "-inf", "c": ["inf", 1.5]}
    empty = node.stepwell("sql", "SELECT 1 AS x, 2 AS y WHERE 0")
    assert (empty.stdout, empty.stderr) == ("x  y\n", "stepwell: 0 rows\n")
    nulls = stepwell("sql", "SELECT NULL AS x, '' AS y", "--format", "csv")
    assert nulls == 'x,y\n,""\n'
    assert "4000" in stepwell("sql", "SELECT count() AS n FROM points")
    refused = node.stepwell("sql", "SELECT 1; DROP TABLE points")
    assert refused.returncode != 0
    stepwell("rm", "--yes", "r1")
    assert json.loads(stepwell("runs", "--json")) == []
    assert "loss" not in node.stepwell("sql", "SELECT metric FROM series", "--format", "csv").stdout


def test_a_command_that_is_not_told_the_servers_says_what_to_do(node: Node) -> None:
    node.start_daemon()
    told = node.variables
    try:
        node.variables = {}
        done = node.stepwell("runs")
    finally:
        node.variables = told
    assert done.returncode == 2
    assert "the daemon stores in clickhouse 127.0.0.1" in done.stderr
    assert "--config" in done.stderr


def test_a_configuration_file_says_where_the_servers_are(node: Node) -> None:
    node.start_daemon()
    assert node.python(_TRAIN).returncode == 0
    wait_until_stored(node)
    config = node.folder / "daemon.toml"
    hosts = node.variables["STEPWELLD_CLICKHOUSE_HOSTS"]
    config.write_text(f'sink = "clickhouse"\nclickhouse_hosts = "{hosts}"\n')
    told, node.variables = node.variables, {}
    try:
        done = node.stepwell("runs", "--config", str(config))
    finally:
        node.variables = told
    assert "first" in done.stdout, done.stderr


def test_a_command_that_reads_makes_no_database(server: ClickHouseServer, node: Node) -> None:
    node.variables["STEPWELLD_CLICKHOUSE_DATABASE"] = "misspelt"
    done = node.stepwell("runs")
    assert done.returncode != 0
    assert "misspelt" in done.stderr
    store = open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    store.migrate()
    databases = {row["name"] for row in store.query("SELECT name FROM system.databases")}
    store.close()
    assert "misspelt" not in databases

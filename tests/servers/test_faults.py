"""A server that refuses, vanishes, crawls or dies: nothing is lost, nothing counts twice."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepwell.cli.daemon_client import DaemonClient
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from tests.daemon.client import status_of
from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.faults.steady import assert_all_stored, training
from tests.node import Node, made_node
from tests.servers.clickhouse import ClickHouseServer, stored_in
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.holds("stored-once-in-servers")]

_QUICKLY = ("--block-delay-seconds", "0.05", "--clickhouse-timeout-seconds", "2")


@contextmanager
def node_behind(proxy: Proxy) -> Iterator[Node]:
    with made_node() as node:
        node.variables = stored_in(proxy.address)
        node.start_daemon(*_QUICKLY)
        yield node


def is_failing(node: Node) -> bool:
    return not status_of(node.socket)["sink"]["healthy"]


@pytest.fixture
def proxy(server: ClickHouseServer) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", server.port)) as made:
        yield made


def refuse(proxy: Proxy) -> Callable[[], None]:
    proxy.refuses = True
    proxy.cut()

    def end() -> None:
        proxy.refuses = False

    return end


def black_hole(proxy: Proxy) -> Callable[[], None]:
    proxy.swallows = True

    def end() -> None:
        proxy.swallows = False
        proxy.cut()

    return end


def lose_replies(proxy: Proxy) -> Callable[[], None]:
    """Inserts are done, and nobody hears of it."""
    proxy.swallows_replies = True

    def end() -> None:
        proxy.swallows_replies = False

    return end


def crawl(proxy: Proxy) -> Callable[[], None]:
    proxy.bytes_per_second = 2_000.0

    def end() -> None:
        proxy.bytes_per_second = None

    return end


@pytest.mark.holds("broken-network")
@pytest.mark.parametrize("break_it", [refuse, black_hole, lose_replies, crawl])
def test_a_broken_network_holds_up_no_acks_and_loses_nothing(
    proxy: Proxy, break_it: Callable[[Proxy], Callable[[], None]]
) -> None:
    with node_behind(proxy) as node, training(node) as trainer:
        for _ in range(2):
            trainer.wait_for_steps(100)
            end = break_it(proxy)
            wait_until(lambda: is_failing(node), "the daemon to notice")
            trainer.wait_for_steps(200)  # Acknowledged all the while.
            end()
            wait_until(lambda: not is_failing(node), "the daemon to come back")
        steps, said = trainer.finish()
        assert said == ""
        assert_all_stored(node, steps)


@pytest.mark.holds("broken-network")
def test_an_insert_that_was_done_and_not_answered_is_not_done_again(proxy: Proxy) -> None:
    with node_behind(proxy) as node, training(node) as trainer:
        trainer.wait_for_steps(50)
        proxy.swallows_replies_to = 2000
        code = (
            "import random, stepwell\nrun = stepwell.init('p', id='s')\n"
            "for step in range(2000): run.log({'x': random.Random(step).random()})\n"
            "run.finish()\n"
        )
        done = node.python(code)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: is_failing(node), "an unanswered insert")
        proxy.swallows_replies_to = None
        wait_until(lambda: not is_failing(node), "the daemon to come back")
        trainer.finish()
        wait_until_stored(node)
        stored = stored_points(node)["s", "x"]
        assert stored == one_each(2000, lambda step: random.Random(step).random())
        assert "stored already" in node.log()


@pytest.mark.holds("kill-server")
def test_a_daemon_killed_between_insert_and_cursor_stores_nothing_twice(
    server: ClickHouseServer,
) -> None:
    for place in ("forward.inserted", "forward.delivered"):
        with made_node() as node:
            node.variables = {**stored_in(server.address), "STEPWELL_FAILPOINT": f"{place}:kill"}
            node.variables["STEPWELLD_CLICKHOUSE_DATABASE"] = place.replace(".", "_")
            node.start_daemon("--block-delay-seconds", "0.05", "--sample-seconds", "0")
            code = (
                "import stepwell\nrun = stepwell.init('p', id='r')\n"
                "for step in range(500): run.log({'x': step})\nrun.finish()\n"
            )
            assert node.python(code).returncode == 0
            assert node.daemon is not None
            assert node.daemon.wait(60) == -signal.SIGKILL
            del node.variables["STEPWELL_FAILPOINT"]
            node.start_daemon("--block-delay-seconds", "0.05", "--sample-seconds", "0")
            wait_until_stored(node)
            assert stored_points(node)["r", "x"] == one_each(500)


@pytest.mark.holds("kill-server")
def test_a_server_that_is_killed_again_and_again_loses_nothing(
    server: ClickHouseServer, node: Node
) -> None:
    node.start_daemon(*_QUICKLY)
    with training(node) as trainer:
        for _ in range(4):
            trainer.wait_for_steps(80)
            server.kill()
            trainer.wait_for_steps(80)
            server.start()
        steps, _ = trainer.finish()
        assert_all_stored(node, steps)


@pytest.mark.holds("kill-server")
def test_a_server_that_stands_still_is_waited_for(server: ClickHouseServer, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    with training(node) as trainer:
        trainer.wait_for_steps(50)
        server.signal(signal.SIGSTOP)
        wait_until(lambda: is_failing(node), "the daemon to notice")
        trainer.wait_for_steps(100)
        server.signal(signal.SIGCONT)
        steps, _ = trainer.finish()
        assert_all_stored(node, steps)


_FEW_PARTS = (
    "<merge_tree><parts_to_delay_insert>1</parts_to_delay_insert>"
    "<parts_to_throw_insert>1</parts_to_throw_insert></merge_tree>"
)


@pytest.mark.holds("server-says-no")
@pytest.mark.parametrize(
    ("more", "profile", "code"),
    [
        (_FEW_PARTS, {}, 252),
        ("", {"max_memory_usage": 100_000}, 241),
        ("", {"readonly": 1}, 164),
    ],
    ids=["too-many-parts", "memory-limit", "read-only"],
)
def test_a_server_that_says_no_for_now_is_asked_until_it_says_yes(
    tmp_path: Path, more: str, profile: dict[str, object], code: int
) -> None:
    with ClickHouseServer(tmp_path / "server") as server, made_node() as node:
        node.variables = stored_in(server.address)
        node.start_daemon(*_QUICKLY)
        with training(node) as trainer:
            trainer.wait_for_steps(50)
            wait_until(lambda: bool(status_of(node.socket)["sink"]["inserts"]), "the first points")
            server.stop()
            server.configure(more=more, profile=profile)
            server.start()
            wait_until(
                lambda: f"Code: {code}" in str(status_of(node.socket)["sink"]["last_error"]),
                f"error {code}",
            )
            trainer.wait_for_steps(100)
            server.stop()
            server.configure()
            server.start()
            steps, _ = trainer.finish()
            assert_all_stored(node, steps)


@pytest.mark.holds("server-says-no")
def test_a_dropped_table_is_made_anew(server: ClickHouseServer, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    code = (
        "import stepwell\nrun = stepwell.init('p', id='{0}')\nrun.log({{'x': 1.0}})\nrun.finish()\n"
    )
    assert node.python(code.format("a")).returncode == 0
    wait_until_stored(node)
    store = open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
    for table in ("points", "step_rollups", "series_stats"):
        store.query(f"DROP TABLE {table}")
    store.close()
    assert node.python(code.format("b")).returncode == 0
    wait_until_stored(node)
    assert stored_points(node) == {("b", "x"): [(0, 1.0)]}


@pytest.mark.holds("kill-server")
def test_a_server_that_is_not_there_at_the_start_is_waited_for(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path / "server")
    try:
        with made_node() as node:
            node.variables = stored_in(server.address)
            node.start_daemon(*_QUICKLY)
            with training(node) as trainer:
                with DaemonClient(node.socket) as daemon:
                    wait_until(
                        lambda: "connecting to ClickHouse failed" in str(daemon.status()),
                        "the daemon to say why",
                    )
                server.start()
                steps, _ = trainer.finish()
                assert_all_stored(node, steps)
    finally:
        server.stop()


@pytest.mark.holds("kill-server")
def test_a_killed_daemon_and_a_killed_server_together(server: ClickHouseServer, node: Node) -> None:
    node.start_daemon(*_QUICKLY)
    with training(node) as trainer:
        for round_ in range(4):
            trainer.wait_for_steps(60)
            if round_ % 2:
                server.kill()
            node.stop_daemon(how=signal.SIGKILL)
            time.sleep(0.2)
            if round_ % 2:
                server.start()
            node.start_daemon(*_QUICKLY)
        steps, _ = trainer.finish()
        assert_all_stored(node, steps)

"""Two nodes, a gateway, a store: what is logged arrives once, whatever is killed when."""

import os
import random
import signal

import pytest

from stepwell.cli.daemon_client import DaemonClient
from tests.faults.oracle import wait_until_stored
from tests.node import Node
from tests.system import crash
from tests.system.world import world
from tests.waiting import wait_until

pytestmark = pytest.mark.holds("broken-gateway")


@pytest.mark.holds("stored-once-over-gateways")
@pytest.mark.slow
def test_random_kills_of_nodes_gateway_and_engine_lose_nothing_and_double_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.SystemRandom().randrange(2**32))
    with capsys.disabled():
        result = crash.run(kills=20, seed=seed, trainers=2, shape="gateway")
        print(result)
    assert sum(result["kills"].values()) == 20
    assert result["points"] > 1000


@pytest.mark.holds("stored-once-over-gateways")
@pytest.mark.slow
def test_a_trainer_that_goes_on_to_another_daemon_loses_nothing_behind_their_gateway() -> None:
    """The first daemon is killed before its gateway came; its spool is handed on last."""
    with world(1, "gateway") as made:
        gateway, node = made.store, made.nodes[0]
        # Small segments, so that the journal frees what the first daemon has acknowledged.
        node.variables = {"STEPWELL_JOURNAL_SEGMENT_BYTES": "65536"}
        node.launch_daemon("--segment-bytes", "1048576")
        made.start_trainer(0)
        (trainer,) = made.trainers

        def has_logged(rows: int) -> None:
            wait_until(lambda: trainer.counts()[1] >= rows, f"{rows} rows")

        has_logged(40_000)
        wait_until(lambda: _spool_bytes(node) > 1 << 20, "the first spool to hold something")
        node.stop_daemon(how=signal.SIGKILL)
        node.launch_daemon(STEPWELL_DATA=str(node.folder / "second"))
        has_logged(80_000)
        gateway.launch_daemon()
        has_logged(90_000)
        made.stop_trainers()
        wait_until_stored(node)
        gateway.stop_daemon(how=signal.SIGKILL)
        gateway.launch_daemon()
        node.stop_daemon()
        node.launch_daemon()
        wait_until_stored(node)
        wait_until_stored(gateway)
        with DaemonClient(gateway.socket) as daemon:
            status = daemon.status()
        assert made.compare()["rows_returned"] >= 90_000
        assert status["totals"]["filled_bytes"] > 0, "nothing came late: the test tests nothing"


def _spool_bytes(node: Node) -> int:
    return sum(path.stat().st_size for path in (node.data / "spool").glob("*.seg"))

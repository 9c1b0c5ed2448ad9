"""Daemon and hub report to a service manager: real processes, a real datagram socket."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manager import Manager
from tests.node import Node, made_node

pytestmark = pytest.mark.processes

WATCHDOG_USEC = "100000"


def test_a_daemon_is_ready_when_it_accepts_feeds_the_watchdog_and_says_that_it_stops() -> None:
    with made_node() as node, Manager(node.folder / "notify") as manager:
        node.variables = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": WATCHDOG_USEC}
        node.launch_daemon()
        manager.wait_for("READY=1")
        assert node.stepwell("status").returncode == 0, node.log()
        manager.wait_for("WATCHDOG=1")
        manager.wait_for("WATCHDOG=1")
        assert node.stop_daemon() == 0
        manager.wait_for("STOPPING=1")


def test_a_hub_is_ready_when_it_serves_feeds_the_watchdog_and_says_that_it_stops(
    tmp_path: Path,
) -> None:
    with made_node() as node, Manager(tmp_path / "notify") as manager:
        node.start_daemon()
        hub = start_hub(node, manager)
        try:
            *before, ready = manager.wait_for("READY=1")
            assert before == []
            assert ready[1].startswith("STATUS=serving http://127.0.0.1:")
            manager.wait_for("WATCHDOG=1")
            manager.wait_for("WATCHDOG=1")
            hub.terminate()
            manager.wait_for("STOPPING=1")
            assert hub.wait(60) == 0
        finally:
            hub.kill()
            hub.wait()


def start_hub(node: Node, manager: Manager) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "stepwell_hub", "--data", str(node.data), "--port", "0"],
        env={
            **node.environment,
            "NOTIFY_SOCKET": str(manager.path),
            "WATCHDOG_USEC": WATCHDOG_USEC,
        },
        stdout=subprocess.DEVNULL,
    )

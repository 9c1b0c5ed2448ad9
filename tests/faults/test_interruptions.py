"""Parts that stand still, sockets that go away, descriptors that run out: training goes on."""

import resource
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from stepwell.cli.daemon_client import DaemonClient
from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.faults.steady import assert_all_stored, training
from tests.faults.stopping import engine_of, stopped
from tests.node import Node

pytestmark = pytest.mark.processes

# ---------------------------------------------------------------------------- SIGSTOP


@pytest.mark.holds("log-never-waits", "sigstop")
def test_a_daemon_that_stands_still_holds_up_no_training(node: Node) -> None:
    node.start_daemon()
    with training(node) as trainer:
        assert node.daemon is not None
        with stopped(node.daemon.pid):
            trainer.wait_for_steps(500)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)


@pytest.mark.holds("store-hangs", "sigstop")
def test_an_engine_that_stands_still_holds_up_no_acks(node: Node) -> None:
    node.start_daemon()
    with training(node) as trainer:
        with stopped(engine_of(node)):
            trainer.wait_for_steps(500)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)


@pytest.mark.holds("sigstop")
def test_a_trainer_that_stood_still_goes_on(node: Node) -> None:
    node.start_daemon()
    with training(node) as trainer:
        with stopped(trainer.process.pid):
            before = trainer.steps
            time.sleep(3)
            assert trainer.steps == before
        trainer.wait_for_steps(100)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)


# ---------------------------------------------------------------------------- sockets


@pytest.mark.holds("broken-socket")
def test_a_socket_that_is_removed_and_a_daemon_that_comes_back(node: Node) -> None:
    node.start_daemon()
    with training(node) as trainer:
        node.socket.unlink()
        trainer.wait_for_steps(200)
        node.stop_daemon(how=signal.SIGKILL)
        trainer.wait_for_steps(200)
        node.start_daemon()
        trainer.wait_for_steps(200)
        steps, errors = trainer.finish()
    assert errors.count("\n") <= 6, errors
    assert_all_stored(node, steps)


@pytest.mark.holds("broken-socket")
def test_a_foreign_server_on_the_socket_harms_nothing(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(node.socket))
        foreign.listen(8)
        with training(node) as trainer:
            trainer.wait_for_steps(200)
            foreign.close()
            node.socket.unlink()
            node.start_daemon()
            trainer.wait_for_steps(200)
            steps, _ = trainer.finish()
    assert_all_stored(node, steps)


@pytest.mark.holds("broken-socket")
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_sockets_place(node: Node, kind: str) -> None:
    place = node.socket
    if kind == "folder":
        place.mkdir()
    else:
        place.write_text("")
    with training(node) as trainer:
        trainer.wait_for_steps(100)
        _remove(place)
        node.start_daemon()
        steps, _ = trainer.finish()
    wait_until_stored(node)
    assert stored_points(node)[("steady", "loss")] == one_each(steps, lambda step: step * 0.5)


def _remove(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


# ---------------------------------------------------------------------------- descriptors


def limit_descriptors(pid: int, soft: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.holds("no-descriptors")
def test_a_daemon_out_of_descriptors_serves_on_after_some_are_free(node: Node) -> None:
    node.start_daemon()
    assert node.daemon is not None
    open_now = psutil.Process(node.daemon.pid).num_fds()
    limit_descriptors(node.daemon.pid, open_now + 6)
    with training(node) as trainer:
        peers = []
        for _ in range(40):
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            try:
                peer.connect(str(node.socket))
            except OSError:
                pass
            peers.append(peer)
        trainer.wait_for_steps(300)
        assert node.daemon.poll() is None, node.log()
        for peer in peers:
            peer.close()
        limit_descriptors(node.daemon.pid, 1024)
        trainer.wait_for_steps(100)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)


@pytest.mark.holds("no-descriptors")
def test_a_trainer_out_of_descriptors_goes_on(node: Node) -> None:
    node.start_daemon()
    with training(node) as trainer:
        pid = trainer.process.pid
        trainer.wait_for_steps(300)  # It is connected by then.
        open_now = psutil.Process(pid).num_fds()
        limit_descriptors(pid, open_now + 1)
        node.stop_daemon(how=signal.SIGKILL)
        trainer.wait_for_steps(300)
        node.start_daemon()
        trainer.wait_for_steps(300)
        limit_descriptors(pid, 1024)
        steps, _ = trainer.finish()
    assert_all_stored(node, steps)


@pytest.mark.holds("slow-fsync")
def test_syncs_that_take_long_delay_acks_and_nothing_else(node: Node) -> None:
    node.variables["STEPWELL_FAILPOINT"] = "group.written:sleep=0.5"
    node.start_daemon()
    del node.variables["STEPWELL_FAILPOINT"]
    with training(node) as trainer:
        trainer.wait_for_steps(500)
        with DaemonClient(node.socket) as daemon:
            assert daemon.status()["totals"]["points_received"] > 0
        steps, said = trainer.finish()
    # On a busy machine the last ack may take longer than `finish` waits without a line.
    assert [line for line in said.splitlines() if "bytes to the daemon, 30 s" not in line] == []
    assert_all_stored(node, steps)

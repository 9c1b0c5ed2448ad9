"""A real file system that is full: of the daemon's data, in a mount namespace of its own."""

import os
from pathlib import Path

import pytest

from stepwell.cli.daemon_client import DaemonClient
from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.faults.steady import training
from tests.node import Node
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.holds("bound-failing-spool")]

_SIZE_MIB = 192
_MOUNT = 'mount -t tmpfs -o size=$0m tmpfs "$1" && shift && exec "$@"'


class SmallDisk:
    """A file system of _SIZE_MIB that holds the data folder; the daemon alone sees it mounted."""

    def __init__(self, node: Node) -> None:
        self._node = node
        node.data.mkdir()
        rights = "-m" if os.geteuid() == 0 else "-rm"
        node.wrapper = ("unshare", rights, "sh", "-c", _MOUNT, str(_SIZE_MIB), str(node.data))

    @property
    def path(self) -> Path:
        """The data folder as this process can reach it."""
        assert self._node.daemon is not None
        return Path(f"/proc/{self._node.daemon.pid}/root{self._node.data}")

    def fill(self) -> None:
        """Take all space that is left."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.mark.holds("spool-disk-fails")
def test_a_full_disk_stops_acks_and_everything_arrives_when_there_is_room(node: Node) -> None:
    disk = SmallDisk(node)
    node.start_daemon("--segment-bytes", "1048576", "--keep-bytes", "0")

    def problems() -> list[str]:
        with DaemonClient(node.socket) as daemon:
            return [str(each) for each in daemon.status()["problems"]]

    with training(node) as trainer:
        trainer.wait_for_steps(100)
        disk.fill()
        wait_until(
            lambda: any("space" in each or "disk is full" in each for each in problems()),
            "it to be told",
        )
        trainer.wait_for_steps(500)
        assert node.daemon is not None
        assert node.daemon.poll() is None, node.log()
        disk.free()
        steps, _ = trainer.finish()
    wait_until_stored(node)
    held = stored_points(Node(disk.path.parent))
    assert held == {("steady", "loss"): one_each(steps, lambda step: step * 0.5)}

"""Who answers a command: the daemon whose socket was named, and no other."""

from pathlib import Path

import pytest

from stepwell.cli.daemon_client import DaemonClient
from tests.fake_daemon import FakeDaemon


def test_the_daemon_that_has_the_address_now_answers_not_the_one_that_had_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a descriptor is the address; without /proc, as here, it is the path."""
    monkeypatch.setattr("stepwell_wire.trusted_socket.os.path.exists", lambda path: False)
    paths = [place / f"{number}.sock" for number in range(2)]
    daemons = [FakeDaemon(path, place) for path in paths]
    try:
        for number, daemon in enumerate(daemons):
            daemon.status["totals"]["number"] = number
        with DaemonClient(paths[0]) as first:
            assert first.status()["totals"]["number"] == 0
            paths[1].rename(paths[0])
            with DaemonClient(paths[0]) as second:
                assert second.status()["totals"]["number"] == 1
    finally:
        for daemon in daemons:
            daemon.stop()

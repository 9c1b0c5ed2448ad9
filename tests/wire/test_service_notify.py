"""sd_notify: what a service manager receives, on real datagram sockets."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from stepwell_wire.service_notify import READY, feed_watchdog, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(30)
    made.bind(str(tmp_path / "notify"))
    return made


def test_a_message_reaches_a_socket_in_a_folder(manager: socket.socket) -> None:
    assert notify(f"{READY}\nSTATUS=at work", {"NOTIFY_SOCKET": manager.getsockname()})
    assert manager.recv(100) == b"READY=1\nSTATUS=at work"


def test_a_message_reaches_an_abstract_socket() -> None:
    name = f"stepwell-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        manager.bind(f"\0{name}")
        assert notify(READY, {"NOTIFY_SOCKET": f"@{name}"})
        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent(tmp_path: Path) -> None:
    assert not notify(READY, {})
    assert not notify(READY, {"NOTIFY_SOCKET": ""})


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert not notify(READY, {"NOTIFY_SOCKET": str(tmp_path / "nothing")})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit_by_the_process_that_it_names(
    environ: dict[str, str], seconds: float
) -> None:
    assert watchdog_seconds(environ) == seconds


def test_the_watchdog_is_fed_again_and_again(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "2000"}

    async def three() -> list[bytes]:
        feeding = asyncio.create_task(feed_watchdog(environ))
        received = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
        feeding.cancel()
        return received

    assert asyncio.run(three()) == [b"WATCHDOG=1"] * 3


def test_without_a_watchdog_feeding_ends_at_once(manager: socket.socket) -> None:
    asyncio.run(feed_watchdog({"NOTIFY_SOCKET": manager.getsockname()}))

"""sd_notify: reports a service's state to systemd, as `sd_notify(3)` describes it.

    NOTIFY_SOCKET   a unix datagram socket, `/path` or `@abstract`; a datagram is lines NAME=VALUE
    WATCHDOG_USEC   send WATCHDOG=1 within so many microseconds, else systemd ends the service
    WATCHDOG_PID    the process that has to send it

Without NOTIFY_SOCKET nothing is sent. The standard library suffices, so that no service needs
libsystemd.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"
_SEND_SECONDS: Final = 1.0


def notify(message: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``message``, such as ``READY=1``; return whether a service manager received it.

    Waits a second at most if the manager's queue is full.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.settimeout(_SEND_SECONDS)
            peer.connect(address)
            peer.send(message.encode())
    except OSError:
        return False  # The service works without its manager.
    return True


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """Return how often ``WATCHDOG=1`` is to be sent: half the limit. 0: no watchdog is set."""
    if environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return 0.0
    try:
        return max(int(environ.get("WATCHDOG_USEC", "0")), 0) / 1e6 / 2
    except ValueError:
        return 0.0


async def feed_watchdog(environ: Mapping[str, str] = os.environ) -> None:
    """Report until cancelled that the event loop runs; return at once without a watchdog."""
    seconds = watchdog_seconds(environ)
    while seconds:
        notify(WATCHDOG, environ)
        await asyncio.sleep(seconds)

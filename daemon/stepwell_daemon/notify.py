"""sd_notify: tells systemd how far the daemon is, where systemd wants to know."""

import os
import socket
from collections.abc import Mapping


def notify(message: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``message`` (``READY=1``, ``STATUS=…``); return whether somebody was told."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.connect(address)
            peer.send(message.encode())
    except OSError:
        return False  # The supervisor's loss; the daemon goes on.
    return True


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """Return how often ``WATCHDOG=1`` is due, 0 where nobody waits for it."""
    if environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return 0.0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1e6 / 2
    except ValueError:
        return 0.0

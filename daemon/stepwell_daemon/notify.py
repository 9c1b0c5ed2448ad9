"""sd_notify: tell systemd how the daemon is, without a library.

Source of the protocol: sd_notify(3).
"""

import contextlib
import os
import socket
from collections.abc import Mapping


def notify(message: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``message`` to the service manager; False when there is none."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode(), address)
        return True
    return False


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return how often WATCHDOG=1 is due (half the limit), or None when not asked for."""
    limit = environ.get("WATCHDOG_USEC", "")
    owner = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit.isdigit() or owner != str(os.getpid()):
        return None
    return int(limit) / 2e6

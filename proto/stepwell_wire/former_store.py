"""The store of the last daemon on a socket, where a personal daemon would have another one.

A personal daemon takes the journals of all runs that used its socket. On the socket of a service
that is stopped, it would split the runs of that service over two stores, and hold the socket.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from stepwell_wire.lock_notes import PERSONAL, other_data_before, read_lock_note, socket_lock
from stepwell_wire.places import usual_socket


def service_store_before(
    socket: Path, data: Path, environ: Mapping[str, str] = os.environ
) -> Path | None:
    """Return the other folder in which a service on ``socket`` stored last; None without one.

    Call it if the user did not name ``data``. The user's own usual socket has no service: there,
    as after a personal daemon, the default folder counts.
    """
    if os.path.realpath(socket) == os.path.realpath(usual_socket(environ)):
        return None
    if read_lock_note(socket_lock(socket)).more == PERSONAL:
        return None
    return other_data_before(socket, data)


def service_store_text(socket: Path, other: Path) -> str:
    """Return why no personal daemon is started on ``socket``."""
    return (
        f"the last daemon on {socket} stored in {other}, and a personal daemon would store "
        "elsewhere; start that daemon, or choose a folder with STEPWELL_DATA"
    )

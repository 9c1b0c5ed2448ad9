"""A channel for calls to the daemon of this node, if one answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from stepwell_wire.lock_notes import DATA_LOCK, read_lock_note
from stepwell_wire.trusted_socket import CHANNEL_OPTIONS, TrustedSocket

_ANSWER_SECONDS: Final = 5.0


def socket_noted_in(data: Path) -> Path | None:
    """Return the socket of the daemon that has, or had, the data folder; None without a note."""
    noted = read_lock_note(data / DATA_LOCK).more
    return Path(noted) if noted else None


@contextmanager
def control_channel(socket: Path | None) -> Iterator[Any]:
    """Open a gRPC channel to the daemon on ``socket``, until the block ends.

    Yields:
        The channel; None if ``socket`` is None, or no daemon of a trusted user answers there.
    """
    held = None
    with suppress(OSError):  # No daemon, or not our user's.
        held = TrustedSocket(str(socket)) if socket is not None else None
    if held is None:
        yield None
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc  # Here: importing it takes long, and few processes call the daemon.

    with held, grpc.insecure_channel(f"unix:{held.address}", options=CHANNEL_OPTIONS) as channel:
        try:
            # A daemon that is stopped (SIGSTOP) accepts connections, and never answers.
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
        except grpc.FutureTimeoutError:
            yield None
        else:
            yield channel

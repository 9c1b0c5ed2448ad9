"""Asking a daemon to let new writers of some runs wait, while this process deletes these runs."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stepwell_wire.lock_notes import DATA_LOCK, read_lock_note
from stepwell_wire.service import HOLD_RUNS
from stepwell_wire.trusted_socket import CHANNEL_OPTIONS, TrustedSocket

_ANSWER_SECONDS: Final = 5.0
_HOLD_SECONDS: Final = 15.0
"""Longer than `_ANSWER_SECONDS`: before it answers, the daemon stores the rows that it has."""


def socket_noted_in(data: Path) -> Path | None:
    """Return the socket of the daemon that has, or had, the data folder; None without a note."""
    noted = read_lock_note(data / DATA_LOCK).more
    return Path(noted) if noted else None


@contextmanager
def runs_held(socket: Path | None, runs: Iterable[tuple[str, str]]) -> Iterator[bool]:
    """Until the block ends, the daemon on ``socket`` stores no row of a new writer of ``runs``.

    Args:
        runs: project and id; an empty id means all runs of the project.

    Yields:
        Whether it does: False if no daemon answers there, or one of an older release.
    """
    held = None
    with suppress(OSError):  # No daemon, or not our user's.
        held = TrustedSocket(str(socket)) if socket is not None else None
    if held is None:
        yield False
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc  # Here: importing it takes long, and few processes delete runs.

    from stepwell_wire.control_pb2 import HoldRunsReply, HoldRunsRequest, RunName

    names = [RunName(project=project, run_id=run_id) for project, run_id in runs]
    with held, grpc.insecure_channel(f"unix:{held.address}", options=CHANNEL_OPTIONS) as channel:
        ask = channel.unary_stream(
            HOLD_RUNS,
            request_serializer=HoldRunsRequest.SerializeToString,
            response_deserializer=HoldRunsReply.FromString,
        )
        call = None
        try:
            # A daemon that is stopped (SIGSTOP) accepts connections, and never answers.
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
            call = ask(HoldRunsRequest(runs=names))
            late = threading.Timer(_HOLD_SECONDS, call.cancel)
            late.start()
            try:
                next(call)
            finally:
                late.cancel()
            is_held = True
        except (grpc.RpcError, grpc.FutureTimeoutError, StopIteration):
            is_held = False
        try:
            yield is_held
        finally:
            if call is not None:
                call.cancel()

"""Asking a daemon to let new writers of some runs wait, while this process deletes these runs."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stepwell_wire.control_channel import control_channel
from stepwell_wire.service import HOLD_RUNS

_HOLD_SECONDS: Final = 15.0
"""Before it answers, the daemon stores the rows that it has."""


@contextmanager
def runs_held(socket: Path | None, runs: Iterable[tuple[str, str]]) -> Iterator[bool]:
    """Until the block ends, the daemon on ``socket`` stores no row of a new writer of ``runs``.

    Args:
        runs: project and id; an empty id means all runs of the project.

    Yields:
        Whether it does: False if no daemon answers there, or one of an older release.
    """
    with control_channel(socket) as channel:
        if channel is None:
            yield False
            return
        import grpc

        from stepwell_wire.control_pb2 import HoldRunsReply, HoldRunsRequest, RunName

        names = [RunName(project=project, run_id=run_id) for project, run_id in runs]
        ask = channel.unary_stream(
            HOLD_RUNS,
            request_serializer=HoldRunsRequest.SerializeToString,
            response_deserializer=HoldRunsReply.FromString,
        )
        call = ask(HoldRunsRequest(runs=names))
        late = threading.Timer(_HOLD_SECONDS, call.cancel)
        late.start()
        try:
            next(call)
            is_held = True
        except (grpc.RpcError, StopIteration):
            is_held = False
        finally:
            late.cancel()
        try:
            yield is_held
        finally:
            call.cancel()

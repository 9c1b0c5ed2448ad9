"""Waiting until a daemon has stored the rows that it received."""

from pathlib import Path
from typing import Final

from stepwell_wire.control_channel import control_channel
from stepwell_wire.service import FLUSH

_LATE_SECONDS: Final = 5.0


def rows_are_stored(socket: Path | None, *, timeout_seconds: float) -> bool:
    """Wait until the rows that the daemon on ``socket`` received before the call can be queried.

    Returns:
        Whether they can; False without a daemon that answers.
    """
    with control_channel(socket) as channel:
        if channel is None:
            return False
        import grpc

        from stepwell_wire.control_pb2 import FlushReply, FlushRequest

        ask = channel.unary_unary(
            FLUSH,
            request_serializer=FlushRequest.SerializeToString,
            response_deserializer=FlushReply.FromString,
        )
        request = FlushRequest(timeout_seconds=timeout_seconds, rows_only=True)
        try:
            return bool(ask(request, timeout=timeout_seconds + _LATE_SECONDS).stored)
        except grpc.RpcError:
            return False

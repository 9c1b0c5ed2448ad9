"""A small synchronous client of the daemon, independent of the SDK."""

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from stepwell_wire.control_pb2 import FlushReply, FlushRequest, StatusReply, StatusRequest
from stepwell_wire.ingest_pb2 import ClientMessage, Hello, ServerMessage
from stepwell_wire.service import FLUSH, STATUS, STREAM
from tests.daemon.made import frame, hello


class Client:
    """One stream. ``answers`` holds what the daemon said, in order."""

    def __init__(self, socket: Path, first: Hello | bytes | None = None) -> None:
        self._channel = grpc.insecure_channel(f"unix:{socket}")
        self._out: queue.Queue[bytes | None] = queue.Queue()
        method = self._channel.stream_stream(STREAM, None, ServerMessage.FromString)
        self._call: Any = method(self._messages(), timeout=300)
        self.answers: Iterator[ServerMessage] = iter(self._call)
        message = hello() if first is None else first
        self.send_bytes(
            message
            if isinstance(message, bytes)
            else ClientMessage(hello=message).SerializeToString()
        )

    def _messages(self) -> Iterator[bytes]:
        while (message := self._out.get()) is not None:
            yield message

    def send_bytes(self, message: bytes) -> None:
        self._out.put(message)

    def send(self, position: int, records: bytes) -> None:
        self.send_bytes(ClientMessage(frame=frame(position, records)).SerializeToString())

    def end(self) -> None:
        """Send nothing more; answers still come."""
        self._out.put(None)

    def next(self) -> ServerMessage:
        return next(self.answers)

    def wait_acked(self, position: int) -> None:
        while True:
            answer = self.next()
            assert answer.WhichOneof("body") == "ack", answer
            if answer.ack.position >= position:
                return

    def close(self) -> None:
        self._out.put(None)
        self._call.cancel()
        self._channel.close()


def status_of(socket: Path) -> dict[str, Any]:
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        call = channel.unary_unary(STATUS, StatusRequest.SerializeToString, StatusReply.FromString)
        found: dict[str, Any] = json.loads(call(StatusRequest(), timeout=30).json)
    return found


def flush(socket: Path, *, seconds: float = 60, run_id: str = "") -> FlushReply:
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        call = channel.unary_unary(FLUSH, FlushRequest.SerializeToString, FlushReply.FromString)
        request = FlushRequest(timeout_seconds=seconds, run_id=run_id)
        reply: FlushReply = call(request, timeout=seconds + 30)
    return reply

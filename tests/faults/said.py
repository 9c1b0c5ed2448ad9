"""Collected answers of the daemon."""

from collections.abc import Iterable
from typing import Any

import grpc.aio

from stepwell_wire.ingest_pb2 import (
    ClientMessage,
    ServerMessage,
)


class Said:
    """A connection whose client says ``messages`` and then nothing more."""

    def __init__(self, messages: Iterable[ClientMessage]) -> None:
        self._messages = [each.SerializeToString() for each in messages]
        self.answers: list[ServerMessage] = []

    async def read(self) -> Any:
        return self._messages.pop(0) if self._messages else grpc.aio.EOF

    async def write(self, message: bytes) -> None:
        self.answers.append(ServerMessage.FromString(message))

    @property
    def refusals(self) -> list[int]:
        return [each.refusal.code for each in self.answers if each.WhichOneof("body") == "refusal"]

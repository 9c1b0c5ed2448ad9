"""A service manager's end of sd_notify: a real unix datagram socket."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

_SECONDS = 60.0


class Manager:
    """Receives the messages of one service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SECONDS)
        self._socket.bind(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def next(self) -> list[str]:
        """Return the lines of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def wait_for(self, line: str) -> list[list[str]]:
        """Return the messages up to one with ``line``."""
        found = [self.next()]
        while line not in found[-1]:
            found.append(self.next())
        return found

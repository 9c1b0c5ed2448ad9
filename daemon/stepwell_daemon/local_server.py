"""The gRPC server of this node's writers and commands, on a unix socket that may disappear.

At a user's last logout, systemd removes the folder of XDG_RUNTIME_DIR, although the daemon and a
training go on. Their connection stays. Later programs find no socket, and none may start a second
daemon on the same data. So the path is looked at, and the daemon listens there again.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from stepwell_daemon.errors import DaemonConfigError, DaemonError
from stepwell_daemon.instance import open_to_group
from stepwell_wire.limits import MESSAGE_BYTES_MAX

logger = logging.getLogger("stepwell_daemon")

_LOOK_SECONDS: Final = 2.0
_SOCKET_MODE: Final = 0o660
# A client's frames may be much larger than gRPC's default limit.
_GRPC_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)


class LocalServer:
    """One server, and a further one for each time that the socket disappeared."""

    def __init__(
        self,
        path: Path,
        handlers: Sequence[grpc.GenericRpcHandler],
        *,
        group: str = "",
        take_path: Callable[[], None] = lambda: None,
        on_listening: Callable[[], None] = lambda: None,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """
        Args:
            group: may use the socket; "" for the daemon's user only.
            take_path: makes the folder of the socket and locks the path again.
            on_listening: called after each start.
            look_seconds: time between two looks at the path.
        """
        self._path, self._handlers, self._group = path, tuple(handlers), group
        self._take_path, self._on_listening = take_path, on_listening
        self._look_seconds = look_seconds
        self._servers: list[Any] = []
        self._file: tuple[int, int] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            DaemonConfigError: The path cannot be used.
        """
        server = grpc.aio.server(options=_GRPC_OPTIONS)
        server.add_generic_rpc_handlers(self._handlers)
        try:
            port = server.add_insecure_port(f"unix:{self._path}")
        except RuntimeError:  # Older versions of gRPC return 0.
            port = 0
        if port == 0:
            raise DaemonConfigError(
                f"{self._path}: cannot listen there; choose another socket with "
                "STEPWELL_SOCKET or --socket"
            )
        await server.start()
        try:
            os.chmod(self._path, _SOCKET_MODE)
            if self._group:
                open_to_group(self._path, self._group)
            self._file = _file_at(self._path)
        except BaseException:
            await server.stop(None)
            raise
        self._servers.append(server)
        self._on_listening()

    async def keep(self) -> None:
        """Listen again when the socket has disappeared, until cancelled."""
        known = ""  # A repeating problem is logged once.
        while True:
            await asyncio.sleep(self._look_seconds)
            if _file_at(self._path) == self._file:
                known = ""
                continue
            try:
                self._take_path()
                await self.start()
            except (DaemonError, OSError) as error:
                if str(error) != known:
                    known = str(error)
                    logger.warning(
                        "the socket %s is gone, listening again failed, trying again: %s",
                        self._path,
                        error,
                    )
            else:
                logger.warning("the socket %s was gone, listening on it again", self._path)

    async def stop(self, grace_seconds: float | None) -> None:
        """End all calls after ``grace_seconds``, and remove the socket if it is this server's."""
        is_ours = _file_at(self._path) == self._file
        await asyncio.gather(*(each.stop(grace_seconds) for each in self._servers))
        if is_ours:
            self._path.unlink(missing_ok=True)


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

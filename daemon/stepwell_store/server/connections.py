"""Connections to servers: a few stay open; after any error a connection is closed and replaced.

The driver's client uses one connection, for one query at a time, from one thread.
"""

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as DriverError
from clickhouse_driver.errors import ServerException

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.server.settings import ServerEndpoint, ServerSettings

logger = logging.getLogger("stepwell_store")
# Its warnings with tracebacks are also raised as errors, which are reported once.
logging.getLogger("clickhouse_driver.connection").setLevel(logging.ERROR)

_IDLE_MAX: Final = 4
_IDLE_SECONDS_MAX: Final = 60.0
_AVOIDED_SECONDS: Final = 10.0
_ONE_BLOCK: Final = 1 << 30
"""Rows: an insert is never cut into several blocks, because only some of them might be stored."""

FAILURES: Final = (DriverError, OSError, EOFError, struct.error, ValueError)
"""The driver's exceptions for a broken connection or an invalid message."""


class Connections:
    """Clients of the servers that have the same rows.

    ``columnar`` clients accept and return numpy arrays.
    """

    def __init__(
        self,
        settings: ServerSettings,
        endpoints: Sequence[ServerEndpoint],
        *,
        database: str,
        columnar: bool = False,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self.columnar = columnar
        self._database = database
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Client]] = []
        self._avoided: dict[ServerEndpoint, float] = {}
        self._closed = False

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client to one thread; after an error it is not used again.

        Raises:
            StoreUnavailableError: No server accepts a connection.
        """
        client = self._take()
        try:
            yield client
        except BaseException:
            # After an error the connection may still receive parts of the last answer.
            _drop(client)
            raise
        self._give_back(client)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
            self._closed = True
        for _, client in idle:
            _drop(client)

    def _take(self) -> Client:
        with self._lock:
            if self._closed:
                raise StoreUnavailableError("this store is closed; open it again")
            now = time.monotonic()
            while self._idle:
                since, client = self._idle.pop()
                if now - since < _IDLE_SECONDS_MAX:
                    return client
                _drop(client)
        return self._connect()

    def _give_back(self, client: Client) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append((time.monotonic(), client))
                return
        _drop(client)

    def _connect(self) -> Client:
        """Connect to the first endpoint that answers; those that failed recently come last."""
        now = time.monotonic()
        order = sorted(self.endpoints, key=lambda each: self._avoided.get(each, 0.0) > now)
        problems, code = [], 0
        password = self._settings.read_password()
        for endpoint in order:
            client = self._new_client(endpoint, password)
            try:
                client.connection.connect()
            except FAILURES as error:
                _drop(client)
                self._avoided[endpoint] = time.monotonic() + _AVOIDED_SECONDS
                problems.append(f"{endpoint}: {reason_of(error)}")
                code = error.code if isinstance(error, ServerException) else code
                continue
            if problems:
                logger.warning("using another server instead of %s", "; ".join(problems))
            self._avoided.pop(endpoint, None)
            return client
        raise StoreUnavailableError(
            f"connecting to ClickHouse failed: {'; '.join(problems)}; check "
            "clickhouse_hosts, the user and the password",
            code,
        )

    def _new_client(self, endpoint: ServerEndpoint, password: str) -> Client:
        settings = self._settings
        tls: dict[str, Any] = {}
        if settings.secure:
            tls = {
                "secure": True,
                "ca_certs": str(settings.ca_file) if settings.ca_file else None,
                "certfile": str(settings.cert_file) if settings.cert_file else None,
                "keyfile": str(settings.key_file) if settings.key_file else None,
            }
        return Client(
            endpoint.host,
            endpoint.port,
            database=self._database,
            user=settings.user,
            password=password,
            client_name="stepwell",
            connect_timeout=settings.connect_seconds,
            send_receive_timeout=settings.timeout_seconds,
            sync_request_timeout=settings.connect_seconds,
            compression="lz4",
            tcp_keepalive=True,
            settings={"use_numpy": self.columnar, "insert_block_size": _ONE_BLOCK},
            **tls,
        )


def _drop(client: Client) -> None:
    """Close a connection so that none of its sent bytes arrives later."""
    with contextlib.suppress(Exception):
        peer = client.connection.socket
        if peer is not None:
            # Discard the bytes in the kernel: an abandoned insert must not reach the server after
            # its repetition.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(Exception):
        client.disconnect()


def reason_of(error: BaseException) -> str:
    """Return in one line why a server was not usable."""
    text = str(error).partition(" Stack trace:")[0].strip().splitlines()
    return " ".join(text)[:500].rstrip(".") or type(error).__name__

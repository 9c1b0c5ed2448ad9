"""The gateway's port: TLS, with certificates that can be changed while it runs."""

import logging
from typing import Any, Final

import grpc
import grpc.aio

from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gateway.relay import Relay
from stepwell_daemon.gateway.secrets import read_secret, watched
from stepwell_daemon.gateway.settings import ListenSettings, split_address
from stepwell_wire.hub_address import bind
from stepwell_wire.limits import RELAY_BATCH_BYTES_MAX

logger = logging.getLogger("stepwell_daemon")

_OPTIONS: Final = (
    # Bytes that do not compress grow a little.
    ("grpc.max_receive_message_length", RELAY_BATCH_BYTES_MAX + (1 << 20)),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 16),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
)


class Listener:
    """Serves a Relay on a TCP port."""

    def __init__(
        self, settings: ListenSettings, relay: Relay, *others: grpc.GenericRpcHandler
    ) -> None:
        """
        Args:
            others: further services on the same port.

        Raises:
            DaemonConfigError: The settings or a file are unusable.
        """
        settings.check()
        self._settings = settings
        self._relay = relay
        self._others = others
        self.port = 0
        self._credentials = _credentials(settings)
        self._server: Any = None

    async def start(self) -> None:
        """Listen.

        Raises:
            DaemonConfigError: The address is not available.
        """
        address = self._settings.address
        host, port = split_address(address, "gateway_listen")
        try:
            # gRPC does not say why it cannot listen, and writes lines of its own.
            bind(host, port, may_move=False).close()
        except OSError as error:
            raise DaemonConfigError(
                f"gateway_listen {address}: cannot listen ({error.strerror}); choose another"
            ) from error
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self._relay.handlers(), *self._others))
        try:
            if self._credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise DaemonConfigError(
                f"gateway_listen {address}: cannot listen there ({error})"
            ) from error
        if not self.port:
            raise DaemonConfigError(
                f"gateway_listen {address}: cannot listen there; choose another"
            )
        await self._server.start()
        logger.info(
            "accepting relays of daemons address=%s:%d tls=%s",
            host,
            self.port,
            "no" if self._credentials is None else "yes",
        )

    async def stop(self, grace_seconds: float) -> None:
        """End every stream. Can be called twice."""
        self._relay.drain()
        if self._server is not None:
            await self._server.stop(grace_seconds)


def _credentials(settings: ListenSettings) -> grpc.ServerCredentials | None:
    cert, key, authority = settings.cert_file, settings.key_file, settings.client_ca_file
    if cert is None or key is None:
        return None

    def load() -> grpc.ServerCertificateConfiguration:
        try:
            chain = cert.read_bytes()
            roots = authority.read_bytes() if authority is not None else None
        except OSError as error:
            raise DaemonConfigError(
                f"{error.filename}: cannot be read ({error.strerror})"
            ) from error
        return grpc.ssl_server_certificate_configuration([(read_secret(key), chain)], roots)

    paths = (cert, key) if authority is None else (cert, key, authority)
    files = watched(paths, load, what="gateway_listen")
    # Called at every handshake: a changed certificate is valid from the next one on.
    return grpc.dynamic_ssl_server_credentials(
        files.current(), files.current, require_client_authentication=authority is not None
    )

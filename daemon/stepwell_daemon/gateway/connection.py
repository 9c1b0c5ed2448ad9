"""One stream to a gateway: the node's end."""

import asyncio
import logging
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from stepwell_daemon.errors import DaemonConfigError, DaemonError
from stepwell_daemon.gateway.secrets import read_secret
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_daemon.gateway.tokens import ACCEPTED, HEADER, read_token
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import (
    BUSY,
    UNSUPPORTED_VERSION,
    BatchAck,
    PackedBatch,
    RefusalCode,
    RelayHello,
    RelayReply,
    RelayRequest,
    RelayWelcome,
)
from stepwell_wire.limits import PROTOCOL_MAJOR, PROTOCOL_MINOR, RELAY_BATCH_BYTES_MAX
from stepwell_wire.service import RELAY

logger = logging.getLogger("stepwell_daemon")

_OPTIONS: Final = (
    ("grpc.max_send_message_length", RELAY_BATCH_BYTES_MAX + (1 << 20)),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)


_REFUSALS: Final = {BUSY: "busy", UNSUPPORTED_VERSION: "version"}


class GatewayError(DaemonError):
    """The gateway does not take batches now; the text has the remedy if it is known.

    Attributes:
        kind: one of ``stepwell_daemon.sink_errors.KINDS``.
    """

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind


class Connection:
    """An accepted stream. ``close`` ends it."""

    def __init__(self, channel: Any, call: Any, welcome: RelayWelcome, seconds: float) -> None:
        self.welcome = welcome
        self._channel = channel
        self._call = call
        self._seconds = seconds
        self._number = 0

    @property
    def next_number(self) -> int:
        return self._number + 1

    async def send(self, batch: PackedBatch) -> None:
        """Send the batch with the number ``next_number``.

        Raises:
            GatewayError: The stream has ended or makes no progress.
        """
        self._number = batch.number
        await self._bounded(self._call.write(RelayRequest(batch=batch).SerializeToString()))

    async def receive(self) -> BatchAck:
        """Return the next ack.

        Raises:
            GatewayError: The stream ended, was refused, or is silent for too long.
        """
        return (await self._reply("ack")).ack

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()

    async def _reply(self, body: str) -> RelayReply:
        data = await self._bounded(self._call.read())
        if data is grpc.aio.EOF:
            raise GatewayError(
                f"the gateway ended the stream: {await self._call.code()} "
                f"{await self._call.details()}"
            )
        reply = RelayReply.FromString(data)
        kind = reply.WhichOneof("body")
        if kind == "refusal":
            reason = RefusalCode.Name(reply.refusal.code).lower()
            raise GatewayError(
                f"the gateway refused the stream ({reason}): {reply.refusal.detail}",
                _REFUSALS.get(reply.refusal.code, "other"),
            )
        if kind != body:
            raise GatewayError(f"the gateway answered {kind}, expected {body}")
        return reply

    async def _bounded(self, waiting: Any) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await waiting
        except TimeoutError as error:
            raise GatewayError(
                f"the gateway did not answer within {self._seconds:g} seconds; check that it "
                "runs and that the network lets its answers through",
                "unreachable",
            ) from error
        except grpc.aio.AioRpcError as error:
            raise refused(error.code(), error.details()) from error
        except (grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            raise GatewayError(
                f"the stream to the gateway was closed: {error}", "unreachable"
            ) from error


async def connect(settings: RelaySettings, *, daemon_id: str, host: str) -> Connection:
    """Return a new stream; token and certificates are read again for it.

    Raises:
        GatewayError: The gateway does not accept one now.
        DaemonConfigError: A file of the settings is unusable.
    """
    metadata = metadata_of(settings)
    channel = open_channel(settings)
    call = channel.stream_stream(RELAY)(metadata=metadata)
    made = Connection(channel, call, RelayWelcome(), settings.timeout_seconds)
    try:
        hello = RelayHello(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            client=f"stepwell-daemon/{__version__}",
            daemon_id=daemon_id,
            host=host,
        )
        # The other end first answers whether it accepts the call. A write into a refused call would
        # end in an error without a reason.
        accepted = await made._bounded(call.initial_metadata())
        if ACCEPTED[0] not in dict(accepted or ()):
            code = await made._bounded(call.code())
            raise refused(code, await call.details())
        await made._bounded(call.write(RelayRequest(hello=hello).SerializeToString()))
        made.welcome = (await made._reply("welcome")).welcome
    except BaseException:
        await made.close()
        raise
    return made


def metadata_of(settings: RelaySettings) -> tuple[tuple[str, str], ...]:
    """Return the metadata that authenticate the caller.

    Raises:
        DaemonConfigError: The token cannot be read.
    """
    if settings.token_file is None:
        return ()
    return ((HEADER, f"Bearer {read_token(settings.token_file)}"),)


def open_channel(settings: RelaySettings) -> Any:
    """Return a channel to the gateway; certificates are read again for it.

    Raises:
        DaemonConfigError: A file of the settings is unusable.
    """
    if settings.secure:
        return grpc.aio.secure_channel(settings.address, _credentials(settings), options=_OPTIONS)
    return grpc.aio.insecure_channel(settings.address, options=_OPTIONS)


def _credentials(settings: RelaySettings) -> grpc.ChannelCredentials:
    chain = key = None
    if settings.cert_file is not None and settings.key_file is not None:
        chain, key = _read(settings.cert_file), read_secret(settings.key_file)
    roots = _read(settings.ca_file) if settings.ca_file is not None else None
    return grpc.ssl_channel_credentials(roots, key, chain)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DaemonConfigError(f"{path}: cannot be read ({error.strerror})") from error


def refused(code: grpc.StatusCode, details: str | None) -> GatewayError:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return GatewayError(
            "the server at gateway_address does not accept relays: it is not a stepwell "
            "daemon, or is older than protocol 1.1; upgrade it, or correct gateway_address",
            "version",
        )
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return GatewayError(f"the gateway refuses the token: {details}", "auth")
    if code is grpc.StatusCode.INTERNAL:
        return GatewayError(f"the stream to the gateway broke: {details}", "unreachable")
    return GatewayError(
        f"the gateway cannot be reached ({code.name.lower()}): {details}", "unreachable"
    )

"""Commands of the hub on their way to trainers: a trial of a sweep must stop.

The hub decides, and answers `GET /control` when there is a command. The daemon asks only while a
writer of a sweep is connected, so that other runs cost no requests and a personal daemon can end.
Commands of the last minutes are kept: a writer that connects later receives them, too.
"""

import asyncio
import http.client
import io
import json
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.session import Session
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.certificates import certificate_problem
from stepwell_wire.hub_access import HubKeyError, read_key
from stepwell_wire.ingest_pb2 import Command

logger = logging.getLogger("stepwell_daemon")

_WAIT_SECONDS: Final = 20
_ANSWER_SECONDS: Final = 15.0
_ANSWER_BYTES_MAX: Final = 4 << 20
_KEPT_SECONDS: Final = 600.0
_KEPT_MAX: Final = 10_000
_OLD_HUB_SECONDS: Final = 60.0


class ControlPlace(NamedTuple):
    """The address of a hub.

    Attributes:
        named: the host and port under which the hub knows itself, for the header.
        is_own: the hub runs on this machine, so its certificate need not name the address.
    """

    host: str
    port: int
    named: str
    key: str
    tls: bool
    is_own: bool


class HubSilentError(Exception):
    """The hub gave no usable answer; the text says why."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


def place_of(url: str, key_file: Path) -> ControlPlace:
    """Return the place of the hub at ``url``.

    Raises:
        HubSilentError: The key cannot be read.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    try:
        key = key_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise HubSilentError(f"{key_file}: {error}") from error
    port = parts.port or (443 if tls else 80)
    return ControlPlace(parts.hostname or "", port, parts.netloc, key, tls, is_own=False)


def own_place(address: tuple[str, int], url: str, folder: Path, *, tls: bool) -> ControlPlace:
    """Return the place of the daemon's own hub, which listens on ``address``.

    Raises:
        HubSilentError: The key cannot be read.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    try:
        key = read_key(folder)
    except HubKeyError as error:
        raise HubSilentError(str(error)) from error
    return ControlPlace(host, address[1], urlsplit(url).netloc, key, tls, is_own=True)


class HubCommands:
    """Asks the hub and sends its commands to the sessions of their runs.

    Args:
        find_place: returns the hub's place, None without a hub; may raise HubSilentError.
        connected: returns the connected writers.
        ask: asks once; replaced by tests.
    """

    def __init__(
        self,
        find_place: Callable[[], ControlPlace | None],
        connected: Callable[[], Iterable[WriterState]],
        *,
        ask: "Callable[[ControlPlace, str], Any] | None" = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Args:
            clock: seconds that never go back.
            sleep: waits so many seconds before a retry.
        """
        self._find_place, self._connected = find_place, connected
        self._ask = ask or ask_hub
        self._clock, self._sleep = clock, sleep
        self._wanted = asyncio.Event()
        self._kept: dict[tuple[str, str], tuple[float, Command]] = {}
        self._cursor = ""

    def welcome(self, session: Session) -> None:
        """Note a writer of a sweep; send it the commands from before it connected."""
        info = session.state.info
        kept = self._kept.get((info.project, info.run_id))
        if kept is not None:
            session.command(kept[1])
        self._wanted.set()

    async def run(self) -> None:
        """Ask as long as such a writer is connected, until cancelled."""
        backoff = Backoff(first_seconds=0.2)
        while True:
            if not any(state.session and state.session.sweep_id for state in self._connected()):
                self._wanted.clear()
                await self._wanted.wait()
            try:
                place = self._find_place()
                if place is None:
                    self._wanted.clear()
                    await self._wanted.wait()
                    continue
                answer = await self._ask(place, self._cursor)
                self._take(answer)
            except HubSilentError as error:
                if not backoff.failures:
                    logger.warning(
                        "reading commands for trials from the hub failed, trying again later: %s",
                        error,
                    )
                delay = backoff.next_delay()
                await self._sleep(_OLD_HUB_SECONDS if error.status == 404 else delay)
                self._cursor = ""
                continue
            if backoff.failures:
                logger.info("commands for trials are read from the hub again")
                backoff.reset()

    def _take(self, answer: Mapping[str, Any]) -> None:
        """Keep and distribute the commands of an answer.

        Raises:
            HubSilentError: The answer is invalid.
        """
        try:
            cursor = str(answer["cursor"])
            found = [
                (each["project"], each["run_id"], _command_of(each)) for each in answer["commands"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise HubSilentError(f"an invalid answer: {error!r}") from error
        self._cursor = cursor
        now = self._clock()
        for project, run_id, command in found:
            self._kept.pop((project, run_id), None)
            self._kept[project, run_id] = (now, command)
            for state in self._connected():
                is_meant = (state.info.project, state.info.run_id) == (project, run_id)
                if is_meant and state.session is not None and state.session.sweep_id:
                    state.session.command(command)
        for key, (taken_at, _) in list(self._kept.items()):
            if len(self._kept) <= _KEPT_MAX and now - taken_at < _KEPT_SECONDS:
                break  # The oldest are first.
            del self._kept[key]


def _command_of(given: Mapping[str, Any]) -> Command:
    return Command(
        kind=str(given["command"]),
        reason=str(given.get("reason") or ""),
        sweep_id=str(given["sweep"]),
        number=int(given["number"]),
        fencing=int(given["fencing"]),
    )


async def ask_hub(place: ControlPlace, cursor: str) -> Mapping[str, Any]:
    """Return the hub's commands, at the latest after 20 seconds.

    Raises:
        HubSilentError: No answer, or a status other than 200.
    """
    try:
        async with asyncio.timeout(_WAIT_SECONDS + _ANSWER_SECONDS):
            data = await _exchange(place, cursor)
        status, body = _parse(data)
    except (OSError, http.client.HTTPException, asyncio.LimitOverrunError) as error:
        reason = certificate_problem(error, of_daemon=True) or str(error) or type(error).__name__
        raise HubSilentError(f"{place.named}: {reason}") from error
    if status != 200:
        raise HubSilentError(f"{place.named}: HTTP {status}", status=status)
    try:
        answer: Mapping[str, Any] = json.loads(body)
    except ValueError as error:
        raise HubSilentError(f"{place.named}: the answer is not JSON") from error
    return answer


async def _exchange(place: ControlPlace, cursor: str) -> bytes:
    reader, writer = await asyncio.open_connection(
        place.host, place.port, ssl=_tls(place) if place.tls else None
    )
    try:
        query = f"wait={_WAIT_SECONDS}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
        head = (
            f"GET /api/v1/control?{query} HTTP/1.1\r\nHost: {place.named}\r\n"
            f"Authorization: Bearer {place.key}\r\nAccept: application/json\r\n"
            "Connection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii"))
        await writer.drain()
        parts: list[bytes] = []
        size = 0
        while part := await reader.read(1 << 16):
            parts.append(part)
            size += len(part)
            if size > _ANSWER_BYTES_MAX:
                raise OSError(f"an answer of more than {_ANSWER_BYTES_MAX} bytes")
        return b"".join(parts)
    finally:
        writer.close()


def _tls(place: ControlPlace) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if place.is_own:  # The certificate is for the address that browsers use; the socket is our own.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Answer:
    """The object from which `http.client` reads an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(data: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Answer(data))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()

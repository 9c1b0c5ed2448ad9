"""Asking a hub over HTTP, by the standard library: JSON, streams, and bytes in ranges.

A call without an answer is repeated within its caller's patience: calls that change something carry
an idempotency key, or may be repeated as they are. Connections are kept open between calls.

No proxy of the environment is used: such a proxy is for the internet, and a hub is the user's own
machine.
"""

import http.client
import json
import math
import os
import random
import ssl
import time
import urllib.parse
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final

from stepwell.errors import HubAccessError, HubError, HubUnreachableError, NotFoundError
from stepwell_wire import __version__
from stepwell_wire.certificates import certificate_problem

HUB: Final = "STEPWELL_HUB"
KEY: Final = "STEPWELL_HUB_KEY"
KEY_FILE: Final = "STEPWELL_HUB_KEY_FILE"
PATIENCE_SECONDS: Final = 30.0
TIMEOUT_SECONDS: Final = 30.0
_PREFIX: Final = "/api/v1"
_DELAY_SECONDS_MIN: Final = 0.2
_DELAY_SECONDS_MAX: Final = 5.0
_IDLE_MAX: Final = 16
_REFUSAL_BYTES_MAX: Final = 1 << 20
_TRY_AGAIN: Final = (429, 502, 503, 504)
_ODD: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Hub:
    """One hub. Its calls wait for answers; none is made by ``init`` or ``log``.

    Threads may share it, and so may forked children: each process has connections of its own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """
        Args:
            timeout_seconds: how long one answer, or one part of it, may take.
            patience_seconds: time after the first attempt in which others may begin.
        """
        # Of the reads; moments as `time.monotonic`. See api/_awaiting.py.
        self.flushed_until = 0.0
        """Until then, a read that has sent nothing new asks for no flush."""
        self.sent_rows: dict[str, int] = {}
        """What this process had sent before the last flush: bytes, by writer id."""
        self.no_flush_before = 0.0
        self.no_sending_before = 0.0
        """After a flush, or a sending, that took too long."""
        self.url = url.rstrip("/")
        self._key = key
        self.timeout_seconds, self._patience = timeout_seconds, patience_seconds
        # No lock: one that another thread holds during a fork would stay held in the child.
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._owner = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    # ------------------------------------------------------------------ JSON

    def get(self, path: str, *, patience_seconds: float | None = None, **query: Any) -> Any:
        """See `call`; ``query`` leaves out what is None."""
        return self.call("GET", path + _query_of(query), patience_seconds=patience_seconds)

    def post(
        self, path: str, body: Mapping[str, Any], *, patience_seconds: float | None = None
    ) -> Any:
        return self.call("POST", path, body, patience_seconds=patience_seconds)

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """See `call`; the parts of ``path`` are quoted here."""
        return self.call(method, path_of(*path) + _query_of(query or {}), body)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> Any:
        """Return the JSON of the answer, None for an empty one; see `content`."""
        data = self.content(method, path, body, patience_seconds=patience_seconds)
        try:
            return json.loads(data, object_hook=_plain) if data else None
        except ValueError as error:
            raise HubError(
                f"{self.url}: the answer is not one of a hub; set {HUB} to the address of a hub",
                status=200,
            ) from error

    def content(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> bytes:
        """Return the whole answer; repeat the call while none comes.

        Args:
            path: below ``/api/v1``.

        Raises:
            HubError: The hub refuses.
            HubUnreachableError: No answer came in time.
        """
        patience = self._patience if patience_seconds is None else patience_seconds
        deadline = time.monotonic() + patience
        delay = _DELAY_SECONDS_MIN
        while True:
            try:
                with self.answer(method, path, body) as response:
                    return response.read()
            except HubError as error:
                if error.status not in _TRY_AGAIN:
                    raise
                problem: Exception = error
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise self.unreachable(error) from error
                problem = error
            if time.monotonic() + delay > deadline:
                if isinstance(problem, HubError):
                    raise problem
                raise self.unreachable(problem) from problem
            time.sleep(delay * random.Random().uniform(0.5, 1.0))
            delay = min(_DELAY_SECONDS_MAX, delay * 2)

    # ------------------------------------------------------------------ streams

    def lines(self, *path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of an answer in JSON lines.

        Raises:
            HubError: The hub refuses, or the answer broke off.
        """
        with closing(self.opened("POST", *path, body=body)) as answer:
            while True:
                try:
                    line = answer.readline()
                except (OSError, http.client.HTTPException) as error:
                    raise self.broke_off(error) from error
                if not line:
                    break
                row = json.loads(line, object_hook=_plain)
                if row == {"end": True}:
                    return
                yield row
        raise self.broke_off()

    def opened(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> http.client.HTTPResponse:
        """Return the answer, to be read and closed; asked for once.

        Raises:
            HubError: The hub refuses or does not answer.
        """
        asked = path_of(*path) + _query_of(query or {})
        try:
            return self._respond(self._connection(), method, asked, body, {})
        except (OSError, http.client.HTTPException) as error:
            raise self.unreachable(error) from error

    def fetched(self, url: str) -> http.client.HTTPResponse:
        """See `opened`; ``url`` is a whole address of this hub's API."""
        path = url.removeprefix(self.url + _PREFIX)
        try:
            return self._respond(self._connection(), "GET", path, None, {})
        except (OSError, http.client.HTTPException) as error:
            raise self.unreachable(error) from error

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield the answer on a connection that is kept if the answer was read to its end.

        Raises:
            HubError: The hub refuses.
            OSError, http.client.HTTPException: It does not answer, or breaks off.
        """
        connection = self._take()
        was_used = connection.sock is not None
        try:
            try:
                response = self._respond(connection, method, path, body, headers or {})
            except (ConnectionError, http.client.BadStatusLine):
                if not was_used:
                    raise
                connection.close()  # The hub had closed it meanwhile.
                response = self._respond(connection, method, path, body, headers or {})
            with response:
                yield response
                is_whole = response.isclosed() and not response.will_close
        except BaseException:
            connection.close()
            raise
        if is_whole:
            self._give(connection)
        else:
            connection.close()

    # ------------------------------------------------------------------ errors

    def unreachable(self, problem: Exception) -> HubUnreachableError:
        """Return the error of a hub that does not answer, or that has a bad certificate."""
        if why := certificate_problem(problem):
            return HubUnreachableError(f"{self.url}: {why}", problem)
        return HubUnreachableError(
            f"{self.url}: the hub does not answer ({problem}); see `stepwell status` for the "
            f"daemon of this machine, or set {HUB} to another hub",
            problem,
        )

    def broke_off(self, error: Exception | None = None) -> HubError:
        """Return the error of an answer that is not whole."""
        return HubError(
            f"{self.url}: the answer ended too early{f' ({error})' if error else ''}; see "
            "the hub's log for the reason; request fewer metrics, runs or steps, or try "
            "again",
            error,
        )

    # ------------------------------------------------------------------ transport

    def _respond(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        given = {
            "Authorization": f"Bearer {self._key}",
            "Accept": "*/*",
            "User-Agent": f"stepwell/{__version__}",
            **headers,
        }
        data = None
        if body is not None:
            given["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        base = urllib.parse.urlsplit(self.url).path
        connection.request(method, f"{base}{_PREFIX}{path}", data, given)
        response = connection.getresponse()
        if response.status >= 300:
            with response:
                raise self._refusal(response)
        return response

    def _connection(self) -> http.client.HTTPConnection:
        try:
            parts = urllib.parse.urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise HubUnreachableError(
                f"{self.url!r} is not a valid address of a hub: {error}"
            ) from error
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        return kind(host, port, timeout=self.timeout_seconds)

    def _take(self) -> http.client.HTTPConnection:
        if self._owner != os.getpid():
            # A forked child must not speak on its parent's connections; the parent's stay open.
            _close_all(self._idle)
            self._owner = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connection()

    def _give(self, connection: http.client.HTTPConnection) -> None:
        if self._owner == os.getpid() and len(self._idle) < _IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()

    def _refusal(self, response: http.client.HTTPResponse) -> HubError:
        code, message, field = "", "", ""
        try:
            said = json.loads(response.read(_REFUSAL_BYTES_MAX))["error"]
            code, message = str(said["code"]), str(said["message"])
            field = str(said.get("field") or "")
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            place = response.headers.get("Location")
            where = f", to {place}" if place else ""
            message = (
                f"{self.url}: answered {response.status} {response.reason}{where}; check "
                "that a hub has this address"
            )
        if response.status in (401, 403):
            message = (
                f"{self.url}: the hub rejected the key ({message}); set {KEY_FILE} to the "
                f"file `key` in its folder `hub`, or {KEY} or Api(api_key=…) to the key"
            )
            return HubAccessError(message, status=response.status, code=code or "unauthorized")
        kind = NotFoundError if response.status == 404 else HubError
        return kind(message, status=response.status, code=code, field=field)


def _close_all(connections: deque[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def path_of(*parts: str) -> str:
    """Return the path of these parts, each of them quoted whole."""
    return "".join("/" + urllib.parse.quote(each, "") for each in parts)


def _query_of(query: Mapping[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urllib.parse.urlencode(given, doseq=True)}" if given else ""


def _plain(value: dict[str, Any]) -> Any:
    """Return a number that plain JSON cannot express, else the object as it is."""
    if len(value) == 1:
        ((name, text),) = value.items()
        if name == "$float" and isinstance(text, str) and text in _ODD:
            return _ODD[text]
        if name == "$int" and isinstance(text, str):
            return int(text)
    return value

"""Asking a hub over HTTP: JSON in and out, streams of lines and of Arrow. The standard library."""

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from stepwell._hub import NoRedirect
from stepwell.api._place import Place
from stepwell.errors import HubAccessError, HubError, NotFoundError

TIMEOUT_SECONDS: Final = 60.0
_PREFIX: Final = "/api/v1"
_ODD: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Hub:
    """One hub, asked with its key."""

    def __init__(self, place: Place, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.url = place.url
        self._key = place.key
        self._timeout = timeout_seconds
        handlers: list[Any] = [NoRedirect]
        if urllib.parse.urlsplit(place.url).hostname in _LOOPBACK:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the JSON answer, None for an empty one; ``path`` is quoted here.

        Raises:
            HubError: The hub does not answer, or says what is wrong.
        """
        with closing(self.opened(method, *path, query=query, body=body)) as answer:
            data = self._read(answer)
        return json.loads(data, object_hook=_plain) if data else None

    def lines(self, *path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of an answer in JSON lines.

        Raises:
            HubError: As for `ask`, or the answer broke off.
        """
        with closing(self.opened("POST", *path, body=body)) as answer:
            while line := self._read(answer, lines=True):
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
        """Return the answer, to be read and closed."""
        address = f"{self.url}{_PREFIX}/" + "/".join(urllib.parse.quote(each, "") for each in path)
        if query:
            given = {name: value for name, value in query.items() if value is not None}
            address += "?" + urllib.parse.urlencode(given, doseq=True)
        return self.fetched(method, address, body)

    def fetched(
        self, method: str, address: str, body: Mapping[str, Any] | None = None
    ) -> http.client.HTTPResponse:
        """Return the answer of a whole address of this hub."""
        headers = {"Authorization": f"Bearer {self._key}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self._failure(error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise HubError(
                f"{self.url}: the hub does not answer ({reason}); is it running, and is the "
                "address right? `stepwell status` shows it, STEPWELL_HUB names another",
                error,
            ) from error
        return answer

    def broke_off(self, error: Exception | None = None) -> HubError:
        """Return the error of an answer that is not whole."""
        return HubError(
            f"{self.url}: the answer broke off before its end{f' ({error})' if error else ''}; the "
            "hub's log says why. Ask for fewer metrics, runs or steps, or try again",
            error,
        )

    def _read(self, answer: http.client.HTTPResponse, *, lines: bool = False) -> bytes:
        try:
            return answer.readline() if lines else answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.broke_off(error) from error

    def _failure(self, error: urllib.error.HTTPError) -> HubError:
        try:
            told = json.loads(error.read())["error"]
            code, message = str(told["code"]), str(told["message"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            where = f", to {error.headers['Location']}" if error.headers.get("Location") else ""
            return HubError(
                f"{self.url}: answered {error.code} {error.reason}{where}; is it a hub?",
                error,
                status=error.code,
            )
        if error.code in (401, 403):
            return HubAccessError(
                f"{self.url}: {message}; the key is in the hub's folder (`key`), give it as "
                "STEPWELL_HUB_KEY or Api(api_key=…)",
                error,
                code=code,
                status=error.code,
            )
        kind = NotFoundError if error.code == 404 else HubError
        return kind(message, error, code=code, status=error.code)


def _plain(value: dict[str, Any]) -> Any:
    """Return the number that JSON has no word for, else the object as it is."""
    if len(value) == 1:
        if "$float" in value and value["$float"] in _ODD:
            return _ODD[value["$float"]]
        if "$int" in value:
            return int(value["$int"])
    return value

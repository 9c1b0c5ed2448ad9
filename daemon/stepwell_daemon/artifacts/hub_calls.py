"""The requests of a worker to the hub: HTTP with the standard library, each call idempotent."""

import http.client
import json
import ssl
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from stepwell_wire.artifact_names import LATEST
from stepwell_wire.certificates import certificate_problem

NOT_FOUND: Final = 404
_SECONDS: Final = 120.0
_ANSWER_BYTES_MAX: Final = 64 << 20
_TRY_AGAIN: Final = (401, 403, 404, 408, 429)
"""An old hub, or a hub with another key: drafts continue after the operator has fixed it."""
_OF_ONE_CALL: Final = (404, 500)
"""The hub may give this answer for one draft only: other drafts need not wait for this one."""


class HubAwayError(Exception):
    """The hub does not answer, or gives an unusable answer; the text says why.

    Attributes:
        status: HTTP status, 0 without an answer.
        is_alone: other drafts may succeed.
    """

    def __init__(self, message: str, *, status: int = 0, is_alone: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_alone = is_alone or status in _OF_ONE_CALL


class HubRefusesError(Exception):
    """The hub refuses the request, now and later.

    Attributes:
        code: the hub's error code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class HubPlace(NamedTuple):
    """The address of a hub; see `hub_commands.ControlPlace`."""

    host: str
    port: int
    named: str
    key: str
    tls: bool
    is_own: bool


class HubCalls:
    """Calls on one connection, which is opened again after it broke."""

    def __init__(self, place: HubPlace) -> None:
        self._place = place
        self._connection: http.client.HTTPConnection | None = None

    def begin(self, project: str, facts: dict[str, Any], manifest: bytes) -> Any:
        """Begin a version; ``manifest`` is packed."""
        head = json.dumps(facts)[:-1].encode()
        return self.call(
            "POST",
            f"/projects/{_part(project)}/artifacts",
            head + b', "manifest": ' + manifest + b"}",
        )

    def missing(self, version_id: str) -> Any:
        return self.call("GET", f"/artifact-versions/{_part(version_id)}/missing")

    def commit(self, version_id: str, aliases: tuple[str, ...]) -> Any:
        body = json.dumps({"aliases": aliases}).encode()
        return self.call("POST", f"/artifact-versions/{_part(version_id)}/commit", body)

    def fail(self, version_id: str, reason: str) -> None:
        body = json.dumps({"reason": reason[:4096]}).encode()
        self.call("POST", f"/artifact-versions/{_part(version_id)}/fail", body)

    def version(self, version_id: str) -> Any:
        return self.call("GET", f"/artifact-versions/{_part(version_id)}")

    def latest(self, project: str, name: str) -> dict[str, Any] | None:
        """Return the latest version of an artifact; None without one."""
        path = f"/projects/{_part(project)}/artifacts/{_part(name)}/versions/{LATEST}"
        return self._found(path)

    def numbered(self, project: str, name: str, number: int) -> dict[str, Any] | None:
        """Return a version by its number; None without one."""
        path = f"/projects/{_part(project)}/artifacts/{_part(name)}/versions/v{number}"
        return self._found(path)

    def manifest(self, version: dict[str, Any]) -> bytes:
        """Return the packed manifest of a committed version."""
        names = (version["project"], version["name"], version["version"])
        project, name, number = map(_part, names)
        path = f"/projects/{project}/artifacts/{name}/versions/{number}/manifest"
        return self._answer("GET", path, None)

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Return the JSON of the answer.

        Raises:
            HubAwayError: Not possible now.
            HubRefusesError: Never possible.
        """
        data = self._answer(method, path, body)
        try:
            return json.loads(data) if data else None
        except ValueError as error:
            raise HubAwayError(
                f"{self._place.named}: the answer is not JSON, so it is not a stepwell hub; "
                "check hub_url"
            ) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _found(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.call("GET", path)
        except HubAwayError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        return found

    def _answer(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {
            "Host": self._place.named,
            "Authorization": f"Bearer {self._place.key}",
            "Content-Type": "application/json",
        }
        try:
            status, data = self._asked(method, f"/api/v1{path}", body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = (
                certificate_problem(error, of_daemon=True) or str(error) or type(error).__name__
            )
            raise HubAwayError(f"the hub at {self._place.named}: {reason}") from error
        if status < 300:
            return data
        code, message = _error_in(data)
        if status >= 500 or status in _TRY_AGAIN:
            raise HubAwayError(
                f"the hub at {self._place.named}: HTTP {status} {message}", status=status
            )
        raise HubRefusesError(code, message or f"HTTP {status}")

    def _asked(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Return status and body; open the connection again if the hub closed it between calls."""
        was_used = self._connection is not None
        while True:
            connection = self._opened()
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError):
                if not was_used:
                    raise
                was_used = False
                self.close()
                continue
            return answer.status, answer.read(_ANSWER_BYTES_MAX)

    def _opened(self) -> http.client.HTTPConnection:
        if self._connection is None:
            place = self._place
            if place.tls:
                context = ssl.create_default_context()
                if place.is_own:  # The certificate is for the address that browsers use.
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                self._connection = http.client.HTTPSConnection(
                    place.host, place.port, timeout=_SECONDS, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(
                    place.host, place.port, timeout=_SECONDS
                )
        return self._connection


def _part(text: str) -> str:
    return quote(text, safe="")


def _error_in(data: bytes) -> tuple[str, str]:
    try:
        error = json.loads(data)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""

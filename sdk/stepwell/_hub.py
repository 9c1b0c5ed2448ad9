"""The few calls of a program that need an answer: HTTP to the hub, by the standard library.

Where the hub is and what its key is, the first that says it:

    STEPWELL_HUB  with STEPWELL_HUB_KEY or STEPWELL_HUB_KEY_FILE        a hub anywhere
    <socket>.page                                                       the daemon's own hub
    a personal daemon is started, as `init` does                        where nothing listens

Each call that changes something carries a key of its own: sent again it is done once.
"""

import http.client
import json
import os
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from stepwell import _spawn
from stepwell._personal import PersonalDaemon
from stepwell.errors import HubAccessError, HubError, HubUnreachableError
from stepwell_wire import __version__
from stepwell_wire.hub_access import HubKeyError, hub_dir, read_key
from stepwell_wire.page_file import noted_hub
from stepwell_wire.places import default_data_dir, default_socket

HUB: Final = "STEPWELL_HUB"
KEY: Final = "STEPWELL_HUB_KEY"
KEY_FILE: Final = "STEPWELL_HUB_KEY_FILE"
VARIABLES: Final = (HUB, KEY, KEY_FILE)
_ANSWER_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 30.0
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_NOTE_SECONDS: Final = 1.0
_DELAY_SECONDS_MIN: Final = 0.2
_DELAY_SECONDS_MAX: Final = 5.0
_BYTES_MAX: Final = 64 << 20
_TRY_AGAIN: Final = (429, 502, 503, 504)
_NO_HUB: Final = (
    "start one with `stepwell up`, start the script with `stepwell run`, or name a hub with "
    f"{HUB} and its key with {KEY_FILE}"
)


def new_key() -> str:
    """Return a key that makes one call idempotent."""
    return uuid.uuid4().hex


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key must not follow an answer to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Hub:
    """One hub. Its calls wait for answers; none is made by ``init`` or ``log``."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key
        # A proxy of the environment is for the world, and a hub is a machine of one's own.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)

    def get(self, path: str, *, patience_seconds: float = _PATIENCE_SECONDS, **query: Any) -> Any:
        """See `call`; ``query`` leaves out what is None."""
        given = {name: value for name, value in query.items() if value is not None}
        words = f"?{urllib.parse.urlencode(given)}" if given else ""
        return self.call("GET", path + words, patience_seconds=patience_seconds)

    def post(
        self, path: str, body: Mapping[str, Any], *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> Any:
        return self.call("POST", path, body, patience_seconds=patience_seconds)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> Any:
        """Return the JSON of the answer; repeat the call while no answer comes.

        Args:
            path: below ``/api/v1``.
            patience_seconds: no further attempt begins so long after the first.

        Raises:
            HubError: The hub refuses.
            HubUnreachableError: No answer came in time.
        """
        deadline = time.monotonic() + patience_seconds
        delay = _DELAY_SECONDS_MIN
        while True:
            try:
                return self._ask(method, path, body)
            except HubError as error:
                if error.status not in _TRY_AGAIN:
                    raise
                problem: Exception = error
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise HubUnreachableError(f"{self.url}: {reason}") from error
                problem = error
            if time.monotonic() + delay > deadline:
                reason = getattr(problem, "reason", None) or problem
                raise HubUnreachableError(
                    f"{self.url}: the hub does not answer ({reason}); `stepwell status` says how "
                    f"the daemon here is, or name another hub with {HUB}"
                ) from problem
            time.sleep(delay * random.Random().uniform(0.5, 1.0))
            delay = min(_DELAY_SECONDS_MAX, delay * 2)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": f"stepwell/{__version__}",
            },
        )
        try:
            with self._opener.open(request, timeout=_ANSWER_SECONDS) as answer:
                return _parsed(answer.read(_BYTES_MAX), self.url)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None

    def _refusal(self, error: urllib.error.HTTPError) -> HubError:
        if error.code in (401, 403):
            text = (
                f"{self.url}: the hub does not accept the key; {KEY_FILE} names the file `key` of "
                "its folder `hub`"
            )
            return HubAccessError(text, status=error.code, code="unauthorized")
        try:
            said = json.loads(error.read(_BYTES_MAX))["error"]
            message, code = str(said["message"]), str(said.get("code", ""))
            field = str(said.get("field") or "")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return HubError(f"{self.url}: HTTP {error.code} {error.reason}", status=error.code)
        return HubError(message, status=error.code, code=code, field=field)


def _parsed(data: bytes, url: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise HubError(
            f"{url}: something other than a hub answers there; {HUB} names a hub's address",
            status=200,
        ) from error


def find_hub(
    environ: Mapping[str, str] = os.environ, *, say: Callable[[str], None] = lambda text: None
) -> Hub:
    """Return the hub that the environment names, or that of the daemon here.

    Args:
        say: takes a line for the user, when waiting takes a while.

    Raises:
        HubUnreachableError: There is none, its key cannot be read, or none can be started.
    """
    if named := environ.get(HUB, "").strip():
        if not named.startswith(("http://", "https://")):
            raise HubUnreachableError(f"{HUB}: expected http://… or https://…, not {named!r}")
        return Hub(named, _key(environ, hub_dir(default_data_dir(environ))))
    socket = default_socket(environ)
    look = _spawn.look_at(str(socket))
    if look.obstacle:
        raise HubUnreachableError(f"no hub: {look.obstacle}")
    if not look.answers:
        _start_daemon(socket, environ, say)
    address, folder = _noted(socket)
    if not address:
        raise HubUnreachableError(
            f"the daemon on {socket} has no hub: its store is elsewhere, or it was started with "
            f"--hub off, or `stepwell status` says why; name a hub with {HUB} and its key with "
            f"{KEY_FILE}"
        )
    return Hub(address, _key(environ, Path(folder or hub_dir(default_data_dir(environ)))))


def named_key(environ: Mapping[str, str]) -> str:
    """Return the key that the environment gives or names a file of, "" where it does neither.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else.
    """
    if key := environ.get(KEY, "").strip():
        return key
    file = environ.get(KEY_FILE, "").strip()
    return Path(file).expanduser().read_text(encoding="ascii").strip() if file else ""


def _key(environ: Mapping[str, str], folder: Path) -> str:
    try:
        return named_key(environ) or read_key(folder)
    except (OSError, ValueError, HubKeyError) as error:
        raise HubUnreachableError(
            f"the hub's key is needed: {error}; name a copy of it with {KEY_FILE}, or give it with "
            f"{KEY}"
        ) from error


def _start_daemon(socket: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Start a personal daemon and wait until it answers.

    Raises:
        HubUnreachableError: It may not be started, or does not answer.
    """
    if environ.get("STEPWELL_NO_DAEMON", "").lower() not in ("", "0", "false", "no", "off"):
        raise HubUnreachableError(f"no hub: no daemon answers on {socket}; {_NO_HUB}")
    if not _spawn.can_start_daemon() or _spawn.why_no_python():
        raise HubUnreachableError(
            f"no hub: no daemon answers on {socket}, and none can be started here; {_NO_HUB}"
        )
    personal = PersonalDaemon(str(socket), default_data_dir(environ), say=say)
    personal.allow(expected=True)
    deadline = time.monotonic() + _START_SECONDS
    while not _spawn.daemon_answers(str(socket)):
        trouble = personal.see_to()
        if trouble or time.monotonic() > deadline:
            why = trouble or f"the daemon did not answer within {_START_SECONDS:.0f} s"
            raise HubUnreachableError(f"no hub: {why}; {_NO_HUB}")
        time.sleep(_POLL_SECONDS)


def _noted(socket: Path) -> tuple[str, str]:
    """Return what the daemon noted of its hub; one that has just started does so in a moment."""
    deadline = time.monotonic() + _NOTE_SECONDS
    while not (found := noted_hub(socket))[0] and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return found

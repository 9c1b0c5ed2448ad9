"""The hub of a program that needs an answer: its address and its key.

The first of these that gives both:

    STEPWELL_HUB  with STEPWELL_HUB_KEY or STEPWELL_HUB_KEY_FILE        a hub anywhere
    <socket>.page                                                       the daemon's own hub
    a personal daemon is started, as `init` does                        where nothing listens
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stepwell import _spawn
from stepwell._hub_client import HUB, KEY, KEY_FILE, Hub
from stepwell._personal import PersonalDaemon
from stepwell._settings import Settings
from stepwell._terminal import Voice
from stepwell.errors import HubUnreachableError
from stepwell_wire.hub_access import KEY_FILE as KEY_NAME
from stepwell_wire.hub_access import STATE_FILE, HubKeyError, hub_dir, is_key, read_key
from stepwell_wire.hub_address import is_loopback
from stepwell_wire.owners import foreign_owner
from stepwell_wire.page_file import noted_hub
from stepwell_wire.places import SOCKET_VARIABLE, default_data_dir, default_socket

VARIABLES: Final = (HUB, KEY, KEY_FILE)
_FORM: Final = "expected 43 letters, digits, - and _"
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_NOTE_SECONDS: Final = 1.0
_NO_HUB: Final = (
    f"start one with `stepwell up`, start the script with `stepwell run`, or set {HUB} to "
    f"the address of a hub and {KEY_FILE} to the file of its key"
)


def new_key() -> str:
    """Return a key that makes one call idempotent."""
    return uuid.uuid4().hex


def find_hub(
    environ: Mapping[str, str] = os.environ,
    *,
    say: Callable[[str], None] = lambda text: None,
    may_start: bool = True,
) -> Hub:
    """Return the hub that the environment names, or that of the daemon here.

    Args:
        say: takes a line for the user, when waiting takes a while.
        may_start: start a personal daemon if none answers. Calls that only read start none.

    Raises:
        HubUnreachableError: There is none, its key cannot be read, or none can be started.
    """
    if named := environ.get(HUB, "").strip():
        if not named.startswith(("http://", "https://")):
            raise HubUnreachableError(f"{HUB}: expected http://… or https://…, not {named!r}")
        return Hub(named, _key(environ, hub_dir(default_data_dir(environ)), named))
    socket = default_socket(environ)
    look = _spawn.look_at(str(socket))
    if look.obstacle:
        raise HubUnreachableError(f"no hub: {look.obstacle}")
    if not look.answers:
        if not may_start:
            raise HubUnreachableError(f"no hub: no daemon answers on {socket}; {_NO_HUB}")
        _start_daemon(socket, environ, say)
    address, folder = _noted(socket)
    if not address:
        raise HubUnreachableError(
            f"the daemon on {socket} has no hub: it relays to a gateway, stores in servers, "
            f"was started with --hub off, or reports a problem; see `stepwell status`, or "
            f"set {HUB} to the address of a hub and {KEY_FILE} to the file of its key"
        )
    place = Path(folder or hub_dir(default_data_dir(environ)))
    return Hub(address, _key(environ, place, address))


def named_key(environ: Mapping[str, str]) -> str:
    """Return the key from the environment, or from the file that it names; else "".

    Raises:
        HubKeyError: The file cannot be read, or the key has another form.
    """
    if key := environ.get(KEY, "").strip():
        if not is_key(key):
            raise HubKeyError(
                f"{KEY}: the key is invalid: {_FORM}; set it to the content of the file `key` in "
                "the hub's folder"
            )
        return key
    file = environ.get(KEY_FILE, "").strip()
    if not file:
        return ""
    try:
        key = Path(file).expanduser().read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise HubKeyError(f"{KEY_FILE}: the key cannot be read: {error}") from error
    if not is_key(key):
        raise HubKeyError(
            f"{KEY_FILE}: the key in {file} is invalid: {_FORM}; replace it with a copy of the "
            "file `key` in the hub's folder"
        )
    return key


def key_of_others(url: str, folder: Path, error: HubKeyError) -> str:
    """Return how to get the key that only another user may read; "" if it fails otherwise.

    Args:
        error: the error of reading the key in ``folder``.
    """
    path = folder / KEY_NAME
    is_forbidden = isinstance(error.__cause__, PermissionError)
    owner = foreign_owner(path) if is_forbidden else ""
    if not owner:
        return ""
    return (
        f"only user {owner} may read the key of the hub {url}; ask for a copy of {path}, and set "
        f"{HUB}={url} and {KEY_FILE} to the copy, or {KEY} to the key"
    )


def is_hub_here(url: str, folder: Path) -> bool:
    """Return whether the hub at ``url`` may have the key in ``folder``, which no other gets."""
    try:
        if is_loopback(urlsplit(url).hostname or ""):
            return True
        noted = json.loads((folder / STATE_FILE).read_bytes())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return str(noted).rstrip("/") == url.rstrip("/")


def _key(environ: Mapping[str, str], folder: Path, url: str) -> str:
    try:
        if named := named_key(environ):
            return named
    except HubKeyError as error:
        raise HubUnreachableError(str(error)) from error
    if environ.get(HUB, "").strip() and not is_hub_here(url, folder):
        raise HubUnreachableError(
            f"no key for {url}: set {KEY_FILE} to a copy of its key file, or {KEY} to the key"
        )
    try:
        return read_key(folder)
    except HubKeyError as error:
        raise HubUnreachableError(
            key_of_others(url, folder, error)
            or f"the hub's key cannot be read: {error}; set {KEY_FILE} to a copy of the key "
            f"file, or {KEY} to the key"
        ) from error


def hub_of_run(settings: Settings, voice: Voice) -> Hub:
    """Return the hub that belongs to a run's daemon, or the one that the environment names.

    Raises:
        HubUnreachableError: There is none.
    """
    environ = {**os.environ, SOCKET_VARIABLE: settings.socket}
    if settings.no_daemon:
        environ["STEPWELL_NO_DAEMON"] = "1"
    return find_hub(environ, say=voice.say)


def _start_daemon(socket: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Start a personal daemon and wait until it answers.

    Raises:
        HubUnreachableError: It may not be started, or does not answer.
    """
    if _spawn.is_forbidden(environ):
        raise HubUnreachableError(f"no hub: no daemon answers on {socket}; {_NO_HUB}")
    if not _spawn.can_start_daemon() or _spawn.why_no_python():
        raise HubUnreachableError(
            f"no hub: no daemon answers on {socket}, and none can be started here; {_NO_HUB}"
        )
    personal = PersonalDaemon(str(socket), default_data_dir(environ), say=say)
    personal.allow(expected=True)
    deadline = time.monotonic() + _START_SECONDS
    while not _spawn.daemon_answers(str(socket)):
        trouble = personal.ensure_started()
        if trouble or time.monotonic() > deadline:
            why = trouble or f"the daemon did not answer within {_START_SECONDS:.0f} s"
            raise HubUnreachableError(f"no hub: {why}; {_NO_HUB}")
        time.sleep(_POLL_SECONDS)


def _noted(socket: Path) -> tuple[str, str]:
    """Return the daemon's note of its hub; a daemon that just started writes it soon."""
    deadline = time.monotonic() + _NOTE_SECONDS
    while not (found := noted_hub(socket))[0] and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return found

"""`stepwell open [RUN]`: prints a link that logs in, and opens it in a browser.

It uses the hub of the running daemon. If that has none, or no daemon runs, it uses the hub that
STEPWELL_HUB names, or the daemon's hub_url. Without all of these, it starts a personal daemon on
the data folder, as `stepwell run` does; that daemon ends by itself some minutes after the last use
of the page.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stepwell._hub import named_key
from stepwell._hub_client import HUB, KEY_FILE, Hub
from stepwell.api._awaiting import await_rows
from stepwell.api._place import check_address, find_place
from stepwell.cli import daemon_process
from stepwell.cli.daemon_client import DaemonClient, is_answered, socket_of_data, status_of
from stepwell.cli.errors import FAILED, NOT_FOUND, OK, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import missing_for_daemon, missing_for_hub
from stepwell.cli.options import Places, add_config, add_data, add_json, add_socket, places
from stepwell.cli.page import (
    answers,
    catalog_problem,
    no_page_problem,
    open_browser,
    running_hub,
    why_unchecked,
)
from stepwell.cli.reading import by_configuration, check_data_is_known, check_is_readable, reading
from stepwell.cli.unsent import unsent_hint
from stepwell.errors import HubAccessError, HubError, HubUnreachableError
from stepwell_wire.commands import command_text
from stepwell_wire.hub_access import KEY_FILE as KEY_NAME
from stepwell_wire.hub_access import HubKeyError, hub_dir, login_link, page_path, read_key
from stepwell_wire.hub_address import is_loopback
from stepwell_wire.installation import install_command
from stepwell_wire.owners import command_as, foreign_owner
from stepwell_wire.places import SOCKET_PATH_BYTES_MAX

IDLE_MINUTES: Final = 15
_HUB_SECONDS: Final = 30.0
_CALL_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_SOCKET_FILE: Final = "open.sock"
_HOW_WITH_LINK: Final = "open it in a browser: the link works once, within 12 hours"
_HOW_WITHOUT_LINK: Final = (
    "this address needs a login; the link that logs in is only printed on a terminal, as "
    "others might read it elsewhere; --print-link prints it here"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", help="run id, name, PROJECT or PROJECT/RUN-ID")
    add_data(parser)
    add_socket(parser)
    add_config(parser)
    add_json(parser)
    parser.add_argument(
        "--no-browser", action="store_true", help="open no browser; print the address"
    )
    parser.add_argument(
        "--print-link",
        action="store_true",
        help="print the link that logs in, also if the output is no terminal",
    )


def run(options: argparse.Namespace) -> int:
    where = by_configuration(places(options))
    url, folder, was_started = _hub_of(where)
    key, is_copy = _key_of(url, folder)
    hub = _hub_by_copy(url, key) if is_copy else None
    if not options.run:
        path = "/"
    elif folder is not None:
        path = _path_of(options.run, where, hub)
    else:
        path = _path_elsewhere(options.run, where, hub, url)
    link = login_link(url + path, key, now=time.time()) if key else None
    if folder is not None and (problem := catalog_problem(url, folder)):
        print(f"stepwell: {problem}", file=sys.stderr)
    if reason := why_unchecked(url):
        here = "" if folder is None else "the page runs; "
        print(f"stepwell: {here}{reason}", file=sys.stderr)
    if options.json:
        print(json.dumps({"url": url + path, "link": link if options.print_link else None}))
        if link is None:
            raise _no_link(folder)
        return OK
    if link is None:
        print(url + path, flush=True)
        raise _no_link(folder)
    # Output that is no terminal may be a file that others read, as with `up` and `hub`.
    shows_link = options.print_link or sys.stdout.isatty()
    print(link if shows_link else url + path, flush=True)
    if was_started:
        print(
            f"a daemon was started for the page; it ends {IDLE_MINUTES} minutes after the "
            f"last use of the page, or with {command_text('down', '--data', where.data)}",
            file=sys.stderr,
        )
    if options.no_browser or not open_browser(link):
        print(_HOW_WITH_LINK if shows_link else _HOW_WITHOUT_LINK, file=sys.stderr)
    return OK


def _hub_of(where: Places) -> tuple[str, Path | None, bool]:
    """Return the hub's base address, its folder, and whether it was started for this.

    The folder is None for a hub that is not the daemon's: it may be on another machine.

    Raises:
        CommandError: There is no hub, and none can be started.
    """
    if where.data_named:
        if (found := running_hub(where.data)) is not None:
            return found, hub_dir(where.data), False
        holder = socket_of_data(where.data)
        status = None if holder is None else status_of(holder)
        if status is not None and not os.path.samefile(str(status["data_dir"]), where.data):
            status = None  # The note of a killed daemon.
    else:
        status = status_of(where.socket)
    if status is not None:
        data = Path(str(status["data_dir"]))
        url = str(status.get("page_url") or running_hub(data) or "")
        if not url:
            other = _elsewhere() or str(status.get("hub_url") or "")
            if other and not status.get("wants_hub", True):
                return other.rstrip("/"), None, False
            raise CommandError(_why_no_page(status), UNREACHABLE)
        folder = Path(str(status.get("hub_folder") or hub_dir(data)))
        if status.get("page_url"):
            _wait_for_hub(Path(str(status["socket"])), url, folder)
        return url, folder, False
    found = running_hub(where.data)
    elsewhere = "" if where.data_named or where.socket_option else _elsewhere()
    if elsewhere and not (found and _is_one_hub(elsewhere, found)):
        return elsewhere, None, False
    check_data_is_known(where)
    if found is not None:
        return found, hub_dir(where.data), False
    return _start(where), hub_dir(where.data), True


def _elsewhere() -> str:
    """Return the hub that the environment names, "" for none.

    Raises:
        CommandError: It is not an address.
    """
    named = os.environ.get(HUB, "").strip()
    try:
        return check_address(named).rstrip("/") if named else ""
    except HubError as error:
        raise CommandError(str(error), USAGE) from error


def _key_of(url: str, folder: Path | None) -> tuple[str, bool]:
    """Return the hub's key, "" if this user has none, and whether it is the user's copy."""
    if folder is None:
        try:
            return find_place(url).key, True
        except HubAccessError as error:
            raise CommandError(f"{url} needs a login, and there is {error}") from error
    try:
        return read_key(folder), False
    except HubKeyError:
        named = os.environ.get(HUB, "").strip()
        if named and not _is_one_hub(named, url):
            return "", False  # The named key is for that hub.
    try:
        key = named_key(os.environ)
        return key, bool(key)
    except HubKeyError as error:
        raise CommandError(str(error)) from error


def _is_one_hub(one: str, other: str) -> bool:
    """Return whether two addresses name one hub; localhost and 127.0.0.1 are the same."""

    def place(url: str) -> tuple[str, str, int | None, str]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        path = parts.path.rstrip("/")
        return parts.scheme, "localhost" if is_loopback(host) else host, parts.port, path

    try:
        return place(one) == place(other)
    except ValueError:  # The port is no number.
        return False


def _hub_by_copy(url: str, key: str) -> Hub | None:
    """Return the hub that accepts a user's copy of its key; None if it cannot be reached from here.

    Raises:
        CommandError: The hub rejects the key, for example because it has a new one.
    """
    hub = Hub(url, key, timeout_seconds=_CALL_SECONDS, patience_seconds=0.0)
    try:
        hub.get("/projects", limit=1)
    except HubUnreachableError:
        return None  # `why_unchecked` reports it.
    except HubAccessError as error:
        raise CommandError(str(error)) from error
    except HubError:
        pass  # Its store does not answer. The key was checked before.
    return hub


def _no_link(folder: Path | None) -> CommandError:
    assert folder is not None  # `_key_of` refuses a hub elsewhere without a key.
    path = folder / KEY_NAME
    owner = foreign_owner(path)
    who = f"user {owner}" if owner else "the daemon's user"
    how = command_as(owner, "stepwell open --print-link") if owner else "stepwell open"
    return CommandError(
        f"this address needs a login, and only {who} (or root) can make links that log in: run "
        f"`{how}` as that user, or get a copy of the key {path} and set {KEY_FILE} to it"
    )


def _why_no_page(status: dict[str, object]) -> str:
    sink = status.get("sink")
    kind = str(sink.get("kind", "")) if isinstance(sink, dict) else ""
    if kind.startswith("gateway "):
        return (
            f"this daemon relays to the {kind}, and its hub_url does not name the page; set {HUB} "
            f"to the page's address and {KEY_FILE} to a copy of its key"
        )
    if kind.startswith("clickhouse "):
        return (
            f"this daemon stores in {kind}; start its page with `stepwell hub --store clickhouse "
            f"…`, or set {HUB} to the page's address and {KEY_FILE} to a copy of its key"
        )
    if problem := no_page_problem(status):
        return f"the daemon has {problem}"
    if missing := missing_for_hub():
        return f"missing packages: {', '.join(missing)}; install them with {install_command('all')}"
    return "the daemon has no page: it was started with --hub off, or see `stepwell status`"


def _start(where: Places) -> str:
    """Start a daemon on the data folder and return the address of its hub."""
    check_is_readable(where.data, where.socket)
    if not (where.data / "store").is_dir():
        raise CommandError(
            f"no store in {where.data}; log a run first, or name the data folder with --data "
            "or STEPWELL_DATA",
            UNREACHABLE,
        )
    if missing := [*missing_for_daemon(), *missing_for_hub()]:
        raise CommandError(
            f"missing packages: {', '.join(missing)}; install them with {install_command('all')}",
            USAGE,
        )
    place = where._replace(socket=_free_socket(where))
    if reason := daemon_process.ensure_personal(place):
        raise CommandError(f"no daemon could be started on {where.data}: {reason}", UNREACHABLE)
    with DaemonClient(place.socket) as daemon:
        status = daemon.status()
    url = str(status.get("page_url") or "")
    if not url:
        raise CommandError(_why_no_page(status), UNREACHABLE)
    _wait_for_hub(place.socket, url, hub_dir(where.data))
    return url


def _free_socket(where: Places) -> Path:
    """Return a socket for a daemon on the data folder: the usual one, unless it is in use."""
    if not where.data_named and not is_answered(where.socket):
        return where.socket
    beside = where.data.absolute() / _SOCKET_FILE
    if len(str(beside).encode()) <= SOCKET_PATH_BYTES_MAX - len(".lock"):
        return beside
    return Path(tempfile.mkdtemp(prefix="stepwell-open.")) / _SOCKET_FILE


def _wait_for_hub(socket: Path, url: str, folder: Path) -> None:
    """Wait until the daemon reports that its hub answers.

    The hub's address is for browsers: it may be a proxy's, and unreachable from here.
    """
    deadline = time.monotonic() + _HUB_SECONDS
    while True:
        status = status_of(socket) or {}
        if status.get("hub_ready", "hub_ready" not in status and answers(url)):
            return
        if no_page_problem(status):
            raise CommandError(_why_no_page(status), UNREACHABLE)
        if time.monotonic() > deadline:
            raise CommandError(
                f"{url}: the hub does not answer; its log is {folder / 'hub.log'}", UNREACHABLE
            )
        time.sleep(_POLL_SECONDS)


def _path_of(reference: str, where: Places, hub: Hub | None) -> str:
    """Return the path of the page of a run, or of a project.

    Args:
        hub: the hub, for a user with a copy of its key: its data may be closed to that user.
    """
    if hub is not None and (path := _path_by_hub(reference, where, hub)):
        return path
    from stepwell_store.queries import find_run_or_project

    with reading(where) as store:
        found = find_run_or_project(store, reference)
    return page_path(found.project, found.run_id)


def _path_elsewhere(reference: str, where: Places, hub: Hub | None, url: str) -> str:
    """Return the path of the page of a run, or of a project, in a hub that is not the daemon's."""
    if hub is not None and (path := _path_by_hub(reference, where, hub)):
        return path
    raise CommandError(
        f"{url} does not answer, so {reference!r} cannot be found there; check {HUB}, or leave the "
        "run out",
        UNREACHABLE,
    )


def _path_by_hub(reference: str, where: Places, hub: Hub) -> str:
    """Return the path of the page; "" if the hub does not answer."""
    try:
        await_rows(hub)
        found = hub.get("/find", reference=reference)
    except HubUnreachableError:
        return ""
    except HubError as error:
        if error.code == "not_found":
            hint = unsent_hint(where, reference)
            raise CommandError(f"{error}{hint}", NOT_FOUND) from error
        is_ambiguous = error.code == "run_ambiguous"
        raise CommandError(str(error), USAGE if is_ambiguous else FAILED) from error
    return page_path(found["project"], found["run_id"])

"""Opening the store to read: the servers of the daemon's configuration, else the store of the
running daemon, else that of the folder.

The latest data of a run may still be in the daemon's spool. So the daemon is first asked to store
it, within a short limit; a line reports any rest.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell._hub_client import HUB, KEY, KEY_FILE
from stepwell.cli.daemon_client import (
    DaemonClient,
    UnusableSocketError,
    is_answered,
    socket_of_data,
    status_of,
)
from stepwell.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import missing_for_daemon, require_daemon, require_store
from stepwell.cli.options import Places
from stepwell.cli.projects import NoProjectError
from stepwell.cli.text import bytes_text
from stepwell.cli.unsent import unsent_hint
from stepwell_wire.owners import command_as, foreign_owner
from stepwell_wire.page_file import noted_page

if TYPE_CHECKING:
    from stepwell_daemon.config import DaemonConfig
    from stepwell_store import Store
    from stepwell_store.server.settings import ServerSettings

FLUSH_SECONDS: Final = 3.0
_STORE_SECONDS: Final = 10.0
_SERVER_KIND: Final = "clickhouse "
_GATEWAY_KIND: Final = "gateway "


@contextmanager
def reading(places: Places, *, reports_missing: bool = True) -> Iterator["Store"]:
    """Open the store; its errors inside the block become a CommandError.

    Args:
        reports_missing: print a line if the spool has points that are not in the store; a caller
            that reads the spool too does without.

    Raises:
        CommandError: There is no store, it cannot be opened, or a query of the block failed.
    """
    places = by_configuration(places)
    settings = configured_servers(places)
    if settings is None:
        require_store()
    import stepwell_store as backend

    try:
        store = _open(places, settings, reports_missing=reports_missing)
        try:
            yield store
        except (backend.QueryError, backend.TableMissingError) as error:
            _explain(store, error)
            raise
        finally:
            store.close()
    except backend.RunNotFoundError as error:
        hint = unsent_hint(places, error.reference)
        raise CommandError(f"{error}{hint}", NOT_FOUND) from error
    except NoProjectError as error:
        if hint := unsent_hint(places, error.project):
            raise CommandError(f"{error}{hint}", NOT_FOUND) from error
        raise
    except (backend.AmbiguousRunError, backend.QueryError) as error:
        raise CommandError(str(error), USAGE) from error
    except (
        backend.StoreBusyError,
        backend.SchemaTooNewError,
        backend.SchemaTooOldError,
    ) as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except backend.StoreError as error:
        raise CommandError(str(error), FAILED) from error


def _explain(store: "Store", error: Exception) -> None:
    """Raise the cause of ``error`` of a query, if the store's tables are too old for it."""
    from stepwell_store import SchemaTooOldError, StoreError
    from stepwell_store.migrations import check_is_newest

    try:
        check_is_newest(store)
    except SchemaTooOldError as cause:
        raise cause from error
    except StoreError:
        return  # The cause is unknown.


def _open(places: Places, settings: "ServerSettings | None", *, reports_missing: bool) -> "Store":
    data = settled_data_dir(
        places, stored_in_servers=settings is not None, reports_missing=reports_missing
    )
    if settings is not None:
        from stepwell_store.server.store import open_server

        server = open_server(settings)
        try:
            server.look()  # A reader makes no tables there.
        except BaseException:
            server.close()
            raise
        return server
    check_is_readable(data, places.socket)
    if not (data / "store").is_dir() and not _is_made_soon(places, data):
        if gateway := _gateway_of(places):
            raise CommandError(
                f"this daemon relays all data to the gateway {gateway} and has no store; "
                "read the runs there",
                USAGE,
            )
        raise CommandError(
            f"no store in {data}; log a run first (`stepwell up` starts a daemon), or name "
            f"the data folder with --data or STEPWELL_DATA{unsent_hint(places)}",
            UNREACHABLE,
        )
    from stepwell_store import connect_embedded

    store = connect_embedded(data)
    try:
        if store.engine_pid is not None:
            store.migrate()  # We own the engine: no other process has migrated it.
    except BaseException:
        store.close()
        raise
    return store


def check_is_readable(data: Path, socket: Path) -> None:
    """Raise CommandError if the data folder is another user's who lets no other user read it."""
    if not (owner := closed_by(data)):
        return
    how = "read runs with stepwell.Api()"
    if os.environ.get(HUB) and (os.environ.get(KEY) or os.environ.get(KEY_FILE)):
        how += f", which uses the hub {os.environ[HUB]}"
    else:
        url = noted_page(socket) or "the address of the page"
        how += f": set {HUB}={url} and {KEY_FILE} to a copy of its key"
    raise CommandError(
        f"{data} belongs to user {owner}, and only that user may read it; run "
        f"`{command_as(owner, 'stepwell …')}`, or {how}"
    )


def closed_by(data: Path, part: str = "store") -> str:
    """Return the other user who alone may read that part of ``data``; "" without one."""
    try:
        os.scandir(data / part).close()
    except PermissionError:
        return foreign_owner(data / part)
    except OSError:
        pass
    return ""


def _is_made_soon(places: Places, data: Path) -> bool:
    """Return whether a daemon that has just started is making the store of ``data``."""
    deadline = time.monotonic() + _STORE_SECONDS
    while time.monotonic() < deadline:
        try:
            status = status_of(places.socket)
        except CommandError:
            return False
        if status is None or status["sink"]["kind"] != "embedded":
            return False
        if not _same(Path(status["data_dir"]), data):
            return False
        if (data / "store").is_dir():
            return True
        time.sleep(0.05)
    return False


def _gateway_of(places: Places) -> str:
    """Return the address that the daemon, or its configuration, relays to; else ""."""
    config = configuration(places)
    if config is not None and config.sink == "gateway":
        return config.gateway_address
    if places.data_named or not is_answered(places.socket):
        return ""
    with DaemonClient(places.socket) as daemon:
        kind = str(daemon.status()["sink"]["kind"])
    return kind.removeprefix(_GATEWAY_KIND) if kind.startswith(_GATEWAY_KIND) else ""


def by_configuration(places: Places) -> Places:
    """Return ``places`` with folder and socket of the daemon's configuration, if that is read.

    Options count more. A folder that the configuration names is named: another daemon's answer
    does not replace it.
    """
    config = configuration(places)
    if config is None:
        return places
    if "socket" in config.named and not places.socket_option:
        places = places._replace(socket=config.socket, socket_named=True)
    if "journals" in config.named:
        places = places._replace(journals=config.journals, journals_named=True)
    if places.data_named:
        return places
    if "data" in config.named:
        return places._replace(data=config.data, journals=config.journals, data_named=True)
    return places._replace(data=config.data, data_variable=True)


def configured_socket(places: Places) -> Path:
    """Return the socket of a command that only asks the daemon.

    The daemon's configuration is read only if it is named or if a variable may name the socket: a
    wrong variable of another kind is no reason to have no answer.

    Raises:
        CommandError: The configuration cannot be used.
    """
    names = ("STEPWELLD_CONFIG", "STEPWELLD_SOCKET")
    if places.socket_option or (places.config is None and not any(map(os.environ.get, names))):
        return places.socket
    return by_configuration(places).socket


def configured_servers(places: Places) -> "ServerSettings | None":
    """Return the servers of the daemon's configuration, None without any.

    Raises:
        CommandError: The configuration cannot be used.
    """
    config = configuration(places)
    if config is None or config.sink != "clickhouse":
        return None
    from stepwell_daemon.errors import DaemonConfigError
    from stepwell_daemon.part_settings import server_settings

    try:
        return server_settings(config)
    except DaemonConfigError as error:
        raise CommandError(str(error), USAGE) from error


def configuration(places: Places) -> "DaemonConfig | None":
    """Return the daemon's configuration, None if it is unknown.

    Raises:
        CommandError: It cannot be used.
    """
    if places.config is None and not any(name.startswith("STEPWELLD_") for name in os.environ):
        return None
    require_daemon()
    from stepwell_daemon.config import build_parser
    from stepwell_daemon.errors import DaemonConfigError
    from stepwell_daemon.part_settings import load_config

    named = [] if places.config is None else ["--config", str(places.config)]
    try:
        return load_config(build_parser().parse_args(named))
    except DaemonConfigError as error:
        raise CommandError(str(error), USAGE) from error


def settled_data_dir(
    places: Places, *, stored_in_servers: bool = False, reports_missing: bool = True
) -> Path:
    """Return the data folder to read, after its daemon has stored its spool.

    If points of its spool are not stored, with a daemon or without, a line says so.

    Raises:
        CommandError: The daemon stores in unknown servers. Or no daemon answers on a named socket,
            and the folder of its data is unknown.
    """
    places = beside_data(places)
    try:
        has_daemon = is_answered(places.socket)
    except UnusableSocketError:
        if not places.data_named:
            raise
        has_daemon = False
    if not has_daemon:
        if not stored_in_servers:
            check_data_is_known(places)
            _print_waiting(places.data, reports_missing=reports_missing)
        return places.data
    try:
        with DaemonClient(places.socket) as daemon:
            status = daemon.status()
            found = Path(status["data_dir"])
            kind = status["sink"]["kind"]
            if places.data_named and not _same(found, places.data):
                _print_waiting(places.data, reports_missing=reports_missing)
                return places.data
            if stored_in_servers and not kind.startswith(_SERVER_KIND):
                return places.data  # Another daemon: its spool has no rows of these servers.
            if not stored_in_servers:
                _print_other(places, found)
            stored, pending_bytes = daemon.flush(FLUSH_SECONDS)
    except CommandError as error:  # The store can be read without it.
        print(f"stepwell: {error}; the newest points may be missing", file=sys.stderr)
        return places.data
    if kind.startswith(_SERVER_KIND) and not stored_in_servers:
        raise CommandError(
            f"the daemon stores in {kind}; give its own configuration with --config FILE or "
            "STEPWELLD_CONFIG",
            USAGE,
        )
    if reports_missing and not stored and not kind.startswith(_GATEWAY_KIND):
        print(
            f"stepwell: {_rest_text(pending_bytes, str(status['spool'].get('failure', '')))}; "
            "the newest points are missing here",
            file=sys.stderr,
        )
    return found


def _print_other(places: Places, found: Path) -> None:
    """Print a line if the daemon's folder is read instead of the one of the environment."""
    if places.data_variable and not _same(found, places.data):
        print(
            f"stepwell: reading the data of the daemon on {places.socket}, in {found}; to read "
            f"{places.data} instead, give it with --data",
            file=sys.stderr,
        )


def present_data_dir(places: Places) -> Path:
    """Return the data folder to read as it is now: without a request to store the spool.

    Raises:
        CommandError: No daemon answers on a named socket, and the folder of its data is unknown.
    """
    places = by_configuration(places)
    if places.data_named:
        return places.data
    status = status_of(places.socket)
    if status is None:
        check_data_is_known(places)
        return places.data
    found = Path(str(status["data_dir"]))
    _print_other(places, found)
    return found


def _rest_text(pending_bytes: int, failure: str) -> str:
    """Return why the store lacks data, after the spool's ``failure`` if that is the reason."""
    if failure:
        return failure
    if pending_bytes:
        return f"{bytes_text(pending_bytes)} in the daemon's spool are not in the store yet"
    return "the daemon has data that is not in its spool yet"


def beside_data(places: Places) -> Places:
    """Return ``places`` with the socket of the daemon that has the folder of ``--data``, if any."""
    socket = socket_of_data(places.data) if places.data_named else None
    return places if socket is None else places._replace(socket=socket)


def _print_waiting(data: Path, *, reports_missing: bool) -> None:
    """Print how much waits in a folder's spool if its daemon was not asked."""
    folder = data / "spool"
    # os.path: Path.is_dir() raises for a folder that may not be entered.
    if not reports_missing or not os.path.isdir(folder) or missing_for_daemon():
        return
    from stepwell_daemon.errors import DaemonError
    from stepwell_daemon.spool.inspection import glance_at_spool

    try:
        waiting_bytes = glance_at_spool(folder).waiting_bytes
    except (OSError, DaemonError):
        return  # Missing, another user's or damaged: `spool verify` reports it.
    if waiting_bytes:
        print(
            f"stepwell: {bytes_text(waiting_bytes)} in the spool of {data} are not in the store "
            "yet; the newest points are missing here until a daemon runs on this folder",
            file=sys.stderr,
        )


def check_data_is_known(places: Places) -> None:
    """Raise CommandError if the folder is a guess; called if no daemon answers."""
    if places.is_guessed:
        raise CommandError(
            f"no daemon answers on {places.socket}, and its data folder is unknown; start it, "
            f"or give the folder with --data or STEPWELL_DATA (the default is {places.data})",
            UNREACHABLE,
        )


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()

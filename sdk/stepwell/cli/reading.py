"""Opening the store to read: the daemon's when one runs, else the folder's own.

What a run has just logged may still lie in the daemon's spool. So a daemon is asked first to
store what it holds, within a short limit; what is left then is said, not waited for.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell.cli.daemon_client import DaemonClient, is_answered
from stepwell.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, USAGE, CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.options import Places
from stepwell.cli.text import bytes_text

if TYPE_CHECKING:
    from stepwell_store import EmbeddedStore

FLUSH_SECONDS: Final = 3.0


@contextmanager
def reading(places: Places) -> Iterator["EmbeddedStore"]:
    """Open the store; what it raises inside the block becomes a CommandError.

    Raises:
        CommandError: No store is there, it cannot be opened, or what the block asked failed.
    """
    require_store()
    data = settled_data_dir(places)
    if not (data / "store").is_dir():
        raise CommandError(
            f"no store in {data}; log a run first (`stepwell up` starts a daemon), "
            "or say where the data is with --data or STEPWELL_DATA",
            UNREACHABLE,
        )
    import stepwell_store as backend

    try:
        store = backend.connect_embedded(data)
        try:
            if store.engine_pid is not None:
                store.migrate()  # We own the engine: nobody else has brought it up to date.
            yield store
        finally:
            store.close()
    except backend.RunNotFoundError as error:
        raise CommandError(str(error), NOT_FOUND) from error
    except (backend.AmbiguousRunError, backend.QueryError) as error:
        raise CommandError(str(error), USAGE) from error
    except (backend.StoreBusyError, backend.SchemaTooNewError) as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except backend.StoreError as error:
        raise CommandError(str(error), FAILED) from error


def settled_data_dir(places: Places) -> Path:
    """Return the data folder to read, after its daemon has stored what it holds."""
    if not is_answered(places.socket):
        return places.data
    try:
        with DaemonClient(places.socket) as daemon:
            found = Path(daemon.status()["data_dir"])
            if places.data_named and not _same(found, places.data):
                return places.data
            stored, pending_bytes = daemon.flush(FLUSH_SECONDS)
    except CommandError as error:  # The store can be read without it.
        print(f"stepwell: {error}; the newest points may be missing", file=sys.stderr)
        return places.data
    if not stored:
        print(
            f"stepwell: {bytes_text(pending_bytes)} in the daemon's spool are not in the store "
            "yet; the newest points are missing here",
            file=sys.stderr,
        )
    return found


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()

"""Runs that the store has as running although their processes here have ended.

A daemon sees the end of a process. If both end at once, as when the machine loses power, the next
daemon stores the end of the run.
"""

import contextlib
import socket
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell.cli.daemon_client import UnusableSocketError, is_answered
from stepwell.cli.options import Places
from stepwell.cli.text import first_names
from stepwell.cli.unsent import journals_folders
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, find_journals
from stepwell_wire.lock_notes import socket_of
from stepwell_wire.processes import process_exists
from stepwell_wire.staged import staged_bytes

if TYPE_CHECKING:
    from stepwell_store import Store

RunPath = tuple[str, str]
"""Project and run id."""
CORRECTED: Final = "the next daemon corrects"
RUNNING: Final = "running"
_NAMES_MAX: Final = 3
_LOOKED_AT_MAX: Final = 100


def print_ended(
    where: Places, running: Collection[RunPath], gone: Collection[RunPath] = ()
) -> None:
    """Print a line if processes of runs that are shown as ``running`` have ended.

    Without a daemon only: a daemon corrects them itself.

    Args:
        gone: those of ``running`` that have no process here, see `without_process`.
    """
    if not running or _may_have_daemon(where):
        return
    ended = ended_runs(journals_folders(where), running, with_waiting=True) | set(gone)
    if ended:
        them = "it" if len(ended) == 1 else "them"
        print(f"stepwell: {ended_text(ended)}; {CORRECTED} {them}", file=sys.stderr)


def _may_have_daemon(where: Places) -> bool:
    """Whether a daemon answers, or one may be there that is not used.

    Of a folder that the user named, such as a back-up, only one that has this folder counts.
    """
    if where.data_named:
        return socket_of(where.data) is not None
    try:
        return is_answered(where.socket)
    except UnusableSocketError:  # The runs were read without it.
        return True


def gone_without_daemon(
    where: Places, store: "Store", running: Collection[RunPath]
) -> set[RunPath]:
    """See `without_process`; none with a daemon, which ends such runs itself."""
    return without_process(store, running) if running and not _may_have_daemon(where) else set()


def without_process(store: "Store", running: Collection[RunPath]) -> set[RunPath]:
    """Return those of the ``running`` runs whose processes were of this machine, and are gone.

    Such a run may have no journal here: its store was restored from a back-up. Of many runs, the
    first ones are looked at.
    """
    from stepwell_store.queries import list_writers

    host, found = socket.gethostname(), set()
    for project, run_id in sorted(running)[:_LOOKED_AT_MAX]:
        writers = [w for w in list_writers(store, project, run_id) if w.state == RUNNING]
        if writers and all(w.host == host and not process_exists(w.pid) for w in writers):
            found.add((project, run_id))
    return found


def ended_text(ended: Collection[RunPath]) -> str:
    names = ["/".join(each) for each in sorted(ended)]
    if len(names) == 1:
        return f"{names[0]} is shown as running, but its process has ended"
    return (
        f"{len(names)} runs are shown as running, but their processes have ended: "
        f"{first_names(names, _NAMES_MAX)}"
    )


def ended_runs(
    folders: Iterable[Path],
    asked: Collection[RunPath] | None = None,
    *,
    with_waiting: bool = False,
) -> set[RunPath]:
    """Return the runs of ended processes by their journals in ``folders``.

    Runs with a running process are left out.

    Args:
        asked: look at these runs only; None: at all.
        with_waiting: also those with data that waits, whose end may be part of it.
    """
    ended: set[RunPath] = set()
    others: set[RunPath] = set()
    for folder in folders:
        journals: list[Path] = []
        with contextlib.suppress(OSError):
            journals = find_journals(folder)
        for journal in journals:
            with contextlib.suppress(OSError, ValueError, JournalError):
                info = WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
                run = (info.project, info.run_id)
                if asked is None or run in asked:
                    is_ended = _is_ended(journal, with_waiting=with_waiting)
                    (ended if is_ended else others).add(run)
    return ended - others


def _is_ended(journal: Path, *, with_waiting: bool) -> bool:
    with contextlib.closing(JournalReader(journal)) as reader:
        waits = reader.committed > reader.acked or staged_bytes(journal)
        return (with_waiting or not waits) and not reader.writer_is_alive()

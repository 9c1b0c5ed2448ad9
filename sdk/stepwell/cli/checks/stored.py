"""The store, and the journals that wait to be sent."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from stepwell._other_users import journals_of_others, without_others
from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.ended import CORRECTED, RUNNING, RunPath, ended_runs, ended_text, without_process
from stepwell.cli.errors import CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.text import bytes_text, count_text, counted, moment_text, of_others_text
from stepwell_wire.commands import command_text
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader, assigning_command
from stepwell_wire.journal_files import OFFLINE, find_journals, find_remains
from stepwell_wire.places import is_fallback_imported
from stepwell_wire.run_notes import unwritable_notes
from stepwell_wire.staged import staged_bytes

_FUTURE_SECONDS_MAX: Final = 60.0
_REPAIR: Final = "not sent; `stepwell journal repair` prints what can be sent"
_RUNNING_MAX: Final = 100
_ENDED: Final = 0
_OFFLINE: Final = 1
_OF_ANOTHER: Final = 2
_UNSENT: Final = {
    _ENDED: (
        "ended writer",
        "a running daemon sends it; without one, run `stepwell sync`",
    ),
    _OFFLINE: ("offline writer", "run `stepwell sync`; no daemon sends it"),
    _OF_ANOTHER: ("ended writer", "run `stepwell sync`; the daemon here does not import it"),
}


def store(data: Path, *, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Yield whether the store of ``data`` opens and answers.

    Args:
        clock: seconds since 1970 UTC; decides which points are from the future.
    """
    if not (data / "store").is_dir():
        yield Finding("store", Level.OK, f"no store in {data} yet; the first daemon creates it")
        return
    try:
        require_store()
    except CommandError as error:
        yield Finding("store", Level.WARN, str(error), "see above")
        return
    from stepwell_store import StoreError, TableMissingError, connect_embedded
    from stepwell_store.deletion import find_orphans
    from stepwell_store.queries import store_totals

    try:
        opened = connect_embedded(data)
        try:
            totals = store_totals(opened)
            orphans = find_orphans(opened)
        finally:
            opened.close()
    except TableMissingError as error:
        yield Finding(
            "store",
            Level.WARN,
            f"{data / 'store'}: a table is missing ({error})",
            "wait: the daemon creates missing tables when it starts or stores",
        )
        return
    except StoreError as error:
        yield Finding("store", Level.FAIL, str(error), f"see {data / 'engine.log'}")
        return
    yield Finding(
        "store",
        Level.OK,
        f"{counted(totals.runs, 'run')}, {counted(totals.points, 'point')}, "
        f"schema {totals.schema_version}",
    )
    if orphans.points:
        yield Finding(
            "store",
            Level.WARN,
            f"{counted(orphans.points, 'point')} of {count_text(orphans.series)} series "
            "without a name: their run was deleted while it was running",
            "delete them with `stepwell rm --orphans`",
        )
    ahead = totals.last_seen - clock()
    if ahead > _FUTURE_SECONDS_MAX:
        yield Finding(
            "clock",
            Level.WARN,
            f"the store holds points from the future, up to {moment_text(totals.last_seen)}",
            "the clock of a machine is ahead: run NTP on all of them",
        )


def ended(data: Path, folders: Collection[Path]) -> Iterator[Finding]:
    """Yield the runs that the store of ``data`` has as running, but whose processes have ended.

    Without a daemon only: a daemon corrects them itself.

    Args:
        folders: of journals.
    """
    if not (data / "store").is_dir():
        return
    found = ended_runs(folders)
    try:
        require_store()
    except CommandError:
        return  # `store` reports it.
    from stepwell_store import StoreError, connect_embedded
    from stepwell_store.queries import list_runs, run_states

    shown: set[RunPath] = set()
    try:
        with closing(connect_embedded(data)) as opened:
            for project in sorted({project for project, _ in found}):
                asked = [run_id for other, run_id in found if other == project]
                states = run_states(opened, project, asked)
                shown |= {(project, each) for each in states if states[each][0] == RUNNING}
            page = list_runs(opened, filter=f"state:{RUNNING}", archived=True, limit=_RUNNING_MAX)
            running = {(run.project, run.run_id) for run in page.items}
            waiting = ended_runs(folders, running, with_waiting=True) - found  # With own lines.
            shown |= without_process(opened, running - waiting)
    except StoreError:
        return  # `store` reports it.
    if shown:
        them = "it" if len(shown) == 1 else "them"
        yield Finding(
            "journals", Level.WARN, ended_text(shown), f"{CORRECTED} {them}: `stepwell up`"
        )


def journals(
    folder: Path, *, fallback_of: Path | None = None, problems_of_daemon: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield findings about the journals in ``folder`` and their unacknowledged data.

    Args:
        fallback_of: ``folder`` is the fallback folder, and this the daemon's socket.
        problems_of_daemon: as it reports them, journals that it does not import among them.
    """
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        yield Finding(
            "journals",
            Level.OK,
            f"not checked in {folder}: no permission to read it; its owner or root can check it",
        )
        return
    live = 0
    unsent: dict[int, list[int]] = {kind: [] for kind in _UNSENT}
    problems: list[Finding] = []
    for path in without_others(find_journals(folder)):
        try:
            with closing(JournalReader(path)) as reader:
                if reader.writer_is_alive() and not reader.is_imported():
                    live += 1
                elif damage := reader.damage():
                    problems.append(Finding("journals", Level.WARN, damage, _REPAIR))
                elif reader.unverified_bytes:
                    problems.append(_in_doubt(reader))
                elif size := reader.committed - reader.acked + staged_bytes(path):
                    kind = _kind(reader, fallback_of)
                    if any(each.startswith(f"{path}: ") for each in problems_of_daemon):
                        kind = _OF_ANOTHER
                    unsent[kind].append(size)
        except (JournalError, OSError) as error:
            problems.append(Finding("journals", Level.WARN, str(error), _REPAIR))
    problems += _remains(folder)
    for kind, sizes in unsent.items():
        if sizes:
            what, remedy = _UNSENT[kind]
            left = f"{counted(len(sizes), what)} left {bytes_text(sum(sizes))} unsent"
            problems.append(Finding("journals", Level.WARN, f"{left} in {folder}", remedy))
    yield from problems
    others = len(journals_of_others(folder))
    if not problems:
        whose = " of yours" if others else ""
        yield Finding(
            "journals",
            Level.OK,
            f"{counted(live, 'writer')}{whose} running, no journal{whose} waits in {folder}",
        )
    if others:
        yield Finding(
            "journals",
            Level.OK,
            f"{of_others_text(others)} not checked in {folder}; they or root can check them",
        )


def notes(folder: Path) -> Iterator[Finding]:
    """Yield folders below ``folder`` in which runs of this user cannot be noted for `resume`."""
    for path, reason in unwritable_notes(folder):
        yield Finding(
            "resume",
            Level.WARN,
            f"{path}: {reason}, so your runs cannot be resumed on this machine",
            "make it yours with chown, or move it away",
        )


def _kind(reader: JournalReader, fallback_of: Path | None) -> int:
    """Return how the unsent data of ``reader`` is sent."""
    if reader.info.mode == OFFLINE:
        return _OFFLINE
    if fallback_of is None:
        return _ENDED
    named = reader.info.socket
    is_named = bool(named) and os.path.realpath(named) == os.path.realpath(fallback_of)
    return _ENDED if is_named and is_fallback_imported(fallback_of) else _OF_ANOTHER


def _in_doubt(reader: JournalReader) -> Finding:
    unsent = max(0, reader.committed - reader.acked)
    return Finding(
        "journals",
        Level.WARN,
        f"{reader.path}: the machine restarted, and {bytes_text(reader.unverified_bytes)} of it "
        f"cannot be verified; {bytes_text(unsent)} can",
        "a daemon or `stepwell sync` sends the verified bytes and quarantines the rest; "
        "`stepwell journal repair --unverified` keeps the readable rest",
    )


def _remains(folder: Path) -> Iterator[Finding]:
    ownerless, doubtful = map(without_others, find_remains(folder))
    for path in ownerless:
        yield Finding(
            "journals",
            Level.WARN,
            f"{path} contains records but no writer.json: its run is unknown, so it is not sent",
            f"assign it to its run: {assigning_command(path)}",
        )
    for path in doubtful:
        yield Finding(
            "journals",
            Level.WARN,
            f"{path} contains unverified bytes from before a restart of the machine",
            f"{command_text('journal', 'repair', '--unverified', path)} sends the readable rest; "
            "or delete it",
        )

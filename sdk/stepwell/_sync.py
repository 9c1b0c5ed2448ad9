"""`stepwell sync`: send the journals of offline or dead writers."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepwell._argument_names import checks_names
from stepwell._blob_delivery import BlobDelivery, staged_in
from stepwell._delivery import JournalDelivery, ReaderSource
from stepwell._identity import CLIENT
from stepwell._other_users import is_closed, journals_of_others, without_others
from stepwell._spawn import daemon_answers
from stepwell._tracker_files import has_journals, no_journal_text
from stepwell.errors import DaemonUnreachableError, RefusedError, StepwellError, SyncError
from stepwell_wire.errors import JournalError
from stepwell_wire.held_segments import NO_SEGMENTS
from stepwell_wire.journal import JournalReader, unknown_run_text
from stepwell_wire.journal_files import WRITER_FILE, find_journals, find_remains, noted_socket
from stepwell_wire.lock_notes import data_of, stores_elsewhere
from stepwell_wire.places import default_journals_dir, default_socket
from stepwell_wire.segment import SEGMENT_SUFFIX

ACK_SECONDS_MAX = 60.0
LOCK_SECONDS_MAX = 10.0
"""How long to wait for the locks of dead writers' journals, which a daemon imports.

After a wait of this time, a journal with a held lock is skipped at once, until a daemon has
imported another one.
"""
_LOCK_POLL_SECONDS = 0.05
_CLOSED = "no permission to look into this folder"
_REPAIR = "`stepwell journal repair` sends the readable rows"


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """The progress of `sync`.

    Attributes:
        journal: the folder that is being sent, None at the end.
        journal_number: 1 for the first.
        journal_count: how many there are.
        sent_bytes: acknowledged of all of them.
        total_bytes: held by all of them and not yet acknowledged at the start.
    """

    journal: Path | None
    journal_number: int
    journal_count: int
    sent_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of `sync`.

    Attributes:
        sent: run paths (``project/run_id``) whose journals were sent whole and removed.
        live: folders that were skipped because another process holds them: their writer, or a
            process that takes long to import them.
        failed: folder and reason of each journal that could not be sent; it is kept.
        sent_bytes: acknowledged by the daemon.
        unverified_bytes: lost to a crash of the machine or quarantined, see
            docs/formats/records.md.
        others: folders in a searched folder that only their owners, other users, or root can send.
        elsewhere: folders that were left to another daemon, which has data of its own.
    """

    sent: tuple[str, ...]
    live: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]
    sent_bytes: int
    unverified_bytes: int
    others: tuple[Path, ...] = ()
    elsewhere: tuple[Path, ...] = ()


@checks_names
def sync(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    *,
    socket: str | os.PathLike[str] | None = None,
    progress: Callable[[SyncProgress], Any] | None = None,
    keep: bool = False,
) -> SyncReport:
    """Send journals to the daemon and remove each after everything in it is acknowledged.

    Running it twice adds nothing: the daemon knows each writer's position.

    Args:
        paths: journals or folders of journals; default the user's own folder, without the journals
            of another daemon that has data of its own.
        socket: the daemon's; default as everywhere.
        progress: called at the start, after each ack and at the end.
        keep: remove nothing.

    Raises:
        SyncError: A path that holds no journal.
        DaemonUnreachableError: No daemon answers.
    """
    are_named = paths is not None
    if paths is None:
        paths = [default_journals_dir()]
    elif isinstance(paths, str | os.PathLike):
        paths = [paths]
    target = str(socket) if socket is not None else str(default_socket())

    def check_daemon() -> None:
        if not daemon_answers(target):
            raise DaemonUnreachableError(target, "no process listens")

    data = data_of(Path(target))
    return sync_with(
        check_daemon, paths, target, progress, keep=keep, are_named=are_named, data=data
    )


def sync_with(
    ensure_daemon: Callable[[], None],
    paths: Iterable[str | os.PathLike[str]],
    socket: str,
    progress: Callable[[SyncProgress], Any] | None,
    *,
    keep: bool,
    are_named: bool,
    data: Path | None,
    is_stored: Callable[[str, str], bool] = lambda project, run_id: True,
) -> SyncReport:
    """Do as `sync` does; ``ensure_daemon`` is called if there are journals.

    Their locks are held by then. A daemon that is started imports journals of dead writers by
    itself, and this call could not report them.

    Args:
        are_named: the user gave these paths, so one without a journal is a mistake, and all
            journals in them are sent.
        data: where the daemon on ``socket`` stores; None if that is unknown.
        is_stored: whether the store has a run, by project and id; asked of a journal that was sent
            before. That of a deleted run is kept, as the daemon takes nothing of it again.
    """
    asked = [Path(path).absolute() for path in paths]
    closed = [(path, _CLOSED) for path in asked if is_closed(path)]
    named = [path for path in asked if not is_closed(path)]
    run = _Sync(socket, progress or (lambda _: None), ensure_daemon, is_stored, keep=keep)
    found = _find(named, are_named=are_named)
    elsewhere = [] if are_named else _stored_elsewhere(found, Path(socket), data)
    skipped = set(elsewhere)
    ours = [each for each in found if each not in skipped]
    report = run.all(ours, [*closed, *_ownerless(named)])
    return replace(report, others=_of_others(named), elsewhere=tuple(elsewhere))


class _Afresh(ReaderSource):
    """A journal that another daemon may have acknowledged: the one at hand has its own mark."""

    def __init__(self, reader: JournalReader) -> None:
        super().__init__(reader)
        self._acked = reader.oldest

    @property
    def acked(self) -> int:
        return self._acked

    def note_acked(self, position: int) -> None:
        self._acked = max(self._acked, position)
        super().note_acked(position)


class _Sync:
    def __init__(
        self,
        socket: str,
        progress: Callable[[SyncProgress], Any],
        ensure_daemon: Callable[[], None],
        is_stored: Callable[[str, str], bool],
        *,
        keep: bool,
    ) -> None:
        self._socket, self._progress, self._keep = socket, progress, keep
        self._ensure_daemon, self._is_stored = ensure_daemon, is_stored
        self._live: list[Path] = []
        self._failed: list[tuple[Path, str]] = []
        self._sent: list[str] = []
        self._sent_bytes = self._unverified_bytes = self._total_bytes = 0
        self._lock_seconds = LOCK_SECONDS_MAX  # 0 after a wait in vain

    def all(self, folders: list[Path], failed: list[tuple[Path, str]]) -> SyncReport:
        self._failed += failed
        readers: list[JournalReader] = []
        try:
            for folder in folders:
                reader = self._open(folder)
                if reader is not None:
                    readers.append(reader)
            if folders:
                self._ensure_daemon()
            for number, reader in enumerate(readers, 1):
                place = (reader.path, number, len(readers))
                self._report_progress(*place, 0)
                try:
                    if self._take(reader):
                        self._one(reader, place)
                except RefusedError as error:
                    remedy = f"; {_REPAIR}" if error.code == "MALFORMED" else ""
                    self._failed.append((reader.path, f"{error}{remedy}"))
                except (StepwellError, JournalError, OSError) as error:
                    self._failed.append((reader.path, str(error)))
        finally:
            for reader in readers:
                reader.close()
        self._report_progress(None, len(readers), len(readers), 0)
        return SyncReport(
            tuple(dict.fromkeys(self._sent)),
            tuple(self._live),
            tuple(self._failed),
            self._sent_bytes,
            self._unverified_bytes,
        )

    def _open(self, folder: Path) -> JournalReader | None:
        """Return a reader of ``folder``, with its lock unless a daemon imports it; else None."""
        with ExitStack() as opened:
            try:
                reader = JournalReader(folder)
                opened.callback(reader.close)
                if reader.take_lock() or reader.is_imported():
                    self._total_bytes += reader.committed - max(reader.acked, reader.oldest)
                    opened.pop_all()
                    return reader
            except JournalError as error:
                if folder.exists():  # Else a daemon has just imported it.
                    self._failed.append((folder, str(error)))
                return None
        self._live.append(folder)
        return None

    def _take(self, reader: JournalReader) -> bool:
        """Return whether ``reader`` has the lock, now or when a daemon gives it back."""
        rest = reader.committed - max(reader.acked, reader.oldest)
        deadline = time.monotonic() + self._lock_seconds
        while not reader.take_lock():
            if not reader.path.exists():
                break
            if time.monotonic() >= deadline:
                self._live.append(reader.path)
                self._lock_seconds = 0.0
                return False
            time.sleep(_LOCK_POLL_SECONDS)
        if reader.path.exists():
            return True
        self._sent_bytes += rest  # A daemon has imported it.
        self._lock_seconds = LOCK_SECONDS_MAX
        self._sent.append(f"{reader.info.project}/{reader.info.run_id}")
        return False

    def _one(self, reader: JournalReader, place: tuple[Path, int, int]) -> None:
        if damage := reader.damage():
            remedy = "" if damage.endswith(NO_SEGMENTS) else f"; {_REPAIR}"
            raise JournalError(f"{damage}{remedy}")
        source = _Afresh(reader)
        ending = reader.noted_ending()
        delivery = JournalDelivery(
            source, socket=self._socket, client=CLIENT, recovered=True, ending=ending
        )
        committed = reader.committed
        start = source.acked
        try:
            delivery.connect()
            start = delivery.sent
            was_sent = start >= committed
            while source.acked < committed:
                before = source.acked
                delivery.pump()
                if not delivery.wait_acked(before + 1, ACK_SECONDS_MAX):
                    raise delivery.failure or SyncError(
                        f"{reader.path}: no ack from the daemon for {ACK_SECONDS_MAX:.0f} s, "
                        "unacknowledged rows are kept; see `stepwell status`"
                    )
                self._report_progress(*place, source.acked - start)
        finally:
            delivery.disconnect()
            self._sent_bytes += max(source.acked - start, 0)
        info = reader.info
        if was_sent and not self._is_stored(info.project, info.run_id):
            raise SyncError(
                f"{reader.path}: run {info.project}/{info.run_id} was deleted after this journal "
                "was sent, so the daemon does not store it again; the journal is kept: delete it, "
                "or send it to a daemon with another data folder"
            )
        self._hand_over_blobs(reader)
        self._unverified_bytes += reader.unverified_bytes
        self._sent.append(f"{reader.info.project}/{reader.info.run_id}")
        if not self._keep:
            reader.note_last_step()
            reader.remove()

    def _hand_over_blobs(self, reader: JournalReader) -> None:
        """Hand over the blobs staged beside the journal.

        Raises:
            SyncError: Not all of it was taken; the rest and the journal are kept.
        """
        staged = staged_in(reader.path)
        if not staged:
            return
        writer_id = reader.info.writer_id
        blobs = BlobDelivery(self._socket, reader.path, writer_id, keep=self._keep)
        try:
            done = blobs.hand_over(staged)
        finally:
            blobs.close()
        why = done.later or next(iter(done.refused.values()), "")
        if why:
            missing = len(staged) - len(done.taken)
            raise SyncError(
                f"{reader.path}: the daemon has all rows, but {missing} of {len(staged)} "
                f"media files still wait: {why}"
            )

    def _report_progress(
        self, journal: Path | None, number: int, count: int, more_bytes: int
    ) -> None:
        self._progress(
            SyncProgress(journal, number, count, self._sent_bytes + more_bytes, self._total_bytes)
        )


def _find(paths: list[Path], *, are_named: bool) -> list[Path]:
    """Return the journals named by ``paths``, each once.

    Raises:
        SyncError: A path that is no folder, or that the user named and that has no journal.
    """
    usual = default_journals_dir().absolute()
    found: dict[Path, None] = {}
    for path in paths:
        if (path / WRITER_FILE).exists():
            found[path.absolute()] = None
        elif path.is_dir():
            if are_named and path != usual and not has_journals(path):
                raise SyncError(no_journal_text(path))
            ours = without_others(find_journals(path))
            found.update((each.absolute(), None) for each in ours)
        elif path == usual:
            continue  # Nothing was ever logged here.
        elif path.exists():
            raise SyncError(no_journal_text(path))
        else:
            raise SyncError(f"{path}: no such folder; name a journal or a folder of journals")
    return list(found)


def _stored_elsewhere(journals: list[Path], socket: Path, data: Path | None) -> list[Path]:
    """Return those of ``journals`` whose daemon stores in another folder than ``data``."""
    if data is None:
        return []
    return [each for each in journals if stores_elsewhere(noted_socket(each), socket, data)]


def _of_others(paths: list[Path]) -> tuple[Path, ...]:
    """Return the journals of other users in ``paths``; one that is named itself is not left out."""
    searched = [path for path in paths if not (path / WRITER_FILE).exists()]
    return tuple(dict.fromkeys(each for path in searched for each in journals_of_others(path)))


def _ownerless(paths: list[Path]) -> list[tuple[Path, str]]:
    """Return folders in ``paths`` with records of an unknown run, each with its reason."""
    found: list[Path] = []
    for path in paths:
        if (path / WRITER_FILE).exists():
            continue
        is_one = any(path.glob(f"*{SEGMENT_SUFFIX}"))
        found += [path] if is_one else without_others(find_remains(path)[0])
    return [(each, unknown_run_text(each)) for each in found]

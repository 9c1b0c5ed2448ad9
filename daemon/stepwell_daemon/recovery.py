"""Recovery: import of the journals of dead writers.

A journal with a free lock has no writer any more. The rest of it is appended from the writer's
high-water mark on, like frames. If it has no ``finish``, one is added from its exit note, or with
``crashed``. When all of it is durable the journal is removed.

Offline journals are left to ``stepwell sync``.
"""

import asyncio
import contextlib
import errno
import fcntl
import functools
import logging
import os
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError
from stepwell_daemon.frames import check_bytes, new_part
from stepwell_daemon.intake import take_frame
from stepwell_daemon.journal_places import JournalPlaces, JournalRefusedError
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import NODE_SCOPE, WriterInfo
from stepwell_wire.errors import JournalError
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder
from stepwell_wire.held_segments import NO_SEGMENTS
from stepwell_wire.incomplete import remove_incomplete
from stepwell_wire.ingest_pb2 import MALFORMED, Frame
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import LOCK_FILE, OFFLINE, WRITER_FILE, WriterFile
from stepwell_wire.limits import FRAME_BYTES_TARGET
from stepwell_wire.processes import process_exists
from stepwell_wire.records import FINISH, pack_event

logger = logging.getLogger("stepwell_daemon")

_GONE_SECONDS: Final = 15.0
"""A writer without a journal is checked by its pid this long after its connection ended."""
_REFUSED_MAX: Final = 100
_GONE: Final = -1
_UNKNOWN: Final = -2
_TIME_US_MAX: Final = 2**63 - 1
"""Maximum of an end's time: a writer may send any time, also the last one that a record can
hold."""


TakeBlobs = Callable[[JournalFolder, WriterInfo], Awaitable[bool]]


async def _take_no_blobs(folder: JournalFolder, who: WriterInfo) -> bool:
    return True


class JournalRecovery:
    """Finds journals of dead writers."""

    def __init__(
        self,
        spool: Spool,
        *,
        places: JournalPlaces,
        counters: Counters,
        take_blobs: TakeBlobs = _take_no_blobs,
        is_held: Callable[[str, str], bool] = lambda project, run_id: False,
        host: str | None = None,
    ) -> None:
        """
        Args:
            is_held: whether new writers of a run (project, id) must wait.
            take_blobs: takes the staged files of an open journal, and returns whether none is left.
            host: the host name in the records of this host's writers; None for the machine's name.
        """
        self.problems: dict[Path, str] = {}
        """Problems of recovery, by journal; retried when the journal's folder changes."""
        self._problem_marks: dict[Path, int] = {}
        self.refused: dict[Path, str] = {}
        """Problems of journals that may not be imported, the first hundred. Checked again each
        time."""
        self._left: set[Path] = set()
        """The journals of ``refused``, all of them."""
        self._spool = spool
        self._places = places
        self._counters = counters
        self._take_blobs = take_blobs
        self._is_held = is_held
        self._host = host or socket.gethostname()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="recover")

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Recover every journal of a dead writer, and end the runs of writers without a journal."""
        loop = asyncio.get_running_loop()
        folders = self._spool.registry.journal_dirs()
        ended = self._spool.registry.journal_dirs(ended=True)
        self._forget_changed()
        found, gone, closed = await loop.run_in_executor(
            self._executor, _abandoned, self._places, folders, ended, frozenset(self.problems)
        )
        self._spool.registry.forget_journals(gone)
        refused = self._of_dead_writers(closed)
        for path in found:
            mark = _mark(path)
            try:
                await self._recover(path)
            except JournalRefusedError as error:
                refused[path] = str(error)
            except (JournalError, StreamRefusedError, BlobRefusedError, OSError) as error:
                if _mark(path) == _GONE:
                    continue  # Another process was quicker.
                logger.error("importing a dead writer's journal failed path=%s: %s", path, error)
                where = "" if str(error).startswith(str(path)) else f"{path}: "
                self.problems[path] = f"{where}{error}{_remedy(error)}"
                self._problem_marks[path] = mark
        self._note_refused(refused)
        for state in list(self._spool.registry.states.values()):
            if self._is_gone(state):
                logger.info("writer disappeared without finish run=%s", state.info.run_id)
                self._append_end(state)

    def _of_dead_writers(self, closed: Mapping[Path, str]) -> dict[Path, str]:
        """Return those of ``closed`` whose writer is not connected and does not run here."""
        states = {state.journal_dir: state for state in self._spool.registry.states.values()}
        found = {}
        for path, problem in closed.items():
            state = states.get(str(path))
            if state is None or (
                state.session is None
                and not state.via  # Its journal is on another node.
                and not (state.info.host == self._host and process_exists(state.info.pid))
            ):
                found[path] = problem
        return found

    def _note_refused(self, refused: dict[Path, str]) -> None:
        shown = dict(list(refused.items())[:_REFUSED_MAX])
        for path, problem in shown.items():
            if path not in self.refused:
                logger.error("a dead writer's journal is not imported: %s", problem)
        self.refused, self._left = shown, set(refused)

    def _forget_changed(self) -> None:
        """Forget the problems of journals that were removed or have changed."""
        for path in list(self.problems):
            mark = _mark(path)
            if mark == _GONE or mark != self._problem_marks[path]:
                del self.problems[path], self._problem_marks[path]

    # ------------------------------------------------------------------ journals

    async def _recover(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        opened = functools.partial(JournalReader, path, check=self._places.check)
        reader = await loop.run_in_executor(self._executor, opened)
        try:
            if reader.info.mode != OFFLINE and reader.take_lock():
                await self._drain(reader)
        finally:
            reader.close()

    async def _drain(self, reader: JournalReader) -> None:
        loop = asyncio.get_running_loop()
        info = reader.info
        known = self._spool.registry.get(info.writer_id)
        if known is not None and known.session is not None:
            return  # Its stream has not ended yet; the next pass finds it ended.
        if known is None and self._is_held(info.project, info.run_id):
            return  # The next pass, when the run's rows are deleted.
        accepted = known.accepted if known is not None else 0
        damage = await loop.run_in_executor(self._executor, reader.damage, accepted)
        if damage:
            raise JournalError(damage)
        start = max(reader.acked, reader.oldest)
        state = self._state_of(reader, start)
        self._counters.skipped_bytes += state.skip_to(start)
        state.learn(await loop.run_in_executor(self._executor, reader.schemas), beside=True)
        first = state.accepted
        while True:
            await self._spool.room()
            if self._spool.is_full or state.session is not None:
                return  # At another time.
            position = state.accepted
            records = await loop.run_in_executor(
                self._executor, reader.read, position, FRAME_BYTES_TARGET
            )
            if not records:
                break
            await self._spool.room()  # Several journals may have passed that check together.
            frame = Frame(position=position, records=records, crc32=zlib.crc32(records))
            check_bytes(frame, position)
            take_frame(self._spool, state, new_part(state, frame, state.accepted))
        await self._spool.settled()
        if not state.finished and state.accepted:
            # The journal has the time of the end, which the daemon detected only now.
            state.note_death(await loop.run_in_executor(self._executor, reader.noted_ending))
            self._append_end(state)
            await self._spool.settled()
        if not await self._take_blobs(reader.folder, state.info):
            return  # There is no room for blobs now; the rows are safe, and the journal stays.
        self._counters.recovered_journals += 1
        logger.info(
            "imported a journal run=%s writer=%s bytes=%d",
            info.run_id,
            info.writer_id,
            state.durable - first,
        )
        if reader.unverified_bytes:
            logger.warning(
                "the end of a journal may be damaged by a restart of the machine, keeping "
                "it path=%s bytes=%d",
                reader.path,
                reader.unverified_bytes,
            )
        await loop.run_in_executor(self._executor, reader.note_last_step)
        await loop.run_in_executor(self._executor, reader.mark_acked, state.durable)
        failpoints.hit("journal.before-remove")
        await loop.run_in_executor(self._executor, reader.remove)
        failpoints.hit("journal.removed")

    def _state_of(self, reader: JournalReader, start: int) -> WriterState:
        found = reader.info
        state = self._spool.registry.get(found.writer_id)
        if state is None:
            state = WriterState(
                WriterInfo.of(found),
                journal_dir=str(reader.path),
                accepted=start,
                durable=start,
                seen_at=time.time(),
            )
            self._spool.registry.add(state)
        return state

    # ------------------------------------------------------------------ ends

    def _append_end(self, state: WriterState) -> None:
        """Write the end of a dead writer; the record has no position in the writer's own stream."""
        ended_us = state.last_time_us + 1
        if not (state.is_dead and state.last_time_us):
            ended_us = max(ended_us, int(state.seen_at * 1e6))
        time_us = min(ended_us, _TIME_US_MAX)
        self._spool.append(
            state,
            state.accepted,
            pack_event(FINISH, state.ending._asdict(), step=0, time_us=time_us),
            points=0,
            flags=record.FINISHES | record.SYNTHETIC,
        )

    def _is_gone(self, state: WriterState) -> bool:
        """Return whether ``state`` is of a process of this host that ended without a ``finish``.

        Only certain cases count. If there is a journal that can be imported, the journal decides. A
        process that is not visible here may run in another namespace of processes.
        """
        if state.finished or state.session is not None or state.pending or not state.accepted:
            return False
        if state.via:
            return False  # The daemon of its own node does that.
        if state.is_dead:
            return True  # The sender of its journal has declared it dead.
        ended_at = state.disconnected_at
        if ended_at is not None and time.monotonic() - ended_at < _GONE_SECONDS:
            return False
        if state.info.scope == NODE_SCOPE or state.info.host != self._host:
            return False
        if state.journal_dir:
            folder = Path(state.journal_dir)
            if not self._places.is_missing(folder) and folder not in self._left:
                return False
        return not process_exists(state.info.pid)


def _remedy(error: Exception) -> str:
    """Return the remedy for a journal that cannot be read; "" for other errors."""
    is_damage = isinstance(error, JournalError) or (
        isinstance(error, StreamRefusedError) and error.refusal.code == MALFORMED
    )
    if not is_damage or str(error).endswith(NO_SEGMENTS):
        return ""
    return "; `stepwell journal repair` sends the readable rows"


def _mark(path: Path) -> int:
    """Return a value that changes if a file in ``path`` is replaced; _GONE without ``path``."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return _GONE
    except OSError:
        return _UNKNOWN


def _abandoned(
    places: JournalPlaces, folders: Iterable[str], ended: Set[str], skip: frozenset[Path]
) -> tuple[list[Path], set[str], dict[Path, str]]:
    """Remove incomplete journals; return those with a free lock, oldest first.

    Also return the missing ones of ``folders``, and those that our user has no right to import,
    with the reason. A folder whose parent is missing too may come back: a file system that is not
    mounted now. If a folder may be there or not, it counts only while its writer has not ended.

    Args:
        folders: the journals of known writers, or their former places.
        ended: those of writers whose end is known.
    """
    for made in (places.journals, places.fallback_folder()):
        if made is not None:
            remove_incomplete(made, places.allows)
    paths = places.find()
    known = set(paths)
    gone = set()
    for folder in folders:
        path = Path(folder)
        if path in known:
            continue
        if os.path.exists(path / WRITER_FILE):
            paths.append(path)
        elif places.obstacle(path):
            if folder not in ended or os.path.lexists(path):
                paths.append(path)
        elif places.is_missing(path):
            gone.add(folder)
    found, closed = [], {}
    for path in paths:
        if path in skip:
            continue
        if problem := places.obstacle(path):
            if not _is_used(path):
                closed[path] = problem
        elif _is_free(path):
            found.append(path)
    return found, gone, closed


def _is_used(path: Path) -> bool:
    """Return whether a process uses or will send the journal, which our user may not change.

    False if our user may not read it either.
    """
    with contextlib.ExitStack() as held, contextlib.suppress(OSError, ValueError):
        folder = JournalFolder(path)
        held.callback(folder.close)
        with open(folder.open(WRITER_FILE, os.O_RDONLY), encoding="utf-8") as file:
            if WriterFile.from_json(file.read()).mode == OFFLINE:
                return True
        lock = open_regular(LOCK_FILE, os.O_RDONLY, folder=folder.descriptor)
        held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_free(path: Path) -> bool:
    """Return whether the journal's lock is free, without reading the journal."""
    try:
        folder = JournalFolder(path)
    except OSError as error:
        return error.errno == errno.ELOOP  # The next pass finds the problem with it.
    try:
        descriptor = open_regular(LOCK_FILE, os.O_RDWR, folder=folder.descriptor)
    except FileNotFoundError:
        return True
    except OSError as error:
        return error.errno == errno.ELOOP
    finally:
        folder.close()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True

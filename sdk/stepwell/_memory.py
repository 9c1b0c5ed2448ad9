"""What this machine remembers of its runs, so that `resume` needs no server.

The notes of each run are where ``stepwell_wire.run_notes`` says; beside them:

    <journals>/.runs/<project>/auto            run id for resume="auto"; empty after a good end

A convenience: nothing here is needed to keep data, and no failure here is an error. The run prints
a line if its first notes cannot be written.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stepwell._exit_note import write_status_at_exit
from stepwell._job_turns import turn_of_job
from stepwell._settings import Settings
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.limits import STEP_MAX
from stepwell_wire.run_notes import notes_folder, raise_step, read_step, removed_us

_AUTO = "auto"
_PEERS_SECONDS = 2.0
_PEERS_PAUSE_SECONDS = 0.01
_SECONDS_MAX = 1e11  # More is no time that `time_us` of a row can hold.
_PEERS_BYTES_MAX = 4 * 1024 * 1024


class Remembered:
    """A run as this machine knows it. ``next_step`` is one more than the last one logged.

    ``started_at`` is its first start in seconds since 1970 UTC, 0 if it is unknown.
    ``about`` is the name, notes, tags, group and the like that its scripts gave to `init`,
    ``shown`` those that the run had at last, without its name: a script may change them. Edits on
    the page are in neither. ``definitions`` are those of `define_metric`, ``trackers`` is the state
    of the metrics that were defined with operations, ``config_given`` how those values of the
    config were set that were changed in place afterwards.
    """

    def __init__(
        self,
        run_id: str,
        *,
        name: str = "",
        config: dict[str, Any] | None = None,
        summary: dict[str, Any] | None = None,
        started_at: float = 0.0,
        about: dict[str, Any] | None = None,
        shown: dict[str, Any] | None = None,
        trackers: dict[str, list[float]] | None = None,
        definitions: list[dict[str, Any]] | None = None,
        config_given: dict[str, Any] | None = None,
    ) -> None:
        self.config_given = config_given or {}
        self.about, self.trackers = about or {}, trackers or {}
        self.definitions = definitions or []
        self.shown = {**self.about, **(shown or {})}  # Older notes have none.
        self.run_id, self.name = run_id, name
        self.config, self.summary = config or {}, summary or {}
        self.started_at = started_at
        self.next_step = 0


def last_row_us(remembered: Remembered) -> int:
    """Return when the last row was logged, in microseconds since 1970 UTC; 0 if it is unknown."""
    at = remembered.summary.get("_timestamp")
    if not isinstance(at, float) or not 0 < at < _SECONDS_MAX or remembered.next_step <= 0:
        return 0
    return round(at * 1e6)


def given_facts(settings: Settings) -> dict[str, Any]:
    """Return the facts of a run that a script gives to `init`, None for each that it does not."""
    return {
        "name": settings.name,
        "notes": settings.notes,
        "tags": list(settings.tags) or None,
        "group": settings.group,
        "job_type": settings.job_type,
        "entity": settings.entity,
    }


def shown_facts(given: Mapping[str, Any], remembered: Remembered | None) -> dict[str, Any]:
    """Return the facts that the run has: those of ``given`` that differ from the last time.

    The same facts are not sent again, so that they undo no later change.
    """
    if remembered is None:
        return dict(given)
    return {
        name: remembered.shown.get(name)
        if value is None or value == remembered.about.get(name)
        else value
        for name, value in given.items()
    }


class Peers(NamedTuple):
    """How the processes began that log into a run at one time."""

    launch: str
    labels: list[str]
    is_known: bool
    next_step: int


class Memory:
    """The runs of one project in one journals folder, as far as they are this user's.

    Attributes:
        failure: where and why a note could not be written; "" if all were.
    """

    def __init__(self, journals_dir: Path, project: str) -> None:
        self._journals_dir, self._project = journals_dir, project
        self.failure = ""
        self._settled: Path | None = None
        self._step_descriptor = -1
        self._peers_descriptor = -1
        self._notes_begun = 0
        self._has_noted = False

    def knows(self, run_id: str) -> bool:
        """Return whether a run of this machine has this id."""
        with contextlib.suppress(OSError):
            return self._path(run_id).exists()
        return False

    def facts_of(self, run_id: str) -> Remembered | None:
        """Return the notes about ``run_id`` without its next step; None if there are none."""
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            held = json.loads(self._path(run_id).read_text())
            return Remembered(
                run_id=run_id,
                name=str(held.get("name", "")),
                config=dict(held.get("config") or {}),
                summary=dict(held.get("summary") or {}),
                started_at=float(held.get("started_at") or 0.0),
                about=dict(held.get("about") or {}),
                shown=dict(held.get("shown") or {}),
                trackers=dict(held.get("trackers") or {}),
                definitions=list(held.get("definitions") or []),
                config_given=dict(held.get("config_given") or {}),
            )
        return None

    def recall(self, run_id: str) -> Remembered | None:
        """Return what is known of ``run_id``, from memory and from journals; None for nothing."""
        found = self.facts_of(run_id)
        with contextlib.suppress(OSError):
            descriptor = os.open(self._step_path(run_id), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_size:  # Empty: it was only held.
                    found = found or Remembered(run_id)
                    found.next_step = read_step(descriptor)
            finally:
                os.close(descriptor)
        removed = removed_us(self._journals_dir, self._project, run_id)
        for path in find_journals(self._journals_dir):
            step_there = self._next_step_in(path, run_id, after_us=removed)
            if step_there is not None:
                found = found or Remembered(run_id)
                found.next_step = max(found.next_step, step_there)
        if found is not None:  # Former clients logged larger steps.
            found.next_step = min(found.next_step, STEP_MAX + 1)
        return found

    def turn_of_job(
        self, job: str, label: str, count: int, *, restart: int, continues: bool
    ) -> int:
        """Return the turn of the run that this process begins, see `_job_turns`.

        Args:
            job: the id that the launcher's names give.
        """
        try:
            self._make_folder()
            path = self._folder / f"{job}.turns"
            return turn_of_job(path, label, count, restart=restart, continues=continues)
        except OSError:
            return count

    def recall_with_peers(
        self, run_id: str, launch: str, label: str, *, is_needed: bool = False
    ) -> Remembered | None:
        """Recall a run that several processes log into: all go on from the same step.

        The first one to begin notes the step. As long as any of them is at work, others begin there
        too, because rows that were logged meanwhile are not of an earlier start. One that begins
        again goes on after its last rows.

        Args:
            launch: what the processes of one start have in common. Others take no note of them.
            label: this process among them.
            is_needed: the run must be known; one that its peers have just begun is.
        """
        try:
            self._make_folder()
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            path = self._folder / f"{run_id}.peers"
            self._peers_descriptor = os.open(path, flags, 0o600)
            is_known, next_step = self._begin_among_peers(run_id, launch, label)
        except OSError:  # Without such a file, or without locks in this folder.
            return self.recall(run_id)
        if not is_known and not is_needed:
            return None
        held = self.recall(run_id)
        if held is not None or is_known:
            held = held or Remembered(run_id)
            held.next_step = next_step
        return held

    def _begin_among_peers(self, run_id: str, launch: str, label: str) -> tuple[bool, int]:
        """Return whether the run was known when its peers began, and the step to begin at."""
        deadline = time.monotonic() + _PEERS_SECONDS
        while True:
            is_first = self._lock_peers(fcntl.LOCK_EX)
            if is_first or (self._lock_peers(fcntl.LOCK_SH) and self._take_turn()):
                try:
                    began = None if is_first else self._noted_by_peers(launch, label)
                    if began is None:
                        held = self.recall(run_id)
                        began = Peers(launch, [], held is not None, held.next_step if held else 0)
                    began.labels.append(label)
                    self._note_for_peers(began)
                finally:
                    fcntl.lockf(self._peers_descriptor, fcntl.LOCK_UN)
                # Another process may be first in between: it finds no rows of ours either.
                if not is_first or self._lock_peers(fcntl.LOCK_SH):
                    return began.is_known, began.next_step
            if time.monotonic() >= deadline:  # A process that was stopped as it began.
                held = self.recall(run_id)
                return held is not None, held.next_step if held else 0
            time.sleep(_PEERS_PAUSE_SECONDS)

    def _lock_peers(self, how: int) -> bool:
        try:
            fcntl.flock(self._peers_descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _take_turn(self) -> bool:
        """Be the one process that changes the note, by a lock that is not that of flock."""
        try:
            fcntl.lockf(self._peers_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _noted_by_peers(self, launch: str, label: str) -> "Peers | None":
        """Return how the peers at work began; None if they have another launch or our label."""
        with contextlib.suppress(ValueError, TypeError):
            noted = Peers(**json.loads(os.pread(self._peers_descriptor, _PEERS_BYTES_MAX, 0)))
            is_ours = noted.launch == launch and label not in noted.labels
            return noted if is_ours and isinstance(noted.next_step, int) else None
        return None

    def _note_for_peers(self, began: "Peers") -> None:
        os.ftruncate(self._peers_descriptor, 0)
        os.pwrite(self._peers_descriptor, json.dumps(began._asdict()).encode(), 0)

    def note(self, remembered: Remembered) -> None:
        """Keep what is known of a run."""
        held = {
            "name": remembered.name,
            "config": remembered.config,
            "config_given": remembered.config_given,
            "summary": remembered.summary,
            "started_at": remembered.started_at,
            "about": remembered.about,
            "shown": remembered.shown,
            "trackers": remembered.trackers,
            "definitions": remembered.definitions,
        }
        with contextlib.suppress(OSError, ValueError, TypeError), self._noting():
            self._make_folder()
            path = self._path(remembered.run_id)
            if self._has_noted and (not path.exists() or self._is_deleted()):
                return  # The run was deleted: a new one of this id begins anew.
            # A signal handler may begin another note in the middle of this one.
            self._notes_begun += 1
            fresh = path.with_name(f"{path.name}.{os.getpid()}.{self._notes_begun}")
            text = json.dumps(held)
            try:
                _write_private(fresh, text)
                fresh.replace(path)
                self._has_noted = True
                if self._is_deleted():  # Between the check and this.
                    path.unlink()
            except OSError:  # A full disk: not one more file with each try.
                fresh.unlink(missing_ok=True)
                raise

    def hold(self, run_id: str) -> bool:
        """Be the one process here that logs into the run without a label, until `close`.

        Return False where another one is at work: its rows and ours would have the same steps.
        """
        try:
            self._open_step(run_id)
            fcntl.flock(self._step_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._step_descriptor)
            self._step_descriptor = -1
            return False
        except OSError:
            return True  # Without locks in this folder it is unknown.
        return True

    def note_step(self, run_id: str, next_step: int) -> None:
        """Keep the step after the last one; a process that began the run again lowers none."""
        with contextlib.suppress(OSError, OverflowError), self._noting():
            self._open_step(run_id)
            raise_step(self._step_descriptor, next_step)

    def close(self) -> None:
        """Let go of the run, also for forked children that share the lock."""
        for descriptor in (self._step_descriptor, self._peers_descriptor):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """In a forked child: keep nothing, and leave the parent its hold."""
        for descriptor in (self._step_descriptor, self._peers_descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._step_descriptor = self._peers_descriptor = -1

    def auto_run_id(self) -> str | None:
        """Return the run id that ``resume="auto"`` goes on with."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            run_id, _, status = (self._folder / _AUTO).read_bytes().partition(b"\n")
            return None if status == b"\0" else run_id.decode().strip() or None
        return None

    def run_without_auto(self) -> str | None:
        """Return the last run of the project if none was ever started with ``resume="auto"``."""
        with contextlib.suppress(OSError):
            if (self._folder / _AUTO).exists():
                return None
            notes = [(each.stat().st_mtime, each.stem) for each in self._folder.glob("*.json")]
            return max(notes)[1] if notes else None
        return None

    def set_auto_run_id(self, run_id: str | None) -> None:
        with contextlib.suppress(OSError):
            self._make_folder()
            _write_private(self._folder / _AUTO, run_id or "")

    def end_auto_by_status(self) -> None:
        """Let the run that ``resume="auto"`` goes on with end well if this process exits with 0.

        The exit writes its status behind the id, see `auto_run_id`.
        """
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder / _AUTO, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.write(descriptor, b"\n")
            write_status_at_exit(descriptor)

    def _is_deleted(self) -> bool:
        """Return whether the step note that we hold was removed; a new run may have another."""
        return self._step_descriptor >= 0 and not os.fstat(self._step_descriptor).st_nlink

    def _open_step(self, run_id: str) -> None:
        if self._step_descriptor < 0:
            self._make_folder()
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._step_descriptor = os.open(self._step_path(run_id), flags, 0o600)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep why a note could not be written."""
        try:
            yield
        except OSError as error:
            place = error.filename or self._journals_dir
            self.failure = self.failure or f"{place}: {error.strerror or error}"
            raise

    @property
    def _folder(self) -> Path:
        """The folder of this user's notes about the project; it may be missing."""
        if self._settled is not None:
            return self._settled
        folder = notes_folder(self._journals_dir, self._project)
        if folder.parent.is_dir():  # Else another user may make it first.
            self._settled = folder
        return folder

    def _make_folder(self) -> None:
        """Create the folder of notes for its owner only: the notes contain the config."""
        for _ in range(2):  # Another user may make the first one at this moment.
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            if self._settled is not None:
                break
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.json"

    def _step_path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.step"

    def _next_step_in(self, path: Path, run_id: str, *, after_us: int) -> int | None:
        """Return the step after the last one in a journal of ``run_id``, else None.

        None also for a journal that began before ``after_us``: its run was deleted then. Its
        process may still be at work.
        """
        if not path.name.startswith(f"{run_id}-"):
            return None
        try:
            reader = JournalReader(path)
        except JournalError:
            return None
        try:
            if (reader.info.project, reader.info.run_id) != (self._project, run_id):
                return None
            if reader.info.created_at <= after_us:
                return None
            return reader.next_step()
        except JournalError:
            return 0
        finally:
            reader.close()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)

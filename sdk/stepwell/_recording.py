"""Recording: one process's part of a run: its journal, writer, sender and captured console.

`Run` is what a user sees; this is what makes it durable, and what has to be made anew in a
forked or spawned process.
"""

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell import _console, _console_streams, _delivery, _exit_note, _spawn
from stepwell._blob_sender import BlobSender
from stepwell._command import Command
from stepwell._gpu_environment import gpu_environment
from stepwell._identity import new_writer_id
from stepwell._journal import Journal
from stepwell._last_error import ending_text
from stepwell._personal import PersonalDaemon
from stepwell._relay_process import Relay, forks_are_handled
from stepwell._sender import Sender
from stepwell._settings import Settings
from stepwell._staging import WRITERS_TOGETHER, Stager
from stepwell._terminal import Voice
from stepwell._writer import Writer
from stepwell_wire import __version__
from stepwell_wire.exit_note import Ending
from stepwell_wire.journal_files import WriterFile, boot_id
from stepwell_wire.page_file import noted_page
from stepwell_wire.places import fallback_journals_dir
from stepwell_wire.records import ENVIRONMENT, FINISH, METADATA, START

if TYPE_CHECKING:
    from stepwell._artifacts.handing import Handed

CLIENT = f"stepwell/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
_CONSOLE_EVENT_CHARACTERS = 256 * 1024
_CONSOLE_SECONDS = 0.5
_PROGRESS_SECONDS = 1.0
_METADATA_SECONDS = 2.0
_LOOK_SECONDS = 5.0
_LOOK_SHARE = 100  # At most such a part of the time goes to looking inside of nested values.
_BLOB_POLL_SECONDS = 0.05


class Recording:
    """What one process logs into one run.

    Attributes:
        label: this process's name in the run, "" for the only one.
        primary: whether it speaks for the run (metadata, summary, display name).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_id: str,
        label: str,
        primary: bool,
        start: Mapping[str, Any],
        starting_step: int,
        voice: Voice,
        note_step: Callable[[int], None] = lambda step: None,
        look: Callable[[], None] = lambda: None,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self.settings = settings
        self.run_id = run_id
        self.label = label
        self.primary = primary
        self.voice = voice
        self.finished = False
        self._start = dict(start)
        self._note_step = note_step
        self._on_command = on_command
        self._look_inside = look  # Writes what was changed inside of nested values.
        self._look_again_at = 0.0
        self._pid = os.getpid()
        self._forked = False  # In a child that has not logged yet.
        self._finishing = False
        self._noted_page = ""  # As a daemon that runs already noted it; the welcome says it, too.
        self._capture: _console.Capture | None = None
        self._console_lock = threading.Lock()
        self._noted_error = 0
        self._metadata_done = threading.Event()
        self._metadata: dict[str, Any] | None = None  # Collected and not written yet.
        self._kept: list[object] = []
        self._blobs: BlobSender | None = None
        self.handed: list[Handed] = []  # Drafts of artifacts of which no end is known yet.
        self.disabled = settings.mode == "disabled"
        self.sender = self._make_sender()
        self.writer = Writer(
            self._make_journal,
            run_id=run_id,
            wake=self.sender.wake,
            warn=voice.warn_once,
            starting_step=starting_step,
            disabled=self.disabled,
            block_when_full=settings.on_full == "block" and settings.mode != "offline",
            may_block=self._may_block,
            in_child=self._begin_in_child,
        )
        self._open()

    # ------------------------------------------------------------------ events

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Write one event; silently nothing after the end of the run."""
        if not self.finished:
            self.writer.write_event(kind, body)

    def write_set(self, kind: str, values: Mapping[str, Any], delete: list[str]) -> None:
        if not self.finished:
            self.writer.write_set(kind, values, delete)

    @property
    def page_url(self) -> str:
        if self.writer.journal is None:
            return ""
        return self.sender.page_url or self._noted_page

    @property
    def journal_folder(self) -> Path | None:
        journal = self.writer.journal
        return None if journal is None else journal.folder

    # ------------------------------------------------------------------ start

    def _open(self) -> None:
        if self.disabled:
            return
        journal = self.writer.journal
        if journal is not None:
            _exit_note.watch(journal.folder)
            self.sender.attach(self.writer, journal)
            self._open_stager(journal)
        started = {**self._start, "label": self.label, "pid": os.getpid()}
        info = journal.info if journal is not None else self._writer_file()
        started |= {"project": info.project, "run_id": info.run_id, "writer_id": info.writer_id}
        started |= {"host": info.host, "client": CLIENT, "started_at": info.created_at}
        self.writer.write_event(START, started)
        if environment := gpu_environment():
            self.writer.write_event(ENVIRONMENT, environment)

    def _open_stager(self, journal: Journal) -> None:
        """Let media be staged beside ``journal``."""
        stager = Stager(
            journal.folder,
            journal.info,
            bytes_max=self.settings.blob_bytes_max,
            together_bytes_max=WRITERS_TOGETHER * self.settings.blob_bytes_max,
        )
        self.writer.stager = stager
        sender = self.sender
        sender.stager = stager
        self._blobs = None
        if sender.online and not sender.has_relay:
            self._blobs = BlobSender(
                stager,
                socket=self.settings.socket,
                is_known=lambda: sender.ever_connected,
                say=self.voice.say,
            )
            stager.on_staged = self._blobs.wake

    def begin_sending(self) -> None:
        """Start the sender's thread; after the first events, so that they travel together."""
        if self.disabled or self.writer.journal is None:
            return
        if self.settings.console and not self._forked:
            self._capture = _console.Capture(self.writer, self._write_console_now)
            _console_streams.start_capture(self._capture)
        self.sender.start()

    def see_to_daemon(self) -> None:
        """Start a personal daemon when nobody listens, or say where the data stays."""
        settings, sender = self.settings, self.sender
        if not sender.online:
            return
        look = _spawn.look_at(settings.socket)
        if look.answers:
            self._noted_page = noted_page(Path(settings.socket))
        elif look.obstacle:
            return  # The sender says it: it may be gone until then.
        why = "no daemon on" if settings.no_daemon else ""
        if not why and not _spawn.can_start_daemon():
            why = "no daemon (nor one installed) on"
        if not why and (no_python := _spawn.why_no_python()):
            why = f"{no_python}. No daemon on"
        if not why:
            # The sender's thread starts it: a fork takes milliseconds.
            sender.personal.allow(expected=not look.answers)
        elif not look.answers:
            self.voice.say(
                f"{why} {settings.socket}; what is logged stays in {self.journal_folder} until a "
                f"daemon runs or `stepwell sync {self.settings.journals_dir}` sends it"
            )

    def _make_sender(self) -> Sender:
        settings = self.settings
        return Sender(
            socket=settings.socket,
            client=CLIENT,
            online=settings.mode in ("online", "shared"),
            flush_seconds=settings.flush_seconds,
            say=self.voice.say,
            personal=PersonalDaemon(settings.socket, settings.data_dir, say=self.voice.say),
            collect=self._collect,
            is_pending=self._console_waits,
            begin=self._collect_metadata,
            note_step=self._note_step,
            note_page=self._say_page,
            relay=Relay(settings.socket) if must_not_use_grpc() else None,
            sweep_id=str(self._start.get("sweep", {}).get("id", "")),
            on_command=self._on_command or (lambda command: None),
        )

    def _say_page(self, page_url: str, hub_folder: str) -> None:
        """Say where the run is seen, once the daemon said it; on the sender's thread."""
        if not self.primary or self.settings.quiet:
            return
        with _delivery.importing:
            from stepwell._page import page_address, page_line

        address = page_address(page_url, self.settings.project, self.run_id)
        if address is not None:
            self.voice.say(page_line(address, hub_folder, is_terminal=_is_terminal()))

    def _writer_file(self) -> WriterFile:
        return WriterFile(
            project=self.settings.project,
            run_id=self.run_id,
            writer_id=new_writer_id(),
            label=self.label,
            scope="run",
            host=os.uname().nodename,
            pid=os.getpid(),
            boot_id=boot_id(),
            created_at=time.time_ns() // 1000,
            mode=self.settings.mode,
        )

    def _make_journal(self) -> Journal | None:
        if self.disabled:
            return None
        settings = self.settings
        for turn in range(2):
            parent = settings.journals_dir
            try:
                if turn == 1:
                    parent = _temporary_journals()
                return Journal(
                    parent,
                    self._writer_file(),
                    segment_bytes=settings.journal_segment_bytes,
                    bytes_max=settings.journal_bytes_max,
                    durable=settings.mode == "offline",
                )
            except OSError as error:
                self.voice.warn_once(
                    f"journal {parent}",
                    f"{parent}: no journal can be made there: {error.strerror or error}; "
                    "free some space or name another folder with STEPWELL_DIR",
                )
        return None

    # ------------------------------------------------------------------ on the sender's thread

    def _may_block(self) -> bool:
        """Whether waiting for room in the journal can end: somebody else must make it."""
        sender = self.sender
        return not self._finishing and sender.is_alive and not sender.is_this_thread

    def _console_waits(self) -> bool:
        return self._capture is not None and self._capture.waits

    def _collect(self) -> None:
        self._give_metadata()
        if self._console_waits():
            self._write_console()
        now = time.monotonic()
        if now < self._look_again_at or self.finished:
            return
        # Never waits for `log`, which may itself wait for room that only we can make.
        if not self.writer.lock.acquire(blocking=False):
            return
        try:
            self._look_inside()
            took = time.monotonic() - now
            self._look_again_at = now + max(_LOOK_SECONDS, took * _LOOK_SHARE)
        finally:
            self.writer.lock.release()

    def _write_console_now(self) -> bool:
        """Write what was just printed, on the printing thread; False where that might wait."""
        return not self.writer.may_wait_for_room and self._write_console()

    def _write_console(self, *, final: bool = False, wait_seconds: float = 0.0) -> bool:
        """Write the lines that are due; False when another thread, or this one, is at it.

        As a rule it waits for nobody: `log` holds the writer's lock, and may itself wait for room
        that only the sender can make.
        """
        if self._capture is None or self.finished:
            return True
        # No lock that a thread can take twice: a signal handler that prints, or an object that
        # does when it is collected, must not begin anew in the middle.
        if not self._console_lock.acquire(timeout=wait_seconds):
            return False
        try:
            lock = self.writer.lock
            if not lock.acquire(timeout=wait_seconds):
                return False
            try:
                self._write_lines(final=final)
            finally:
                lock.release()
        finally:
            self._console_lock.release()
        return True

    def _write_lines(self, *, final: bool) -> None:
        assert self._capture is not None
        for stream, lines in self._capture.take(final=final).items():
            part: list[list[Any]] = []
            size = 0
            for number, time_us, text in lines:
                part.append([number, time_us, text])
                size += len(text) + 32
                if size > _CONSOLE_EVENT_CHARACTERS:
                    self.writer.write_console(stream, part)
                    part, size = [], 0
            if part:
                self.writer.write_console(stream, part)

    def _collect_metadata(self) -> None:
        try:
            if self.primary and self.settings.metadata and not self._forked:
                with _delivery.importing:  # On the sender's thread: a fork waits for it.
                    from stepwell._metadata import collect_metadata

                self._metadata = collect_metadata(git=self.settings.git)
                self._give_metadata()
        finally:
            self._metadata_done.set()

    def _give_metadata(self) -> None:
        """Write what was collected, unless somebody logs just now: then the next look does.

        Never waits for `log`, which may itself wait for room that only the sender can make.
        """
        if self._metadata is None or not self.writer.lock.acquire(blocking=False):
            return
        try:
            self._write_metadata()
        finally:
            self.writer.lock.release()

    def _write_metadata(self) -> None:
        metadata, self._metadata = self._metadata, None
        if metadata is not None and not self.finished:
            self.writer.write_set(METADATA, metadata)

    # ------------------------------------------------------------------ flush and finish

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything logged so far is durable in the daemon."""
        journal = self.writer.journal
        if journal is None or self.finished or self._forked:
            return self.disabled
        self._write_console(wait_seconds=_CONSOLE_SECONDS)
        deadline = time.monotonic() + timeout_seconds
        is_acked = self.sender.wait_acked(journal.committed, timeout_seconds)
        return is_acked and self._wait_for_blobs(deadline - time.monotonic())

    def _wait_for_blobs(self, timeout_seconds: float) -> bool:
        """Wait until what is staged is durable in the daemon."""
        stager = self.writer.stager
        if stager is None or not stager.staged():
            return True
        if self.sender.has_relay:
            return self._wait_for_relayed(stager, time.monotonic() + timeout_seconds)
        return self._blobs is not None and self._blobs.wait_taken(max(0.0, timeout_seconds))

    def refusal_of(self, name: str) -> str:
        """Return why the draft ``name`` is not taken, as far as this process knows; else ""."""
        return "" if self._blobs is None else self._blobs.refusal_of(name)

    def _wait_for_relayed(self, stager: Stager, deadline: float) -> bool:
        """Wait until the relay has handed over what is staged: its files are gone then."""
        stager.look()
        while stager.staged():
            if time.monotonic() >= deadline or not self.sender.can_deliver:
                return False
            self.sender.wake()
            time.sleep(_BLOB_POLL_SECONDS)
            stager.look()
        return True

    def note_error(self, error: BaseException) -> None:
        """Let the console have what is printed of ``error`` when the run is over."""
        if self._capture is None or self.finished or self._noted_error == id(error):
            return
        self._noted_error = id(error)
        if text := ending_text(error):
            with contextlib.suppress(Exception):
                self._capture.add("stderr", text)

    def note_exit(self, status: int) -> None:
        """Note that this process leaves at once with ``status``. Takes no lock."""
        journal = self.writer.journal
        if journal is not None and not self.finished and not self._forked:
            _exit_note.note_status(journal.folder, status)

    def finish(self, ending: Ending | None, *, last_words: Callable[[], None]) -> None:
        """Write the end, wait for the daemon as long as the settings allow, then let go.

        Args:
            ending: None leaves it to the exit note, and the journal to whoever reads that.
            last_words: called while events can still be written.

        Bounded in any case.
        """
        if self.finished or self._finishing:
            return  # Also a signal handler's call in the middle of this one.
        if self._forked:
            self.finished = True  # Nothing was logged here; the run is the parent's.
            return
        self._finishing = True
        if self.primary and self.settings.metadata and self.sender.is_alive:
            # A run of a moment is to say where it ran as well.
            self.sender.wake()
            self._metadata_done.wait(_METADATA_SECONDS)
        if self._capture is not None:
            _console_streams.stop_capture(self._capture)
        writer = self.writer
        with writer.lock:
            if self.finished:
                return
            writer.make_room_for_the_end()
            with contextlib.suppress(OSError):
                self._write_console(final=True, wait_seconds=_CONSOLE_SECONDS)
            writer.make_room_for_the_end()
            self._write_metadata()
            last_words()
            if not self.disabled and ending is not None:
                writer.write_event(FINISH, ending._asdict())
            writer.finish()
            self.finished = True
        journal = writer.journal
        if journal is None:
            return
        _exit_note.unwatch(journal.folder)
        self._deliver_rest(journal, has_ended=ending is not None)

    def _deliver_rest(self, journal: Journal, *, has_ended: bool) -> None:
        sender, settings = self.sender, self.settings
        position = journal.committed
        deadline = time.monotonic() + settings.finish_timeout
        delivered = False
        try:
            delivered = sender.wait_acked(position, min(_PROGRESS_SECONDS, settings.finish_timeout))
            if not delivered and sender.can_deliver and time.monotonic() < deadline:
                self.voice.say(
                    f"handing {_size(position - journal.acked)} to the daemon, "
                    f"{settings.finish_timeout:.0f} s at most; Ctrl-C keeps them for later"
                )
                delivered = sender.wait_acked(position, deadline - time.monotonic())
            if delivered:
                delivered = self._hand_over_blobs(deadline)
        except KeyboardInterrupt:
            self.voice.say("not waiting any longer")
        if self._blobs is not None:
            self._blobs.stop()
        sender.stop()
        stager = self.writer.stager
        left = stager.staged_bytes if stager is not None else 0
        is_left = stager is not None and bool(stager.staged())
        all_taken = delivered and sender.online and not is_left
        if all_taken and has_ended:
            journal.remove()
            return
        if not has_ended:
            _exit_note.let_exit_note(journal.folder)
        journal.close(keep_lock=not has_ended)
        if all_taken:
            return
        if stager is not None and journal.durable:
            with contextlib.suppress(OSError):
                stager.sync()
        if settings.mode == "offline":
            if not settings.quiet:
                self.voice.say(
                    f"kept in {journal.folder}; `stepwell sync {journal.folder}` sends it"
                )
            return
        missing = _size(position - journal.acked + left)
        why = f" ({sender.obstacle})" if sender.obstacle else ""
        self.voice.say(
            f"the daemon has not taken {missing} yet{why}; they are safe: a "
            f"daemon on this host will fetch them, or `stepwell sync {journal.folder}` sends them"
        )

    def _hand_over_blobs(self, deadline: float) -> bool:
        """Wait for the daemon to take what is staged; say so where that takes a while."""
        if self._wait_for_blobs(min(_PROGRESS_SECONDS, deadline - time.monotonic())):
            return True
        stager = self.writer.stager
        if stager is None or not self.sender.can_deliver:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.voice.say(
            f"handing {_size(stager.staged_bytes)} of media to the daemon, {left:.0f} s at most; "
            "Ctrl-C keeps them for later"
        )
        return self._wait_for_blobs(left)

    # ------------------------------------------------------------------ fork

    def reset_in_child(self) -> None:
        """Right after a fork: be nobody until something is logged. Touches no file but the lock."""
        if self.finished:
            return
        self._forked = True
        self._metadata = None  # The parent writes them.
        self._finishing = False
        self._capture, self._console_lock = None, threading.Lock()
        # Never deallocated: a channel that was opened before the fork must not be touched.
        self._kept.append((self.sender, self._blobs))
        self.writer.stager = None  # The parent's.
        if self.writer.journal is not None:
            self.writer.journal.release_lock()
        self.writer.reset_in_child()

    def _begin_in_child(self) -> None:
        """Become a writer of this process's own; called by the first `log` after a fork."""
        self.label = child_label(self.label, "fork")
        self.primary = False
        self._pid = os.getpid()
        self._start.pop("name", None)
        self.sender = self._make_sender()
        self.writer.wake = self.sender.wake
        self.writer.begin_in_child(self._make_journal)
        self._open()
        self._forked = False
        self.begin_sending()


def _temporary_journals() -> Path:
    """Return a folder for journals below the one for temporary files.

    Raises:
        PermissionError: Another user made the folder of that name, and could read what is in it.
    """
    folder = fallback_journals_dir()
    own = folder.parent
    own.mkdir(mode=0o700, exist_ok=True)
    found = own.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or own.is_symlink():
        raise PermissionError(errno.EPERM, "the folder belongs to, or is open to, others", str(own))
    return folder


def child_label(label: str, kind: str) -> str:
    own = f"{kind}-{os.getpid()}"
    return f"{label}.{own}" if label else own


_grpc_inherited = False


def note_fork() -> None:
    """In a forked child: remember whether grpc was in use, which a child cannot use any more."""
    global _grpc_inherited
    _grpc_inherited = _grpc_inherited or "grpc" in sys.modules


def must_not_use_grpc() -> bool:
    """Return whether grpc must not be used in this process."""
    return _fork_inherited_grpc() or forks_are_handled()


def _fork_inherited_grpc() -> bool:
    """Return whether this process was forked from one that used grpc, or may have been.

    A parent without a run has no hooks of ours, so a child of multiprocessing may not know.
    """
    process = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    return _grpc_inherited or (is_child and "grpc" in sys.modules)


def _size(byte_count: int) -> str:
    if byte_count < 10_000:
        return f"{byte_count} bytes"
    if byte_count < 10_000_000:
        return f"{byte_count / 1000:.0f} kB"
    return f"{byte_count / 1e6:.0f} MB"


def _is_terminal() -> bool:
    """Return whether what is said goes to a terminal, not to a file or a notebook."""
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:  # It is closed.
        return False

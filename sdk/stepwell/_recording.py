"""Recording: one process's part of a run: its journal, writer, sender and captured console.

A user sees `Run`; a recording makes it durable. A forked or spawned process needs a new one.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell import _exit_note, _import_gate, _notebook, _stop_notes
from stepwell._command import Command
from stepwell._daemon_at_start import ensure_daemon
from stepwell._gpu_environment import gpu_environment
from stepwell._identity import CLIENT
from stepwell._journal import Journal
from stepwell._last_delivery import deliver_rest
from stepwell._own_journal import make_journal, writer_file
from stepwell._personal import PersonalDaemon
from stepwell._relay_process import RelayProcess, must_not_use_grpc
from stepwell._run_blobs import RunBlobs
from stepwell._run_console import WAIT_SECONDS, RunConsole
from stepwell._run_metadata import RunMetadata
from stepwell._sender import Sender
from stepwell._settings import Settings
from stepwell._terminal import Voice, is_terminal
from stepwell._writer import Writer
from stepwell_wire.commands import command_text
from stepwell_wire.exit_note import Ending
from stepwell_wire.journal_files import WriterFile
from stepwell_wire.records import ENVIRONMENT, START

if TYPE_CHECKING:
    from stepwell._artifacts.handed import Handed

_LOOK_SECONDS = 5.0
_LOOK_SHARE = 100  # At most this part of the time is spent on comparing nested values.
_PAGE_SECONDS = 0.5
"""Wait of `init` in a notebook for a daemon that answers but has noted no page."""


class Recording:
    """The data of one process in one run.

    Attributes:
        label: this process's name in the run, "" for the only one.
        primary: whether it writes metadata, summary and display name of the run.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_id: str,
        name: str,
        label: str,
        primary: bool,
        start: Mapping[str, Any],
        starting_step: int,
        voice: Voice,
        note_progress: Callable[[int], float | None] = lambda next_step: None,
        look: Callable[[], None] = lambda: None,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self.settings = settings
        self.run_id = run_id
        on_one_line = "".join(sign if sign.isprintable() else " " for sign in name)
        self._called = f"run {on_one_line} ({run_id})"
        self.label = label
        self.primary = primary
        self.voice = voice
        self.finished = False
        self.is_delivered = False  # Ended, and the daemon has everything.
        self._start = dict(start)
        self._note_progress = note_progress
        self._on_command = on_command
        self._look_inside = look  # Writes changes inside nested values.
        self._look_again_at = 0.0
        self._pid = os.getpid()
        self._forked = False  # In a child that has not logged yet.
        self._finishing = False
        self._daemon_answers = False  # At the start.
        self._has_begun = False  # `init` returns.
        self._page_line = ""  # How to look at the run, as it was printed.
        self._page_is_in_cell = False  # It was printed while `init` or `finish` was called.
        self._noted_page = ""  # From the note of a running daemon; the welcome gives it, too.
        self._kept: list[object] = []
        self._blobs: RunBlobs | None = None
        self.handed: list[Handed] = []  # Drafts of artifacts whose result is not known yet.
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
        self.console = RunConsole(self.writer)
        self._metadata = RunMetadata(self.writer, git=settings.git)
        self.started_at = time.time()
        self._open()

    # ------------------------------------------------------------------ events

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Write one event; after the end of the run, do nothing silently."""
        if not self.finished:
            self.writer.write_event(kind, body)

    def write_set(self, kind: str, values: Mapping[str, Any], delete: list[str]) -> None:
        if not self.finished:
            self.writer.write_set(kind, values, delete)

    @property
    def is_of_parent(self) -> bool:
        """Whether this process was forked during the run and has not logged into it."""
        return self._forked

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
            _stop_notes.register(journal.folder)
            self.sender.attach(self.writer, journal)
            self._blobs = RunBlobs(journal, self.sender, self.settings, self.voice)
            self.writer.stager = self._blobs.stager
        started = {**self._start, "label": self.label, "pid": os.getpid()}
        info = self._info_of(journal)
        self.started_at = info.created_at / 1e6
        started |= {"project": info.project, "run_id": info.run_id, "writer_id": info.writer_id}
        started |= {"host": info.host, "client": CLIENT, "started_at": info.created_at}
        self.writer.write_event(START, started)
        if environment := gpu_environment():
            self.writer.write_event(ENVIRONMENT, environment)

    def begin_sending(self) -> None:
        """Start the sender's thread; after the first events, so that they travel together."""
        if self.disabled or self.writer.journal is None:
            return
        if self.settings.console and not self._forked:
            self.console.start()
        self.sender.start()
        if self._daemon_answers and self._prints_messages and _notebook.is_kernel():
            self.sender.wait_page(_PAGE_SECONDS)  # Its thread prints in this cell, not in a later.
        self._has_begun = True

    def ensure_daemon(self) -> None:
        """Start a personal daemon if none listens, or say where the data stays."""
        folder = self.journal_folder
        if self.sender.online:
            self._daemon_answers, self._noted_page = ensure_daemon(
                self.settings, self.sender, self.voice, folder, called=self._called
            )
            if self._noted_page and _notebook.is_kernel():
                self._say_page(self._noted_page, "")
                self.sender.page_is_printed(self._noted_page)
        elif self._prints_messages and folder is not None:
            self.voice.say(f"{self._called} is offline: its data is kept in {folder}")

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
            is_pending=lambda: self.console.waits,
            begin=self._collect_metadata,
            note_progress=self._note_progress,
            note_page=self._say_page,
            relay=RelayProcess(settings.socket) if must_not_use_grpc() else None,
            sweep_id=str(self._start.get("sweep", {}).get("id", "")),
            on_command=self._on_command or (lambda command: None),
        )

    def _say_page(self, page_url: str, hub_folder: str) -> None:
        """Say which run this is and how to look at it; on the sender's thread, if it connects."""
        if not self._prints_messages:
            return
        with _import_gate.importing:
            from stepwell._page import how_to_look

        how = how_to_look(
            page_url,
            hub_folder,
            project=self.settings.project,
            run_id=self.run_id,
            is_terminal=is_terminal(),
        )
        self._page_line = f"{self._called}: {how}"
        self._page_is_in_cell = self._finishing or not self._has_begun
        self.voice.say(self._page_line)

    def _repeat_page(self) -> None:
        """Print in this cell how to look at the run, if a thread printed it in another or in none.

        Notebooks show the output of a thread in the cell that is executed then, if any.
        """
        if self._page_line and not self._page_is_in_cell and _notebook.is_kernel():
            self._page_is_in_cell = True
            self.voice.say(self._page_line)

    @property
    def _prints_messages(self) -> bool:
        return self.primary and not self.settings.quiet

    def _make_journal(self) -> Journal | None:
        if self.disabled:
            return None
        return make_journal(self.settings, self.run_id, self.label, self.voice)

    def _info_of(self, journal: Journal | None) -> WriterFile:
        if journal is not None:
            return journal.info
        return writer_file(self.settings, self.run_id, self.label)

    # ------------------------------------------------------------------ on the sender's thread

    def _may_block(self) -> bool:
        """Whether waiting for room in the journal can end: another thread must make room."""
        sender = self.sender
        return not self._finishing and sender.is_alive and not sender.is_this_thread

    def _collect(self) -> None:
        self._metadata.give()
        if self.console.waits:
            self.console.write()
        now = time.monotonic()
        if now < self._look_again_at or self.finished:
            return
        # Never waits for `log`, which may itself wait for room that only this thread makes.
        if not self.writer.lock.acquire(blocking=False):
            return
        try:
            self._look_inside()
            took = time.monotonic() - now
            self._look_again_at = now + max(_LOOK_SECONDS, took * _LOOK_SHARE)
        finally:
            self.writer.lock.release()

    def _collect_metadata(self) -> None:
        if self._gives_metadata and not self._forked:
            self._metadata.collect()

    @property
    def _gives_metadata(self) -> bool:
        return self.primary and self.settings.metadata

    # ------------------------------------------------------------------ flush and finish

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything logged so far is durable in the daemon."""
        journal = self.writer.journal
        if journal is None or self.finished or self._forked:
            return self.disabled
        self.console.write(at_once=True, wait_seconds=WAIT_SECONDS)
        deadline = time.monotonic() + timeout_seconds
        is_acked = self.sender.wait_acked(journal.committed, timeout_seconds)
        if not is_acked or self._blobs is None:
            return is_acked
        return self._blobs.wait_taken(deadline - time.monotonic())

    def want_daemon(self, *, hurry: bool) -> None:
        """See `Sender.want_daemon`; with ``hurry``, as when the run ends."""
        if hurry:
            self.sender.personal.hurry()
        self.sender.want_daemon()

    def refusal_of(self, name: str) -> str:
        """Return why the draft ``name`` is refused, as far as this process knows; else ""."""
        return "" if self._blobs is None else self._blobs.refusal_of(name)

    def note_exit(self, status: int) -> None:
        """Note that this process exits at once with ``status``. Takes no lock."""
        journal = self.writer.journal
        if journal is not None and not self.finished and not self._forked:
            _exit_note.note_status(journal.folder, status)

    def finish(self, ending: Ending | None, *, write_last: Callable[[], None]) -> None:
        """Write the end, wait for the daemon as long as the settings allow, then close.

        Args:
            ending: None leaves it to the exit note, and the journal to the note's reader.
            write_last: called while events can still be written.

        Bounded in any case.
        """
        if self.finished or self._finishing:
            return  # Also for a signal handler's call in the middle of this one.
        if self._forked:
            self.finished = True  # Nothing was logged here; the run is the parent's.
            return
        self._finishing = True
        if self._gives_metadata and self.sender.is_alive:
            self.sender.wake()
            self._metadata.wait()
        self.console.stop()
        writer = self.writer
        with writer.lock:
            if self.finished:
                return
            writer.make_room_for_the_end()
            with contextlib.suppress(OSError):
                self.console.write(at_once=True, wait_seconds=WAIT_SECONDS)
            writer.make_room_for_the_end()
            writer.open_reserve()
            self._metadata.write()
            write_last()
            if not self.disabled and ending is not None:
                writer.write_end(ending._asdict())
            writer.finish()
            self.finished = True
            self.console.end()
        journal = writer.journal
        if journal is not None:
            self._hand_over(journal, has_ended=ending is not None)
            self._repeat_page()
        if dropped := writer.losses.text():
            listed = f"see the gaps and their reasons with {command_text('show', self.run_id)}"
            self.voice.say(
                f"dropped: {dropped}; "
                + (listed if journal is not None else "no journal could be created")
            )

    def _hand_over(self, journal: Journal, *, has_ended: bool) -> None:
        _exit_note.unwatch(journal.folder)
        self.is_delivered = deliver_rest(
            journal,
            self.sender,
            self._blobs,
            settings=self.settings,
            voice=self.voice,
            has_ended=has_ended,
        )

    # ------------------------------------------------------------------ fork

    def reset_in_child(self) -> None:
        """Right after a fork: stay idle until the first `log`. Touches no file but the lock."""
        if self.finished:
            return
        self._forked = True
        self._metadata.forget()
        self._finishing = False
        self.console.forget()
        # Never deallocated: a channel that was opened before the fork must not be touched.
        self._kept.append((self.sender, self._blobs))
        self._blobs = self.writer.stager = None  # The parent's.
        if self.writer.journal is not None:
            self.writer.journal.release_lock()
        self.writer.reset_in_child()

    def _begin_in_child(self) -> None:
        """Become a separate writer of this process; called by the first `log` after a fork."""
        self.label = child_label(self.label, "fork")
        self.primary = False
        self._pid = os.getpid()
        # It begins in the middle of a start of the run, and is no resume of its own.
        for name in ("name", "facts", "resumed", "restart", "by_launcher"):
            self._start.pop(name, None)
        self.sender = self._make_sender()
        self.writer.wake = self.sender.wake
        self.writer.begin_in_child(self._make_journal)
        self._open()
        self._forked = False
        self.begin_sending()


def child_label(label: str, kind: str) -> str:
    own = f"{kind}-{os.getpid()}"
    return f"{label}.{own}" if label else own

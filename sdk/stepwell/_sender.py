"""The sender: a thread that sends the journal to the daemon and does the journal's disk work.

It sleeps without a time limit while nothing is logged; `log` wakes it then (one attribute test
in `log`). While rows come in it looks every `flush_seconds`, sooner if much is waiting. A gRPC
message of any size costs the training process close to a millisecond of CPU, so the sender does
not look more often.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell._attempts import RETRY_SECONDS_MAX, RETRY_SECONDS_MIN, Attempts
from stepwell._command import Command
from stepwell._delivery import JournalDelivery
from stepwell._journal import Journal
from stepwell._journal_source import JournalSource
from stepwell._personal import PersonalDaemon
from stepwell._progress import BUSY_SECONDS
from stepwell._relay_process import RelayProcess
from stepwell._spawn import daemon_answers
from stepwell._staging import Stager
from stepwell._wake import Wake
from stepwell._writer import Writer
from stepwell.errors import DaemonUnreachableError, NoThreadError, RefusedError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.incomplete import remove_incomplete
from stepwell_wire.page_file import noted_page
from stepwell_wire.segment import ACKED_WORD

GATHER_SECONDS: Final = 0.02
"""After a rest: time for the rows of one training step to come together."""

_BUSY_BYTES: Final = 16 * 1024
_BUSY_FACTOR: Final = 5.0
"""A writer that logged so much since the last look rests longer: a loop of a thousand steps a
second gains nothing from five looks a second, and pays for each with a few milliseconds."""

_SYNC_SECONDS = 1.0
_NOTE_SECONDS = 2.0
_ROOM_SECONDS_MAX = 1.0
_ROOM_POLL_SECONDS = 0.002


class Sender:
    """Owns the journal's disk work and, unless ``online`` is False, the sending to the daemon.

    ``collect`` is called on the thread before each look, to add data that waits elsewhere
    (console lines), and ``is_pending`` says whether any waits. ``begin`` is called once, after the
    first attempt to connect, and ``personal`` each time that no daemon listens. With ``relay``
    another process sends.

    Attributes:
        attempts: the attempts to reach the daemon, with their results.
    """

    def __init__(
        self,
        *,
        socket: str,
        client: str,
        online: bool,
        flush_seconds: float,
        say: Callable[[str], None],
        personal: PersonalDaemon,
        collect: Callable[[], None] = lambda: None,
        is_pending: Callable[[], bool] = lambda: False,
        begin: Callable[[], None] = lambda: None,
        note_progress: Callable[[int], float | None] = lambda next_step: None,
        note_page: Callable[[str, str], None] = lambda page_url, hub_folder: None,
        relay: RelayProcess | None = None,
        sweep_id: str = "",
        on_command: Callable[[Command], None] = lambda command: None,
    ) -> None:
        self.online = online
        self.personal = personal
        self.attempts = Attempts(socket, personal, say)
        self.surprise_count = 0
        self.stager: Stager | None = None  # Its files are synced together with the journal.
        self.flush_seconds = flush_seconds
        self._socket, self._client = socket, client
        self._say, self._collect, self._begin, self._note_run = say, collect, begin, note_progress
        self._note_page = note_page
        self._sweep_id, self._on_command = sweep_id, on_command
        self._noted_page: str | None = None  # The address printed last, "" for no page.
        self._page_is_known = threading.Event()
        self._is_pending = is_pending
        self._relay = relay
        self._woken = Wake()
        self._hurry = False
        self._wants_daemon = False
        self._moved = 0  # Bytes that the last look sent.
        self._waits_for_window = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._synced_at = 0.0
        self._synced_position = 0
        self._noticed = ""
        self.objection: str | None = None
        """The daemon's reason why it will not import the journal; None before a connection."""
        self._noted_at = 0.0

    def attach(self, writer: Writer, journal: Journal) -> None:
        """Set the journal to send; before `start`."""
        self._writer, self._journal = writer, journal
        self._delivery = JournalDelivery(
            JournalSource(journal, writer),
            socket=self._socket,
            client=self._client,
            on_change=self._on_change,
            sweep_id=self._sweep_id,
            on_command=self._on_command,
        )

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="stepwell-sender", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # No more threads: the journal still keeps everything.
            self._thread = None

    def page_is_printed(self, page_url: str) -> None:
        """Print the page's address only if it is another one; before `start`."""
        self._noted_page = page_url
        self._page_is_known.set()

    def wait_page(self, timeout_seconds: float) -> None:
        """Wait until this thread has printed where the page is."""
        if self.is_alive:
            self._page_is_known.wait(timeout_seconds)

    def wake(self) -> None:
        """Called by `log`, from any thread and any signal handler."""
        writer = getattr(self, "_writer", None)
        if writer is not None:
            writer.idle = False
        self._woken.set()

    @property
    def is_this_thread(self) -> bool:
        return threading.current_thread() is self._thread

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def has_relay(self) -> bool:
        """Whether another process sends."""
        return self._relay is not None

    @property
    def page_url(self) -> str:
        return self._delivery.page_url

    @property
    def can_deliver(self) -> bool:
        """Whether waiting for an ack makes sense."""
        attempts = self.attempts
        return (
            self.online
            and self.is_alive
            and attempts.stopped_for is None
            and not attempts.obstacle
            and (attempts.ever_connected or self.personal.expected or daemon_answers(self._socket))
        )

    def wait_acked(self, position: int, timeout_seconds: float) -> bool:
        """Send at once and wait until everything before ``position`` is durable in the daemon."""
        deadline = time.monotonic() + timeout_seconds
        changed = self._delivery.changed
        self.attempts.retry_now()
        while self._journal.acked < position:
            self._hurry = True
            self.wake()
            left = deadline - time.monotonic()
            if left <= 0 or not self.can_deliver:
                return False
            with changed:
                # Bounded also in case the thread ends without a notification.
                changed.wait_for(lambda: self._journal.acked >= position, min(left, 0.25))
        self._wait_for_room(min(deadline, time.monotonic() + _ROOM_SECONDS_MAX))
        return True

    def want_daemon(self) -> None:
        """Let a personal daemon that died be started again, though there is nothing to send.

        From any thread, for a caller that waits for the daemon.
        """
        if not self.online:
            return
        if self.is_alive:
            self._wants_daemon = True
            self.wake()
        else:
            self._start_daemon_again()

    def _start_daemon_again(self) -> None:
        with contextlib.suppress(DaemonUnreachableError, RefusedError):
            self.attempts.ensure_daemon()

    def _wait_for_room(self, deadline: float) -> None:
        """Wait until a full journal has freed acknowledged segments and has room for a row."""
        while self._journal.is_full and self.can_deliver and time.monotonic() < deadline:
            self._hurry = True
            self.wake()
            time.sleep(_ROOM_POLL_SECONDS)

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End the thread and the connection; unsent bytes stay in the journal."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None and not self.is_this_thread:
            self._thread.join(timeout_seconds)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        begun = False
        try:
            while not self._stopping:
                try:
                    self._look()
                    if not begun:
                        begun = True
                        remove_incomplete(self._journal.folder.parent, _is_own)
                        self._begin()
                        continue
                    self._rest()
                except Exception as error:
                    begun = True
                    self._on_unexpected(error)
        finally:
            with contextlib.suppress(Exception):
                self._delivery.disconnect()
                if self._relay is not None:
                    self._relay.stop()

    def _on_unexpected(self, error: Exception) -> None:
        """A failing disk, or a bug of ours: report it once, pause, continue."""
        self.surprise_count += 1
        if self.surprise_count == 1:
            import traceback

            detail = str(error) if isinstance(error, OSError) else traceback.format_exc()
            self._say(
                f"the sender of {self._journal.folder} continues after an error; the journal "
                f"keeps all rows: {detail}"
            )
        self._delivery.disconnect()
        self._woken.clear()
        self._woken.wait(min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * self.surprise_count))

    def _look(self) -> None:
        """Collect, send, free and prepare, as far as each is due."""
        self._hurry = False
        self._moved = 0
        self._woken.clear()
        self._collect()
        if self._wants_daemon:
            self._wants_daemon = False
            self._start_daemon_again()
        if self.online and self.attempts.stopped_for is None:
            if self._relay is None:
                self._send()
            if self._relay is not None:
                self._follow_relay(self._relay)
        self._journal.tend()
        now = time.monotonic()
        if self._journal.durable and now - self._synced_at >= _SYNC_SECONDS:
            self._synced_position = self._journal.committed
            self._journal.sync()
            if self.stager is not None:
                self.stager.sync()
            self._synced_at = now
        if now - self._noted_at >= _NOTE_SECONDS:
            self._note_progress(now)

    def _note_progress(self, now: float) -> float | None:
        """Note how far the run is, unless another thread logs.

        Return after how many seconds to do it again, None where all is noted.
        """
        next_step = self._writer.look_for_next_step()
        if next_step is None:
            return BUSY_SECONDS
        self._noted_at = now
        return self._note_run(next_step)

    def _send(self) -> None:
        delivery = self._delivery
        if delivery.failure is not None:
            self._on_failure(delivery.failure)
            if self.attempts.stopped_for is not None:
                return
        if not delivery.connected:
            if self._journal.committed == self._journal.acked and self.attempts.ever_connected:
                return  # Nothing to say; the next row brings us back.
            if not self.attempts.is_due():
                return
            try:
                self.attempts.ensure_daemon()
                delivery.connect()
            except NoThreadError:
                self._relay = RelayProcess(self._socket)
                return
            except (DaemonUnreachableError, RefusedError) as error:
                self._on_failure(error)
                return
            self.attempts.note_success()
            self.objection = delivery.notice
            if delivery.notice and delivery.notice != self._noticed:
                self._noticed = delivery.notice
                self._say(f"message of the daemon: {delivery.notice}")
            self._report_page(delivery.page_url, delivery.hub_folder)
        self._moved = delivery.pump()

    def _report_page(self, page_url: str, hub_folder: str) -> None:
        """Print once where the run's page is, or that no page is known, and again if it moves."""
        if self._noted_page is None or page_url not in ("", self._noted_page):
            self._noted_page = page_url
            self._note_page(page_url, hub_folder)
        self._page_is_known.set()

    def _on_failure(self, error: Exception) -> None:
        delivery = self._delivery
        delivery.disconnect()
        delivery.failure = None
        journal = self._journal
        self.attempts.note_failure(error, folder=journal.folder, oldest=journal.oldest)
        with delivery.changed:
            delivery.changed.notify_all()  # If nothing can be delivered, waiting callers must stop.

    def _follow_relay(self, relay: RelayProcess) -> None:
        """Read the acks that a relay process wrote into the journal; see `_relay.py`."""
        if self.stager is not None:
            self.stager.look()
        words = self._journal.current.words
        if words is None:
            return
        acked = int(words[ACKED_WORD])
        if acked > self._journal.acked:
            if not self.attempts.ever_connected:
                self._report_page(noted_page(Path(self._socket)), "")
            self.attempts.note_success()
            with self._delivery.changed:
                self._journal.acked = acked
                self._delivery.changed.notify_all()
        elif self._journal.committed > acked or (self.stager and self.stager.staged()):
            self._ensure_relay(relay)

    def _ensure_relay(self, relay: RelayProcess) -> None:
        if not self.attempts.is_due():
            return
        try:
            self.attempts.ensure_daemon()
            relay.ensure_started(str(self._journal.folder.absolute()))
        except (DaemonUnreachableError, RefusedError) as error:
            self._on_failure(error)
        except OSError as error:
            obstacle = f"starting the process that sends failed: {error}"
            self._on_failure(DaemonUnreachableError(self._socket, str(error), obstacle=obstacle))

    def _rest(self) -> None:
        seconds = self._rest_seconds()
        if seconds is None:
            # The flag first, then a last look: a row that came in between has seen the flag or
            # is seen here.
            note_again_seconds = self._note_progress(time.monotonic())
            self._journal.check()
            self._writer.idle = True
            if self._rest_seconds() is None and not self._stopping:
                self._woken.wait(note_again_seconds)
                seconds = GATHER_SECONDS
            self._writer.idle = False
            if seconds is None or self._hurry:
                return
            self._woken.clear()
        if not self._stopping and not self._hurry:
            self._woken.wait(seconds)

    def _rest_seconds(self) -> float | None:
        """Return the time until which to rest, None to rest until the next `log`."""
        if self._is_pending():
            return self.flush_seconds
        committed = self._journal.committed
        if self._journal.durable:
            return _SYNC_SECONDS if committed > self._synced_position else None
        if not self.online or self.attempts.stopped_for is not None:
            return None
        if self._relay is None and self._delivery.connected:
            if self._delivery.window_is_full:
                self._waits_for_window = True  # An ack wakes us.
                return RETRY_SECONDS_MAX
            if self._moved >= _BUSY_BYTES:
                return self.flush_seconds * _BUSY_FACTOR
            return self.flush_seconds if self._moved or committed > self._delivery.sent else None
        if committed <= self._journal.acked:
            return None
        if self._relay is not None:
            return self.flush_seconds
        return max(self.attempts.next_at - time.monotonic(), 0.01)

    def _on_change(self) -> None:
        """An ack or the end of a stream, on the connection's thread."""
        if (
            self._waits_for_window
            or len(self._journal.held) > 1
            or self._delivery.failure is not None
        ):
            self._waits_for_window = False
            self._woken.set()


def _is_own(folder: JournalFolder) -> bool:
    return folder.owner == os.geteuid()

"""The blob sender: a thread that hands staged blobs over, apart from the one that sends rows.

It begins with the first blob of a run, waits until the daemon knows the writer, and sleeps while
nothing is staged.
"""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell._blob_delivery import BlobDelivery
from stepwell._staging import Stager
from stepwell._wake import Wake
from stepwell.errors import DaemonUnreachableError, NoThreadError, RefusedError
from stepwell_wire.drafts import DRAFT_FILE, key_of, parse_draft

_RETRY_SECONDS_MIN: Final = 0.1
_RETRY_SECONDS_MAX: Final = 5.0


class BlobSender:
    """Hands over the blobs of one stager."""

    def __init__(
        self,
        stager: Stager,
        *,
        socket: str,
        is_known: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
            is_known: whether the daemon knows the writer; before that it takes no blobs.
        """
        self._stager = stager
        self._delivery = BlobDelivery(socket, stager.folder, stager.info.writer_id)
        self._is_known, self._say = is_known, say
        self._refused: dict[str, str] = {}
        self._said: set[str] = set()
        self._woken, self._retry_now = Wake(), Wake()
        self._changed = threading.Condition()
        self._stopping = False
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()  # A signal handler may log in the middle of this.

    @property
    def waiting(self) -> list[str]:
        """The ids that are still to be handed over."""
        return [each for each in self._stager.staged() if each not in self._refused]

    def refusal_of(self, name: str) -> str:
        """Return why a staged blob or a draft is not taken, "" where it was not refused."""
        return self._refused.get(name, "")

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Start the thread or wake it; called after something was staged."""
        self._woken.set()
        if self._thread is None and not self._stopping:
            with self._starting:
                if self._thread is None:
                    self._begin()

    def wait_taken(self, timeout_seconds: float) -> bool:
        """Wait until everything staged so far is durable in the daemon."""
        deadline = time.monotonic() + timeout_seconds
        wanted = set(self.waiting)
        if not wanted:
            return True
        self.wake()
        with self._changed:
            while wanted.intersection(self.waiting):
                left = deadline - time.monotonic()
                if left <= 0 or self._is_over or not self.is_alive:
                    return False
                self._retry_now.set()
                self._changed.wait(min(left, 0.25))
        return True

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End the thread; the files that were not handed over stay staged."""
        self._stopping = True
        self._woken.set()
        self._retry_now.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout_seconds)

    def _begin(self) -> None:
        self._thread = thread = threading.Thread(
            target=self._run, name="stepwell-blobs", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # No more threads: the files stay staged.
            self._thread = None

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping and not self._is_over:
                self._woken.clear()
                if self._stopping:  # Its wake may have been cleared just now.
                    break
                if not self.waiting:
                    self._woken.wait()
                    continue
                try:
                    moved = self._is_known() and self._hand_over()
                except Exception as error:  # A failing disk, or a mistake of ours.
                    self._on_unexpected(error)
                    moved = False
                with self._changed:
                    self._changed.notify_all()
                failures = 0 if moved else failures + 1
                if not moved and not self._is_over:
                    delay = min(_RETRY_SECONDS_MAX, _RETRY_SECONDS_MIN * 2 ** min(failures, 10))
                    self._retry_now.clear()
                    if not self._stopping:
                        self._retry_now.wait(delay * random.Random().uniform(0.5, 1.0))
        finally:
            self._delivery.close()
            with self._changed:
                self._changed.notify_all()

    def _hand_over(self) -> bool:
        """Return whether something was taken and nothing has to wait."""
        try:
            done = self._delivery.hand_over(self.waiting)
        except NoThreadError:
            self._is_over = True  # The daemon fetches the files, or the relay hands them over.
            return False
        except DaemonUnreachableError:
            self._delivery.close()
            return False
        except RefusedError as error:
            self._is_over = True
            self._say(
                f"{error}; media stay in {self._stager.folder}; upgrade the daemon, then "
                "send them with `stepwell sync`"
            )
            return False
        self._stager.forget(done.taken)
        for blob_id, why in done.refused.items():
            self._refused[blob_id] = why
            self._say_once(_refusal_text(self._stager.folder, blob_id), why)
        if done.later:
            self._say_once(f"media wait in {self._stager.folder}, rows are still sent", done.later)
        return bool(done.taken) and not done.later

    def _say_once(self, what: str, why: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._say(f"{what}: {why}")

    def _on_unexpected(self, error: Exception) -> None:
        import traceback

        detail = str(error) if isinstance(error, OSError) else traceback.format_exc()
        self._delivery.close()
        self._say_once(
            f"the blob sender of {self._stager.folder} continues after an error, the files "
            "are kept",
            detail,
        )


def _refusal_text(folder: Path, name: str) -> str:
    """Return the message for a refused blob or draft, without the reason."""
    key = key_of(name)
    if key is None:
        return f"the daemon rejected a media file, it is kept in {folder}"
    try:
        called = repr(parse_draft((folder / name / DRAFT_FILE).read_bytes(), key).name)
    except (OSError, ValueError):
        called = key
    return f"artifact {called} was not logged, its files are kept in {folder / name}"

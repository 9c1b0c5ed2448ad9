"""Media and drafts of a run: staged beside its journal, and handed over to the daemon."""

import time
from typing import Final

from stepwell._blob_sender import BlobSender
from stepwell._journal import Journal
from stepwell._sender import Sender
from stepwell._settings import Settings
from stepwell._staging import WRITERS_TOGETHER, Stager
from stepwell._terminal import Voice

_POLL_SECONDS: Final = 0.05


class RunBlobs:
    """The staged blobs of one journal, and their sender: a thread, or the relay.

    Attributes:
        stager: takes the bytes of media.
    """

    def __init__(self, journal: Journal, sender: Sender, settings: Settings, voice: Voice) -> None:
        self._sender = sender
        self.stager = Stager(
            journal.folder,
            journal.info,
            bytes_max=settings.blob_bytes_max,
            together_bytes_max=WRITERS_TOGETHER * settings.blob_bytes_max,
        )
        sender.stager = self.stager
        self._own_sender: BlobSender | None = None
        if sender.online and not sender.has_relay:
            self._own_sender = BlobSender(
                self.stager,
                socket=settings.socket,
                is_known=lambda: sender.attempts.ever_connected,
                say=voice.say,
            )
            self.stager.on_staged = self._own_sender.wake

    @property
    def are_left(self) -> bool:
        """Whether something is staged that the daemon has not taken."""
        return bool(self.stager.staged())

    def wait_taken(self, timeout_seconds: float) -> bool:
        """Wait until all staged blobs are durable in the daemon."""
        if not self.stager.staged():
            return True
        if self._sender.has_relay:
            return self._wait_for_relay(time.monotonic() + timeout_seconds)
        return self._own_sender is not None and self._own_sender.wait_taken(
            max(0.0, timeout_seconds)
        )

    def refusal_of(self, name: str) -> str:
        """Return why the draft ``name`` is refused, as far as this process knows; else ""."""
        return "" if self._own_sender is None else self._own_sender.refusal_of(name)

    def stop(self) -> None:
        """Stop handing over."""
        if self._own_sender is not None:
            self._own_sender.stop()

    def _wait_for_relay(self, deadline: float) -> bool:
        """Wait until the relay has handed over all staged blobs: their files are gone then."""
        self.stager.look()
        while self.stager.staged():
            if time.monotonic() >= deadline or not self._sender.can_deliver:
                return False
            self._sender.wake()
            time.sleep(_POLL_SECONDS)
            self.stager.look()
        return True

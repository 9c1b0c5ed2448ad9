"""Import of artifacts' drafts: from an accessible journal's folder, else over the socket.

They are offered as ``artifact-<key>`` with staged blobs. Over the socket each file is sent
separately as ``artifact-<key>/<name>``, ``draft.json`` last. Called on the thread of the blob
queue.
"""

import logging
from collections.abc import Callable
from functools import partial

from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_store.writer import WriterInfo
from stepwell_wire.blobs_pb2 import LATER, REFUSED, SEND, TAKEN, BlobReply
from stepwell_wire.drafts import DRAFT_FILE, Draft, key_of
from stepwell_wire.folder import JournalFolder
from stepwell_wire.staged import StagedHeader

logger = logging.getLogger("stepwell_daemon")


class DraftIntake:
    """Puts drafts of writers of this node on a shelf."""

    def __init__(self, shelf: Shelf, *, on_taken: Callable[[], None]) -> None:
        """
        Args:
            on_taken: called from any thread after each draft that is put on the shelf.
        """
        self._shelf, self._on_taken = shelf, on_taken

    def take(
        self, folder: JournalFolder | None, name: str, who: WriterInfo, *, keep: bool
    ) -> BlobReply:
        """Take the draft ``name`` from an open journal's folder; None if it is not accessible."""
        key = key_of(name) or ""
        if self._shelf.has_taken(key):
            return BlobReply(name=name, outcome=TAKEN)
        if folder is None:
            return BlobReply(name=name, outcome=SEND)
        try:
            self._shelf.take(folder, key, approve=partial(check_writer, who), keep=keep)
        except BlobsWaitError as error:
            return BlobReply(name=name, outcome=LATER, detail=str(error))
        except BlobRefusedError as error:
            return self._refused(name, key, str(error))
        except FileNotFoundError:
            # It is on another mount, or was taken before.
            return BlobReply(name=name, outcome=SEND)
        except OSError as error:
            logger.debug("reading a draft failed: %s", error)
            return BlobReply(name=name, outcome=SEND)
        self._on_taken()
        return BlobReply(name=name, outcome=TAKEN)

    def receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """Take a chunk of a file of a draft; raises as `Shelf.receive`."""
        draft_name, _, file = name.partition("/")
        key = key_of(draft_name) or ""
        try:
            self._shelf.receive(key, file, size, offset, data, crc32)
        except BlobRefusedError as error:
            self._refused(name, key, str(error))
            raise

    def accept(self, name: str, size: int, who: WriterInfo) -> BlobReply:
        """Return whether a file of a draft is complete; with the last file, take the draft."""
        draft_name, _, file = name.partition("/")
        key = key_of(draft_name) or ""
        try:
            here = self._shelf.arrived_bytes(key, file)
        except BlobRefusedError as error:
            return self._refused(name, key, str(error))
        if here is None:
            return BlobReply(name=name, outcome=TAKEN)
        if here != size:
            detail = f"{here} of {size} bytes were received"
            return BlobReply(name=name, outcome=LATER, offset=here, detail=detail)
        if file == DRAFT_FILE:
            try:
                self._shelf.accept(key, approve=partial(check_writer, who))
            except BlobRefusedError as error:
                return self._refused(name, key, str(error))
            self._on_taken()
        return BlobReply(name=name, outcome=TAKEN)

    def _refused(self, name: str, key: str, reason: str) -> BlobReply:
        """Note why a draft is not taken, and return the reply that contains the reason."""
        try:
            self._shelf.refuse(key, reason)
        except OSError as error:  # The reply goes to the sender in any case.
            logger.warning("storing the refusal of artifact %s failed: %s", key, error)
        return BlobReply(name=name, outcome=REFUSED, detail=reason)


def is_file_of_draft(name: str) -> bool:
    """Return whether ``name`` is the name of a file of a draft that is sent over the socket."""
    draft_name, slash, _ = name.partition("/")
    return bool(slash) and key_of(draft_name) is not None


def check_writer(who: WriterInfo, held: Draft | StagedHeader) -> None:
    """Raise BlobRefusedError unless ``who`` is the writer in the draft or the staged file."""
    named = (held.project, held.run_id, held.writer_id)
    if named != (who.project, who.run_id, who.writer_id):
        what = f"artifact {held.key}" if isinstance(held, Draft) else f"blob {held.id}"
        raise BlobRefusedError(
            f"{what} belongs to writer {held.writer_id} of {held.project}/{held.run_id}, but "
            f"writer {who.writer_id} of {who.project}/{who.run_id} offers it"
        )

"""Import of staged blobs: from journals' folders if they are accessible, else over the socket.

The answer "taken" is sent when the file is durable in the queue. Rows have a separate stream, so
they never wait for a blob.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final

from stepwell_daemon.artifacts.intake import DraftIntake, check_writer, is_file_of_draft
from stepwell_daemon.blobs.queue import BlobQueue, staged_names
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_daemon.journal_places import JournalPlaces, JournalRefusedError
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.blobs_pb2 import LATER, REFUSED, SEND, TAKEN, BlobOffer, BlobReply
from stepwell_wire.drafts import key_of
from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.limits import STAGED_BYTES_MAX
from stepwell_wire.staged import file_name, is_id

logger = logging.getLogger("stepwell_daemon")

Failed = Callable[[WriterInfo, str, str], None]
"""Receives a writer, a blob's id, and the reason why its bytes are lost."""

_REPORTED_MAX: Final = 10_000
_DAMAGED: Final = "the staged file is damaged; the daemon keeps it in blobs/failed"


class BlobIntake:
    """Takes blobs of writers of this node. Its methods belong to the event loop.

    Attributes:
        problem: why the last one had to wait, "" if it was taken.
    """

    def __init__(
        self,
        queue: BlobQueue,
        spool: Spool,
        *,
        places: JournalPlaces,
        executor: Executor,
        on_taken: Callable[[], None],
        on_failed: Failed,
        drafts: DraftIntake | None = None,
    ) -> None:
        """
        Args:
            executor: one thread, which alone changes the queue.
            on_taken: called after each blob that is put into the queue.
            drafts: takes drafts of artifacts, which use the same calls with other names.
        """
        self._drafts = drafts
        self._queue, self._spool, self._places = queue, spool, places
        self._executor = executor
        self._on_taken, self._on_failed = on_taken, on_failed
        self._reported: OrderedDict[str, None] = OrderedDict()
        self.problem = ""

    # ------------------------------------------------------------------ offers

    async def offer(self, offer: BlobOffer) -> list[BlobReply]:
        """Take the accessible files; return for each blob the sender's next action."""
        state = self._spool.registry.get(offer.writer_id)
        if state is None:
            why = "the daemon does not know the writer yet; send its rows first"
            return [BlobReply(name=name, outcome=LATER, detail=why) for name in offer.names]
        path, names = Path(offer.journal_dir), list(offer.names)
        take = partial(self._take_all, path, names, state.info, keep=offer.keep)
        loop = asyncio.get_running_loop()
        replies, damaged = await loop.run_in_executor(self._executor, take)
        for blob_id in damaged:
            self._on_failed(state.info, blob_id, _DAMAGED)
        for reply in replies:
            self._note_refusal(reply, state.info)
        self._on_taken()
        return replies

    def _take_all(
        self, path: Path, names: Sequence[str], who: WriterInfo, *, keep: bool
    ) -> tuple[list[BlobReply], list[str]]:
        folder = self._opened(path)
        damaged: list[str] = []
        try:
            replies = [self._take(folder, name, who, damaged, keep=keep) for name in names]
            return replies, damaged
        finally:
            if folder is not None:
                folder.close()

    def _opened(self, path: Path) -> JournalFolder | None:
        """Open a journal's folder; None if it is not accessible or not allowed."""
        if not path.is_absolute():
            return None
        try:
            folder = JournalFolder(path)
        except (OSError, ValueError):
            return None
        try:
            self._places.check(folder)
        except JournalRefusedError:
            folder.close()
            return None
        return folder

    def _take(
        self,
        folder: JournalFolder | None,
        name: str,
        who: WriterInfo,
        damaged: list[str],
        *,
        keep: bool = False,
    ) -> BlobReply:
        if self._drafts is not None and key_of(name) is not None:
            reply = self._drafts.take(folder, name, who, keep=keep)
            self.problem = reply.detail if reply.outcome == LATER else ""
            return reply
        if not is_id(name):
            detail = f"{name[:80]!r} is not a blob id"
            return BlobReply(name=name, outcome=REFUSED, detail=detail)
        if name in self._queue:
            return BlobReply(name=name, outcome=TAKEN)
        if folder is not None:
            try:
                self._queue.take(folder, name, approve=partial(check_writer, who), keep=keep)
                self.problem = ""
                return BlobReply(name=name, outcome=TAKEN)
            except StagedDamagedError as error:
                logger.error("a staged blob is damaged: %s", error)
                damaged.append(name)
                return BlobReply(name=name, outcome=TAKEN)
            except BlobsWaitError as error:
                self.problem = str(error)
                return BlobReply(name=name, outcome=LATER, detail=str(error))
            except BlobRefusedError as error:
                return BlobReply(name=name, outcome=REFUSED, detail=str(error))
            except FileNotFoundError:
                pass  # It is on another mount of the same path, or was taken before.
            except OSError as error:
                logger.debug("reading a staged blob failed: %s", error)
        return BlobReply(name=name, outcome=SEND, offset=self._queue.arrived_bytes(name))

    # ------------------------------------------------------------------ over the socket

    async def receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """Take a chunk.

        Raises:
            BlobRefusedError: The blob can never be taken.
            BlobsWaitError: There is no room now.
        """
        loop = asyncio.get_running_loop()
        if self._drafts is not None and is_file_of_draft(name):
            work = self._drafts.receive
            await loop.run_in_executor(self._executor, work, name, size, offset, data, crc32)
            return
        if not is_id(name):
            raise BlobRefusedError(f"{name[:80]!r} is not a blob id")
        if size > STAGED_BYTES_MAX:
            raise BlobRefusedError(f"a blob of {size} bytes; the maximum is {STAGED_BYTES_MAX}")
        await loop.run_in_executor(self._executor, self._receive, name, size, offset, data, crc32)

    def _receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        try:
            self._queue.receive(name, size, offset, data, crc32)
        except BlobsWaitError as error:
            self.problem = str(error)
            raise
        self.problem = ""

    async def accept(self, name: str, size: int, writer_id: str) -> BlobReply:
        """Take a file received over the socket when it is complete."""
        state = self._spool.registry.get(writer_id)
        if state is None:
            return BlobReply(
                name=name, outcome=LATER, detail="the daemon does not know the writer yet"
            )
        loop = asyncio.get_running_loop()
        accept = partial(self._accept, name, size, state)
        if self._drafts is not None and is_file_of_draft(name):
            accept = partial(self._drafts.accept, name, size, state.info)
        reply = await loop.run_in_executor(self._executor, accept)
        self._note_refusal(reply, state.info)
        self._on_taken()
        return reply

    def refused(self, name: str, writer_id: str, reason: str) -> None:
        """See `Desk.refused`."""
        state = self._spool.registry.get(writer_id)
        if state is not None:
            self._note_refusal(BlobReply(name=name, outcome=REFUSED, detail=reason), state.info)

    def _note_refusal(self, reply: BlobReply, who: WriterInfo) -> None:
        """Note once that a refused blob failed. Otherwise its row would never get a state.

        If it is taken later, by another daemon or with other settings, the later state is valid.
        """
        if reply.outcome != REFUSED or not is_id(reply.name) or reply.name in self._reported:
            return
        self._reported[reply.name] = None
        if len(self._reported) > _REPORTED_MAX:
            self._reported.popitem(last=False)
        self._on_failed(who, reply.name, f"the daemon rejected the blob: {reply.detail}")

    def _accept(self, name: str, size: int, state: WriterState) -> BlobReply:
        if name in self._queue:
            return BlobReply(name=name, outcome=TAKEN)
        here = self._queue.arrived_bytes(name)
        if here != size:
            detail = f"{here} of {size} bytes were received"
            return BlobReply(name=name, outcome=LATER, offset=here, detail=detail)
        try:
            self._queue.accept(name, approve=partial(check_writer, state.info))
        except (StagedDamagedError, BlobRefusedError) as error:
            return BlobReply(name=name, outcome=REFUSED, detail=str(error))
        return BlobReply(name=name, outcome=TAKEN)

    # ------------------------------------------------------------------ of dead writers

    async def take_rest(self, folder: JournalFolder, who: WriterInfo) -> bool:
        """Take all staged files of a dead writer's folder; return whether none is left.

        Raises:
            BlobRefusedError: Some can never be taken; all others were.
            OSError: A file cannot be read or moved.
        """
        refused = ""
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(self._executor, lambda: list(staged_names(folder)))
        for name in names:
            damaged: list[str] = []
            take = partial(self._take, folder, name, who, damaged)
            reply = await loop.run_in_executor(self._executor, take)
            for blob_id in damaged:
                self._on_failed(who, blob_id, _DAMAGED)
            self._on_taken()
            self._note_refusal(reply, who)
            if reply.outcome == REFUSED:
                refused = refused or f"{folder.path / _name_of(name)}: {reply.detail}"
            if reply.outcome == LATER:
                return False
            if reply.outcome == SEND:  # It was listed a moment ago, but cannot be read.
                size = await loop.run_in_executor(self._executor, _size_of, folder, name)
                if size is not None:
                    raise PermissionError(
                        f"{folder.path / _name_of(name)}: the daemon has no right to read or "
                        "move it; change its owner to the owner of the journal"
                    )
        if refused:
            raise BlobRefusedError(refused)
        return True


def _name_of(name: str) -> str:
    """Return the name of a staged blob or a draft in its folder."""
    return file_name(name) if key_of(name) is None else name


def _size_of(folder: JournalFolder, name: str) -> int | None:
    try:
        return folder.size_of(_name_of(name))
    except FileNotFoundError:
        return None

"""Handing staged blobs to a daemon, and removing each once it is durable there.

Shared by live writers, relays and ``stepwell sync``. Idempotent: the ids decide.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwell import _import_gate
from stepwell._staging import remove_staged
from stepwell_wire.drafts import key_of
from stepwell_wire.limits import BLOBS_PER_OFFER_MAX
from stepwell_wire.staged import id_of

if TYPE_CHECKING:
    from stepwell._blob_channel import BlobChannel
    from stepwell_wire.blobs_pb2 import BlobReply


class HandedOver(NamedTuple):
    """The result of an offer.

    Attributes:
        taken: durable in the daemon, or handed over by another process; their files are removed.
        refused: never taken, by id, with the daemon's reason; their files are kept.
        later: why the rest has to wait, "" if there is no rest.
    """

    taken: list[str]
    refused: dict[str, str]
    later: str = ""


class BlobDelivery:
    """Hands over the blobs of one writer's folder. Not thread-safe."""

    def __init__(self, socket: str, folder: Path, writer_id: str, *, keep: bool = False) -> None:
        """
        Args:
            keep: leave the files of the taken blobs.
        """
        self._socket, self._folder, self._writer_id = socket, folder, writer_id
        self._keep = keep
        self._channel: BlobChannel | None = None

    def hand_over(self, ids: Sequence[str]) -> HandedOver:
        """Offer ``ids`` and send the blobs that the daemon cannot take by itself.

        Raises:
            DaemonUnreachableError: No daemon answers.
            RefusedError: The daemon knows no blobs.
            OSError: A file cannot be read.
        """
        taken: list[str] = []
        refused: dict[str, str] = {}
        later = ""
        for first in range(0, len(ids), BLOBS_PER_OFFER_MAX):
            part = ids[first : first + BLOBS_PER_OFFER_MAX]
            for reply in self._opened().offer(part, keep=self._keep):
                later = self._follow(reply, taken, refused) or later
            if later:
                break  # The next offer repeats this one and all after it.
        return HandedOver(taken, refused, later)

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _follow(self, reply: "BlobReply", taken: list[str], refused: dict[str, str]) -> str:
        """Act on ``reply``; return why this blob has to wait, "" if it need not."""
        from stepwell_wire.blobs_pb2 import REFUSED, SEND, TAKEN

        if reply.outcome == SEND:
            try:
                channel = self._opened()
                if key_of(reply.name) is not None:
                    reply = channel.put_draft(reply.name)
                else:
                    reply = channel.put(reply.name, reply.offset)
            except FileNotFoundError:
                taken.append(reply.name)  # Another process handed it over, or removed it.
                return ""
        if reply.outcome == TAKEN:
            if not self._keep:
                remove_staged(self._folder, reply.name)
            taken.append(reply.name)
        elif reply.outcome == REFUSED:
            refused[reply.name] = reply.detail
        else:
            return reply.detail or "the daemon has no free space now"
        return ""

    def _opened(self) -> "BlobChannel":
        if self._channel is None:
            with _import_gate.importing:  # By its module: a forked child has a fresh one.
                from stepwell._blob_channel import BlobChannel
            self._channel = BlobChannel(self._socket, self._folder, self._writer_id)
        return self._channel


def staged_in(folder: Path) -> list[str]:
    """Return the ids of the whole staged blobs, and the names of drafts, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name if key_of(entry.name) is not None else id_of(entry.name)
            if name is not None:
                with contextlib.suppress(OSError):
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, name))
    return [blob_id for _, blob_id in sorted(found)]

"""Named places at which a test makes the daemon die, fail or wait. Off by default.

    STEPWELL_FAILPOINT = point | point,point,… point              = NAME:ACTION[:WHEN] ACTION
    = kill | error=ENOSPC | error=EIO | error=REJECTED | sleep=SECONDS WHEN               = N, only
    at the N-th hit; N+, from the N-th on; every hit without it

``kill`` is SIGKILL to the daemon itself. While the variable is not set, a place costs one call
and one comparison, once per group of frames, extent or message, never per point.
"""

import difflib
import errno
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepwell_daemon.errors import DaemonConfigError

VARIABLE: Final = "STEPWELL_FAILPOINT"

FAILPOINTS: Final[Mapping[str, str]] = {
    "receive.read": "a message was read from a connection and not yet processed",
    "receive.taken": "a frame was checked and waits in memory for the next group",
    "ack.before": "a group is on disk; its ack is about to be sent",
    "ack.after": "an ack was handed to the connection",
    "group.before-write": "a group of frames is packed and not yet written",
    "group.mid-record": "the first half of a group's bytes is written",
    "group.written": "a group is written and not synced",
    "group.synced": "a group is synced; its writers have no acknowledgement yet",
    "segment.given-up": "a write or sync failed; the segment is closed at its last durable byte",
    "segment.before-seal": "the reserved space of a full segment is about to be released",
    "segment.sealed": "a full segment was closed; the next does not exist",
    "segment.created": "a new segment exists under its temporary name, empty",
    "segment.mid-write": "half of a new segment's first bytes is written",
    "segment.written": "the page and first records of a new segment are written and not synced",
    "segment.synced": "a new segment is synced under its temporary name",
    "segment.renamed": "a new segment has its name; its folder is not synced",
    "segment.durable": "the name of a new segment is durable; acknowledgements are not sent yet",
    "cursor.before-write": "a cursor slot is about to be written",
    "cursor.mid-write": "half of a cursor slot is written",
    "cursor.written": "a cursor slot is written and not synced",
    "cursor.synced": "a cursor slot is synced; the forwarder has not been notified",
    "cursor.created": "a new cursor file exists under its temporary name, written and synced",
    "cursor.renamed": "a new cursor file has its name; its folder is not synced",
    "file.created": "a small file (identity, writers table, dead-lettered frame) is created, empty",
    "file.written": "a small file is written under its temporary name and not synced",
    "file.synced": "a small file is synced under its temporary name",
    "file.renamed": "a small file has its name; its folder is not synced",
    "free.before-unlink": "the writers table is durable; a stored segment is about to be deleted",
    "free.unlinked": "a stored segment was unlinked; its folder is not synced",
    "free.done": "stored segments are deleted",
    "recover.temporary-removed": "a temporary file was removed while the spool opened",
    "recover.before-salvage": "the rest of a torn segment is about to be rewritten at a start",
    "recover.salvaged": "the rest of a torn segment was rewritten at a start",
    "journal.before-remove": "a dead writer's journal is durable in the spool and not yet deleted",
    "journal.removed": "the journal of a dead writer is deleted",
    "blob.taken": "a staged blob is durable in the queue; its writer has no acknowledgement yet",
    "blob.made": "a worker has encoded and hashed a blob; it is not in the blob store",
    "blob.kept": "a blob is in the blob store; its event is not written yet",
    "blob.noted": "the event of a blob is durable; its staged file waits in the queue",
    "artifact.taken": "a draft of an artifact is durable; its writer has no acknowledgement yet",
    "artifact.committed": "the hub has committed a version; the daemon has not stored the outcome",
    "artifact.noted": "the outcome of a draft is stored; the draft still exists",
    "forward.before-extent": "an extent is chosen; the cursor file does not contain it",
    "forward.extent-named": "the cursor file contains an extent; none of its blocks is inserted",
    "forward.before-insert": "a block is about to be sent to the store",
    "forward.inserted": "the store has acknowledged a block",
    "forward.delivered": "an extent is stored; the cursor is before it",
    "forward.moved": "the cursor is after a stored extent",
    "forward.dead-letter": "a rejected frame was dead-lettered; the cursor is before it",
}

_ERRNO: Final = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
_REJECTED: Final = "REJECTED"


@dataclass(slots=True)
class _Point:
    name: str
    action: str
    argument: str
    first: int = 1
    last: int | None = None
    hits: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hit(self) -> None:
        with self.lock:
            self.hits += 1
            hits = self.hits
        if hits < self.first or (self.last is not None and hits > self.last):
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # Stop here even if the signal is late.
        elif self.action == "sleep":
            time.sleep(float(self.argument))
        elif self.argument == _REJECTED:
            from stepwell_store import StoreRejectedError

            raise StoreRejectedError(f"fail-point {self.name}")
        else:
            number = _ERRNO[self.argument]
            raise OSError(number, f"{os.strerror(number)} (fail-point {self.name})")


_armed: dict[str, _Point] | None = None


def hit(name: str) -> None:
    """Execute the action of the fail-point ``name``, if it is armed."""
    if _armed is not None and (point := _armed.get(name)) is not None:
        point.hit()


def is_armed(name: str) -> bool:
    """Return whether ``name`` is armed: for places that prepare their own failure."""
    return _armed is not None and name in _armed


def arm(text: str) -> list[str]:
    """Arm the fail-points in ``text``; an empty text disarms all. Return their names.

    Raises:
        DaemonConfigError: A name, an action or a number is invalid.
    """
    global _armed
    points = [_parse(part.strip()) for part in text.split(",") if part.strip()]
    _armed = {point.name: point for point in points} or None
    return [point.name for point in points]


def _parse(text: str) -> _Point:
    name, _, rest = text.partition(":")
    action, _, when = rest.partition(":")
    verb, _, argument = action.partition("=")
    if name not in FAILPOINTS:
        nearest = difflib.get_close_matches(name, FAILPOINTS, n=1, cutoff=0.0)[0]
        raise DaemonConfigError(f"{VARIABLE}: unknown fail-point {name!r}; did you mean {nearest}?")
    if not (
        action == "kill"
        or (verb == "error" and argument in (*_ERRNO, _REJECTED))
        or (verb == "sleep" and _is_seconds(argument))
    ):
        raise DaemonConfigError(
            f"{VARIABLE}: {text}: expected kill, error=ENOSPC, error=EIO, error=REJECTED or "
            f"sleep=SECONDS after the name, not {action!r}"
        )
    point = _Point(name, verb, argument)
    if when:
        digits = when.removesuffix("+")
        if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
            raise DaemonConfigError(
                f"{VARIABLE}: {text}: expected N or N+ with N of at least 1, not {when!r}"
            )
        point.first = int(digits)
        point.last = None if when.endswith("+") else point.first
    return point


def _is_seconds(text: str) -> bool:
    try:
        return 0.0 <= float(text) < 3600.0
    except ValueError:
        return False
